"""Two models on the same pictures: McNemar's exact test, and the bootstrap of the difference over people.

Pure. Both models are drawn with the same people each time: the difference is far better known than each figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, lgamma, log

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation import counts
from trainer.evaluation.counts import Counts
from trainer.evaluation.intervals import Interval, bootstrap_counts, counts_by_person, interval

FIGURES = ("accuracy", "balanced_accuracy", "macro_f1", "kappa")
"""Of counts.HEADLINE: what two models are compared by."""


@dataclass(frozen=True)
class Comparison:
    """This model minus the other; above 0 this one is better."""

    differences: dict[str, Interval]
    """Of each figure of FIGURES."""
    f1_by_label: tuple[Interval, ...]
    recall_by_label: tuple[Interval, ...]
    better_share: float
    """Share of draws of people in which this model's macro-F1 is the higher one."""
    only_this_right: int
    only_other_right: int
    mcnemar_p: float
    """Exact and two-sided. It takes pictures for independent, which those of one person are not: the intervals over
    people lead."""


def compare(
    truth: NDArray[np.int64],
    this: NDArray[np.int64],
    other: NDArray[np.int64],
    persons: Sequence[str],
    labels: int,
    *,
    draws: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare the answers of two models to the same pictures, row by row.

    Raises:
        ValueError: the rows do not match.
    """
    if not truth.shape == this.shape == other.shape or len(persons) != len(truth):
        raise ValueError(f"both models need an answer a row: {truth.shape}, {this.shape}, {other.shape}")
    ours, theirs = (counts_by_person(persons, truth, answers, labels) for answers in (this, other))
    whole = ours.sum(axis=0), theirs.sum(axis=0)
    drawn = bootstrap_counts(ours, draws=draws, seed=seed), bootstrap_counts(theirs, draws=draws, seed=seed)
    only_this = int(((this == truth) & (other != truth)).sum())
    only_other = int(((this != truth) & (other == truth)).sum())
    return Comparison(
        differences={name: _difference(whole, drawn, name) for name in FIGURES},
        f1_by_label=_by_label(counts.f1(whole[0]) - counts.f1(whole[1]), counts.f1(drawn[0]) - counts.f1(drawn[1])),
        recall_by_label=_by_label(
            counts.recall(whole[0]) - counts.recall(whole[1]), counts.recall(drawn[0]) - counts.recall(drawn[1])
        ),
        better_share=float((counts.macro_f1(drawn[0]) > counts.macro_f1(drawn[1])).mean()),
        only_this_right=only_this,
        only_other_right=only_other,
        mcnemar_p=mcnemar(only_this, only_other),
    )


def mcnemar(only_this: int, only_other: int) -> float:
    """Two-sided exact p-value: how likely so uneven a split of the pictures that one model alone got right is."""
    unequal = only_this + only_other
    if unequal == 0:
        return 1.0
    tail = sum(exp(_log_choose(unequal, k) - unequal * log(2)) for k in range(min(only_this, only_other) + 1))
    return min(1.0, 2 * tail)


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def _difference(whole: tuple[Counts, Counts], drawn: tuple[Counts, Counts], name: str) -> Interval:
    figure = counts.HEADLINE[name]
    return interval(float(figure(whole[0]) - figure(whole[1])), figure(drawn[0]) - figure(drawn[1]))


def _by_label(values: NDArray[np.float64], draws: NDArray[np.float64]) -> tuple[Interval, ...]:
    return tuple(interval(float(value), column) for value, column in zip(values, draws.T, strict=True))
