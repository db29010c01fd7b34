"""Scores from labels and predictions: confusion, F1 and its kin, the majority baseline, calibration error.

Pure: arrays in, numbers out; the formulas are in counts.py. This file knows neither models nor files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation import counts

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Scores:
    """How well predictions meet the truth."""

    confusion: NDArray[np.int64]
    """(L, L): rows are the truth, columns the prediction."""

    @property
    def accuracy(self) -> float:
        """Share of right answers; NaN for none."""
        return float(counts.accuracy(self.confusion))

    @property
    def precision(self) -> NDArray[np.float64]:
        """(L,): NaN for a label that was never answered."""
        return counts.precision(self.confusion)

    @property
    def recall(self) -> NDArray[np.float64]:
        """(L,): NaN for a label that does not occur."""
        return counts.recall(self.confusion)

    @property
    def f1(self) -> NDArray[np.float64]:
        """(L,): F1 of each label; NaN where it occurs neither in truth nor in prediction."""
        return counts.f1(self.confusion)

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the labels that occur in the truth; NaN for none."""
        return float(counts.macro_f1(self.confusion))

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall over the labels that occur in the truth; NaN for none."""
        return float(counts.balanced_accuracy(self.confusion))

    @property
    def kappa(self) -> float:
        """Cohen's: agreement beyond chance."""
        return float(counts.kappa(self.confusion))


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
    pairs = np.bincount(truth * labels + predicted, minlength=labels * labels)
    return Scores(pairs.reshape(labels, labels))


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
