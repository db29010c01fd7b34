"""Figures from labels and predictions: confusion, F1, the majority baseline, calibration error.

Pure: arrays in, numbers out. This file knows neither models nor files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Scores:
    """How well predictions meet the truth."""

    confusion: NDArray[np.int64]
    """(L, L): rows are the truth, columns the prediction."""

    @property
    def accuracy(self) -> float:
        """Share of right answers; NaN for none."""
        total = int(self.confusion.sum())
        return float(np.trace(self.confusion) / total) if total else float("nan")

    @property
    def f1(self) -> NDArray[np.float64]:
        """(L,): F1 of each label; NaN where it occurs neither in truth nor in prediction."""
        right = np.diag(self.confusion).astype(np.float64)
        both = self.confusion.sum(axis=0) + self.confusion.sum(axis=1)
        values = np.full(len(right), np.nan)
        np.divide(2 * right, both, out=values, where=both > 0)
        return values

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the labels that occur in the truth; NaN for none."""
        occurs = self.confusion.sum(axis=1) > 0
        return float(self.f1[occurs].mean()) if occurs.any() else float("nan")


def score(truth: Labels, predicted: Labels, labels: int) -> Scores:
    """Count how often each label was called each.

    Raises:
        ValueError: arrays of different length, or an index outside 0..labels-1.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"truth has {truth.shape} entries, predictions {predicted.shape}")
    for name, values in (("truth", truth), ("predicted", predicted)):
        if values.size and not (values.min() >= 0 and values.max() < labels):
            raise ValueError(f"{name} must lie in 0..{labels - 1}, found {values.min()}..{values.max()}")
    counts = np.bincount(truth * labels + predicted, minlength=labels * labels)
    return Scores(counts.reshape(labels, labels))


def majority_baseline(truth: Labels, labels: int) -> Scores:
    """What always answering the commonest label would give: every figure is read against it."""
    commonest = int(np.bincount(truth, minlength=labels).argmax())
    return score(truth, np.full_like(truth, commonest), labels)


def expected_calibration_error(probabilities: NDArray[np.float64], truth: Labels, bins: int = 15) -> float:
    """Mean gap between confidence and accuracy, weighted over equal-width bins of confidence.

    Args:
        probabilities: (N, L), rows sum to one.
        truth: (N,).
        bins: number of bins.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(confidence[place == b].mean() - right[place == b].mean()) * (place == b).mean()
        for b in range(bins)
        if (place == b).any()
    ]
    return float(sum(gaps))
