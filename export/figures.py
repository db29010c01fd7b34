"""The figures a bundle is judged by. Pure: arrays in, numbers out.

Formulas are those of `trainer.evaluation`, which this room may not import; a test holds both to the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Truth = NDArray[np.int64]
Probabilities = NDArray[np.float64]
Counts = NDArray[np.int64]
"""(..., L, L): rows are the truth, columns the answer."""
FEWEST = 30
"""A group with fewer pictures says nothing."""
DRAWS = 2000
"""Of the bootstrap over people."""


def softmax(scores: NDArray[Any], temperature: float = 1.0) -> Probabilities:
    """(N, labels) log-probabilities to probabilities that sum to one."""
    scaled = scores.astype(np.float64) / temperature
    odds = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    shares: Probabilities = odds / odds.sum(axis=1, keepdims=True)
    return shares


def confusion(truth: Truth, answers: Truth, count: int) -> Counts:
    """(L, L): how often each label was called each."""
    return np.bincount(truth * count + answers, minlength=count * count).reshape(count, count)


def f1_per_label(counts: Counts) -> NDArray[np.float64]:
    """(..., L): NaN for a label that is neither true nor answered."""
    return _share(2 * np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(axis=-2) + counts.sum(axis=-1))


def macro_f1(counts: Counts) -> NDArray[np.float64]:
    """(...): mean F1 over the labels that occur in the truth; NaN for none."""
    occurs = counts.sum(axis=-1) > 0
    return _share(np.where(occurs, f1_per_label(counts), 0.0).sum(axis=-1), occurs.sum(axis=-1))


def interval(people: Sequence[str] | NDArray[np.str_], truth: Truth, answers: Truth, count: int) -> tuple[float, float]:
    """95 % interval of macro-F1: whole people are drawn anew, for pictures of one person are not independent."""
    names, owner = np.unique(np.asarray(people), return_inverse=True)
    places = (owner * count + truth) * count + answers
    by_person = np.bincount(places, minlength=len(names) * count**2).astype(np.float64)
    weights = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), size=DRAWS)
    drawn = np.rint(weights @ by_person.reshape(len(names), -1)).astype(np.int64).reshape(DRAWS, count, count)
    found = macro_f1(drawn)
    low, high = np.quantile(found[~np.isnan(found)], [0.025, 0.975])
    return float(low), float(high)


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


def reliability(truth: Truth, probabilities: Probabilities, parts: int = 5) -> list[dict[str, Any]]:
    """Confidence and accuracy of equally many pictures at a time, the least sure first."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    return [
        {"pictures": len(rows), "confidence": rounded(confidence[rows].mean()), "accuracy": rounded(right[rows].mean())}
        for rows in np.array_split(np.argsort(confidence, kind="stable"), parts)
        if len(rows)
    ]


def judge(truth: Truth, answers: Truth, people: NDArray[np.str_], labels: Sequence[str]) -> dict[str, Any]:
    """How answers meet the truth, as the manifest has it; None stands for a figure without a meaning."""
    count = len(labels)
    counts = confusion(truth, answers, count)
    commonest = np.full_like(truth, int(np.bincount(truth, minlength=count).argmax()))
    return {
        "pictures": len(truth),
        "people": len(np.unique(people)),
        "macro_f1": rounded(macro_f1(counts)),
        "macro_f1_interval": [rounded(edge) for edge in interval(people, truth, answers, count)],
        "majority_macro_f1": rounded(macro_f1(confusion(truth, commonest, count))),
        "accuracy": rounded((answers == truth).mean()),
        "f1": {label: rounded(score) for label, score in zip(labels, f1_per_label(counts), strict=True)},
        "confusion": counts.tolist(),
    }


def by_group(
    truth: Truth,
    answers: Truth,
    people: NDArray[np.str_],
    groups: Sequence[Mapping[str, str]],
    count: int,
) -> dict[str, dict[str, Any]]:
    """Macro-F1 of each group with its interval and its distance to the mean of all; below zero is worse."""
    mean = float(macro_f1(confusion(truth, answers, count)))
    found: dict[str, dict[str, Any]] = {}
    for key in sorted({key for group in groups for key in group}):
        values = np.array([group.get(key, "") for group in groups])
        for value in np.unique(values):
            rows = values == value
            if rows.sum() < FEWEST or rows.all():
                continue
            score = float(macro_f1(confusion(truth[rows], answers[rows], count)))
            found.setdefault(key, {})[str(value)] = {
                "pictures": int(rows.sum()),
                "macro_f1": rounded(score),
                "macro_f1_interval": [rounded(e) for e in interval(people[rows], truth[rows], answers[rows], count)],
                "to_mean": rounded(score - mean),
                "accuracy": rounded((answers == truth)[rows].mean()),
            }
    return found


def rounded(value: Any) -> float | None:
    """Four decimals; None for NaN, which JSON has not."""
    return None if np.isnan(value) else round(float(value), 4)


def _share(above: NDArray[Any], below: NDArray[Any]) -> NDArray[np.float64]:
    result = np.full(np.broadcast_shapes(np.shape(above), np.shape(below)), np.nan)
    np.divide(above, below, out=result, where=np.asarray(below) > 0)
    return result
