"""Yes/no probes after POPE: "is the student looking at paper?", asked for a label that is true and one that is not.

Pure: P(yes) of every label's question in, figures out. Which false label is asked about is the strategy: any other one
(random), the commonest other one (popular), or the one most often confused with the truth on other pictures
(adversarial). Two figures that POPE lacks come with it: exactly one yes over all labels, and agreement with the
direct answer. An answer is yes where yes is likelier than no: nothing else can be said, so nothing is parsed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.folds import folds_by_person

YES_FROM = 0.5

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ProbeFigures:
    """One strategy: as many questions with the answer yes as with no. Yes is the positive answer."""

    questions: int
    accuracy: float
    precision: float
    """NaN where nothing was answered with yes."""
    recall: float
    f1: float
    yes_share: float
    """Share of questions answered with yes; one half is right."""


@dataclass(frozen=True)
class Probes:
    """All strategies, and how the answers hang together."""

    strategies: Mapping[str, ProbeFigures]
    adversarial_from: str
    """Where the confusions came from that adversarial probes are made of."""
    exactly_one_yes: float
    """Share of pictures with yes to one label alone."""
    no_yes: float
    """Share of pictures with yes to no label."""
    agreement: float
    """Share of pictures whose likeliest yes is the direct answer."""
    accuracy_by_likeliest_yes: float
    """If the likeliest yes were taken for the answer."""


def probe(
    yes: NDArray[np.float64],
    truth: Indices,
    direct: Indices,
    false_labels: Mapping[str, Indices],
    *,
    adversarial_from: str = "",
) -> Probes:
    """Measure the probes.

    Args:
        yes: (N, L) probability of yes to each label's question.
        truth: (N,).
        direct: (N,) the label that the model answers to the rubric's own question.
        false_labels: strategy -> (N,) which false label each picture is asked about.
        adversarial_from: said in the report.
    """
    said = yes >= YES_FROM
    likeliest = yes.argmax(axis=1)
    return Probes(
        strategies={name: _figures(said, truth, false) for name, false in false_labels.items()},
        adversarial_from=adversarial_from,
        exactly_one_yes=float((said.sum(axis=1) == 1).mean()),
        no_yes=float((~said.any(axis=1)).mean()),
        agreement=float((likeliest == direct).mean()),
        accuracy_by_likeliest_yes=float((likeliest == truth).mean()),
    )


def random_labels(truth: Indices, labels: int, seed: int = 0) -> Indices:
    """Any other label, all alike."""
    chosen: Indices = (truth + np.random.default_rng(seed).integers(1, labels, len(truth))) % labels
    return chosen


def popular_labels(truth: Indices, prior: NDArray[np.float64]) -> Indices:
    """The other label that is commonest in (L,) the deployment's shares."""
    return _largest_other(np.broadcast_to(prior, (len(truth), len(prior))), truth)


def adversarial_labels(truth: Indices, confusion: NDArray[np.int64], prior: NDArray[np.float64]) -> Indices:
    """The label that the truth is most often taken for.

    Args:
        truth: (N,).
        confusion: (L, L) on *other* pictures of other people, rows the truth.
        prior: (L,) decides between labels confused equally often.
    """
    # The share is below one, so it never outweighs a single confusion.
    return _largest_other(confusion[truth] + 0.5 * prior / prior.sum(), truth)


def cross_adversarial(
    truth: Indices, answers: Indices, persons: tuple[str, ...], prior: NDArray[np.float64], seed: int = 0
) -> Indices:
    """Adversarial labels where no other set is at hand: each half of the people by the confusions of the other half.

    Raises:
        ValueError: fewer than two people.
    """
    labels = len(prior)
    fold = folds_by_person(persons, 2, seed)
    chosen = np.empty_like(truth)
    for half in (0, 1):
        others = fold != half
        pairs = np.bincount(truth[others] * labels + answers[others], minlength=labels**2).reshape(labels, labels)
        chosen[~others] = adversarial_labels(truth[~others], pairs, prior)
    return chosen


def _largest_other(weights: NDArray[np.float64], truth: Indices) -> Indices:
    others = weights.astype(np.float64)
    others[np.arange(len(truth)), truth] = -np.inf
    chosen: Indices = others.argmax(axis=1).astype(np.int64)
    return chosen


def _figures(said: NDArray[np.bool_], truth: Indices, false: Indices) -> ProbeFigures:
    if (false == truth).any():
        raise ValueError("a probe for no must ask about another label than the true one")
    rows = np.arange(len(truth))
    hits, alarms = int(said[rows, truth].sum()), int(said[rows, false].sum())
    count = len(truth)
    return ProbeFigures(
        questions=2 * count,
        accuracy=(hits + count - alarms) / (2 * count),
        precision=hits / (hits + alarms) if hits + alarms else float("nan"),
        recall=hits / count,
        f1=2 * hits / (count + hits + alarms),
        yes_share=(hits + alarms) / (2 * count),
    )
