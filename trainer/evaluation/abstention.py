"""What silence buys: accuracy of the answers that are given, against the share of pictures that get one.

Pure. Answers of equal confidence are given or withheld together, so that no order of the rows can flatter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.folds import folds_by_person
from trainer.evaluation.metrics import score

WANTED = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
"""Coverages that a report lists."""


@dataclass(frozen=True)
class Point:
    """What answering from one confidence on would give."""

    threshold: float
    """Answers of this confidence and above are given."""
    coverage: float
    accuracy: float
    """Of the answers given; NaN for none."""
    macro_f1: float
    by_label: tuple[float, ...]
    """Share of each true label that still gets an answer: silence that falls on one label alone is no virtue."""


@dataclass(frozen=True)
class Abstention:
    """The curve, points of it, and one threshold chosen on other people."""

    coverage: NDArray[np.float64]
    """(K,) of the curve, rising to 1; one place a distinct confidence."""
    accuracy: NDArray[np.float64]
    """(K,)."""
    area: float
    """Mean error over the curve: lower is better."""
    points: tuple[Point, ...]
    """At the coverages of WANTED, or the next ones above them that ties allow."""
    chosen: Point | None
    """Thresholds chosen for `wanted` coverage on other people, and what came of it; None with fewer than two people."""
    wanted: float


def abstain(
    probabilities: NDArray[np.float64],
    truth: NDArray[np.int64],
    persons: Sequence[str],
    *,
    wanted: float = 0.9,
    folds: int = 5,
    seed: int = 0,
) -> Abstention:
    """Measure abstention.

    Args:
        probabilities: (N, L), rows sum to one.
        truth: (N,).
        persons: (N,) whose each row is.
        wanted: coverage that thresholds are chosen for on other people.
        folds: of people.
        seed: of the folds.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    coverage, accuracy = curve(confidence, right)
    points = [at_threshold(probabilities, truth, threshold_for(confidence, share)) for share in WANTED]
    chosen = None
    if len(set(persons)) >= 2:
        fold = folds_by_person(persons, folds, seed)
        thresholds = np.array([threshold_for(confidence[fold != k], wanted) for k in range(fold.max() + 1)])
        chosen = at_threshold(probabilities, truth, thresholds[fold])
    width = np.diff(np.concatenate(([0.0], coverage)))
    return Abstention(coverage, accuracy, float(((1 - accuracy) * width).sum()), tuple(points), chosen, wanted)


def curve(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coverage and accuracy at each distinct confidence, from the surest down."""
    order = np.argsort(-confidence, kind="stable")
    given = np.arange(1, len(order) + 1)
    hits = np.cumsum(right[order])
    last = np.flatnonzero(np.append(np.diff(confidence[order]) != 0, True))
    return given[last] / len(order), hits[last] / given[last]


def threshold_for(confidence: NDArray[np.float64], coverage: float) -> float:
    """The highest threshold that still answers at least that share of the pictures."""
    place = int(np.ceil(coverage * len(confidence) - 1e-9))
    return float(np.sort(confidence)[::-1][max(place, 1) - 1])


def at_threshold(
    probabilities: NDArray[np.float64], truth: NDArray[np.int64], threshold: float | NDArray[np.float64]
) -> Point:
    """What a threshold gives; one for all rows, or (N,) one a row (then their mean is named)."""
    labels = probabilities.shape[1]
    sure = probabilities.max(axis=1) >= threshold
    scores = score(truth[sure], probabilities.argmax(axis=1)[sure], labels)
    reached = [float(sure[truth == k].mean()) if (truth == k).any() else float("nan") for k in range(labels)]
    return Point(float(np.mean(threshold)), float(sure.mean()), scores.accuracy, scores.macro_f1, tuple(reached))
