"""The figures a bundle is judged by. Pure: arrays in, numbers out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Truth = NDArray[np.int64]
Probabilities = NDArray[np.float64]
_FEWEST = 30  # a group with fewer pictures says nothing


def softmax(scores: NDArray[Any], temperature: float = 1.0) -> Probabilities:
    """(N, labels) log-probabilities to probabilities that sum to one."""
    scaled = scores.astype(np.float64) / temperature
    odds = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    shares: Probabilities = odds / odds.sum(axis=1, keepdims=True)
    return shares


def f1_per_label(truth: Truth, answers: Truth, count: int) -> list[float]:
    """F1 of each label, 0 to 1; 0 for a label that is neither true nor answered."""
    scores = []
    for label in range(count):
        hits = int(((truth == label) & (answers == label)).sum())
        seen = int((truth == label).sum() + (answers == label).sum())
        scores.append(2 * hits / seen if seen else 0.0)
    return scores


def calibration_error(truth: Truth, probabilities: Probabilities, bins: int = 15) -> float:
    """Expected calibration error of the likeliest label, 0 to 1."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    places = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gaps = [
        abs(confidence[places == place].mean() - right[places == place].mean()) * (places == place).mean()
        for place in range(bins)
        if (places == place).any()
    ]
    return float(sum(gaps))


def summarize(
    truth: Truth, probabilities: Probabilities, labels: Sequence[str], groups: Sequence[Mapping[str, str]]
) -> dict[str, Any]:
    """Accuracy, F1, calibration, and accuracy by group, as the manifest has them."""
    answers = probabilities.argmax(axis=1)
    scores = f1_per_label(truth, answers, len(labels))
    return {
        "pictures": len(truth),
        "accuracy": _round((answers == truth).mean()),
        "macro_f1": _round(np.mean(scores)),
        "f1": {label: _round(score) for label, score in zip(labels, scores, strict=True)},
        "calibration_error": _round(calibration_error(truth, probabilities)),
        "groups": _by_group(answers == truth, groups),
    }


def _by_group(right: NDArray[np.bool_], groups: Sequence[Mapping[str, str]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for key in sorted({key for group in groups for key in group}):
        values = np.array([group.get(key, "") for group in groups])
        table = {
            str(value): {"pictures": int((values == value).sum()), "accuracy": _round(right[values == value].mean())}
            for value in np.unique(values)
            if (values == value).sum() >= _FEWEST
        }
        if table:
            found[key] = table
    return found


def _round(value: Any) -> float:
    return round(float(value), 4)
