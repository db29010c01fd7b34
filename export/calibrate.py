"""Fits temperature and abstain threshold on held-out crops, with the answers of the *quantized* graph.

Pure: scores and truth in, numbers out. It does not know where the scores come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.figures import Probabilities, Truth, softmax
from monitor.errors import BadInputError

COVERAGE = 0.90
"""At least this share of held-out crops must get an answer."""
_FEWEST = 2


@dataclass(frozen=True, slots=True)
class Calibration:
    """How scores become probabilities, and from which confidence on they are an answer."""

    temperature: float
    abstain_threshold: float


def fit_temperature(scores: NDArray[Any], truth: Truth) -> float:
    """The temperature with the least mean negative log-likelihood, between 0.05 and 20.

    Args:
        scores: (N, labels) label log-probabilities.
        truth: (N,) indices of the true labels.

    Raises:
        BadInputError: an empty calibration set, or one with a single label in it.
    """
    if len(truth) < _FEWEST or len(np.unique(truth)) < _FEWEST:
        raise BadInputError(
            f"calibration needs crops of two labels or more, found {len(truth)} crops of {len(np.unique(truth))}. "
            "Render more held-out crops."
        )
    low, high = np.log(0.05), np.log(20.0)
    for _ in range(6):  # each pass narrows the span tenfold
        candidates = np.linspace(low, high, 21)
        losses = [_surprise(softmax(scores, float(np.exp(value))), truth) for value in candidates]
        best, step = candidates[int(np.argmin(losses))], candidates[1] - candidates[0]
        low, high = max(best - step, np.log(0.05)), min(best + step, np.log(20.0))
    return round(float(np.exp(best)), 4)


def choose_threshold(probabilities: Probabilities, coverage: float = COVERAGE) -> float:
    """The highest threshold that still answers at least `coverage` of the crops (rounded down to 4 decimals)."""
    confidence = np.sort(probabilities.max(axis=1))
    silent = int(np.floor(len(confidence) * (1 - coverage) + 1e-9))
    return float(np.floor(confidence[silent] * 1e4) / 1e4)


def describe(probabilities: Probabilities, truth: Truth, threshold: float) -> dict[str, float]:
    """Coverage, and accuracy of the answers given, at a threshold."""
    sure = probabilities.max(axis=1) >= threshold
    right = probabilities.argmax(axis=1) == truth
    return {
        "coverage": round(float(sure.mean()), 4),
        "accuracy_when_sure": round(float(right[sure].mean()), 4) if sure.any() else 0.0,
    }


def _surprise(probabilities: Probabilities, truth: Truth) -> float:
    return float(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-12)).mean())
