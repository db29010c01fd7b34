"""How far two people agree with each other: the ceiling beside which a model's kappa is read.

Pure: labels that two people gave to the same crops, without seeing each other's. It does not know where they lie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.evaluation import counts
from trainer.evaluation.intervals import Interval, bootstrap_counts, counts_by_person, interval


@dataclass(frozen=True, slots=True)
class HumanAgreement:
    """Two annotators on the same crops."""

    crops: int
    people: int
    """Students in the crops."""
    agreement: Interval
    """Share of crops on which both say the same."""
    kappa: Interval
    """Cohen's."""
    quadratic_kappa: Interval
    """For rubrics whose labels are a scale."""


def human_agreement(
    persons: Sequence[str],
    first: Sequence[int],
    second: Sequence[int],
    labels: int,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> HumanAgreement | None:
    """Agreement with intervals over students; None where no crop was labelled twice.

    Args:
        persons: (N,) who is in each crop.
        first: (N,) one annotator's label.
        second: (N,) the other's.
        labels: how many labels there are.
        draws: of the bootstrap.
        seed: of the draws.
    """
    if not len(persons):
        return None
    one, other = (np.asarray(said, dtype=np.int64) for said in (first, second))
    by_person = counts_by_person(persons, one, other, labels)
    whole, drawn = by_person.sum(axis=0), bootstrap_counts(by_person, draws=draws, seed=seed)
    figures = (counts.accuracy, counts.kappa, counts.quadratic_kappa)
    return HumanAgreement(
        len(persons), len(by_person), *(interval(float(figure(whole)), figure(drawn)) for figure in figures)
    )
