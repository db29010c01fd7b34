"""Figures of confusion matrices, of one or of a whole stack at a time, so that a bootstrap costs one pass.

Pure: counts in, numbers out. Rows are the truth, columns what the model really said. This file knows no people.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
"""(..., L, L)."""
Figure = NDArray[np.float64]
"""(...): one number a matrix; NaN where the figure has no meaning."""


def accuracy(counts: Counts) -> Figure:
    """Share of right answers."""
    return _divide(np.trace(counts, axis1=-2, axis2=-1), counts.sum(axis=(-2, -1)))


def precision(counts: Counts) -> Figure:
    """(..., L): share of each answer that is right; NaN for a label that was never answered."""
    return _divide(_hits(counts), counts.sum(axis=-2))


def recall(counts: Counts) -> Figure:
    """(..., L): share of each true label that was found; NaN for a label that does not occur."""
    return _divide(_hits(counts), counts.sum(axis=-1))


def f1(counts: Counts) -> Figure:
    """(..., L): harmonic mean of both; NaN for a label that neither occurs nor is answered."""
    return _divide(2 * _hits(counts), counts.sum(axis=-2) + counts.sum(axis=-1))


def macro_precision(counts: Counts) -> Figure:
    """Mean over the labels that occur in the truth; one that is never answered counts as 0, not as missing."""
    return _macro(np.nan_to_num(precision(counts)), counts)


def macro_recall(counts: Counts) -> Figure:
    """Mean over the labels that occur in the truth."""
    return _macro(recall(counts), counts)


def balanced_accuracy(counts: Counts) -> Figure:
    """The same as macro recall, under the name by which many look for it."""
    return macro_recall(counts)


def macro_f1(counts: Counts) -> Figure:
    """Mean F1 over the labels that occur in the truth."""
    return _macro(f1(counts), counts)


def kappa(counts: Counts) -> Figure:
    """Cohen's: agreement beyond chance. 0 for a constant answer, 1 for all right, below 0 for worse than chance."""
    return weighted_kappa(counts, power=0)


def linear_kappa(counts: Counts) -> Figure:
    """Cohen's, an error weighing by how many steps of the rubric's order it is off."""
    return weighted_kappa(counts, power=1)


def quadratic_kappa(counts: Counts) -> Figure:
    """Cohen's, an error weighing by the square of how many steps it is off."""
    return weighted_kappa(counts, power=2)


def weighted_kappa(counts: Counts, power: int) -> Figure:
    """Cohen's kappa with errors weighing |i - j| ** power.

    Args:
        counts: (..., L, L).
        power: 0 = every error weighs the same, 1 = linear, 2 = quadratic.

    Returns:
        NaN where chance alone is already perfect (one label in the truth, and always answered).
    """
    steps = np.abs(np.subtract.outer(np.arange(counts.shape[-1]), np.arange(counts.shape[-1])))
    weights = np.where(steps == 0, 0.0, steps.astype(np.float64) ** power)
    total = counts.sum(axis=(-2, -1))
    chance = counts.sum(axis=-1)[..., :, None] * counts.sum(axis=-2)[..., None, :]
    seen = (weights * counts).sum(axis=(-2, -1))
    expected = _divide((weights * chance).sum(axis=(-2, -1)), total)
    return 1.0 - _divide(seen, expected)


HEADLINE: dict[str, Callable[[Counts], Figure]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_precision": macro_precision,
    "macro_recall": macro_recall,
    "macro_f1": macro_f1,
    "kappa": kappa,
    "linear_kappa": linear_kappa,
    "quadratic_kappa": quadratic_kappa,
}
"""The figures that a report opens with, by their names in its JSON."""


def _hits(counts: Counts) -> Counts:
    return np.diagonal(counts, axis1=-2, axis2=-1)


def _macro(by_label: Figure, counts: Counts) -> Figure:
    occurs = counts.sum(axis=-1) > 0
    return _divide(np.where(occurs, by_label, 0.0).sum(axis=-1), occurs.sum(axis=-1))


def _divide(above: NDArray[np.number], below: NDArray[np.number]) -> Figure:
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    result = np.full(np.broadcast_shapes(above.shape, below.shape), np.nan)
    np.divide(above, below, out=result, where=below > 0)
    return result
