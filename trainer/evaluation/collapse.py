"""Class collapse: whether a model that looks accurate in fact says one thing to nearly all pictures.

Pure. Zero-shot models put 85 to 100 % of their answers into one class; accuracy on an imbalanced set hides it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COLLAPSED_SHARE = 0.85
"""Of all answers in one label; more, and more than the truth has by EXCESS, is called collapse."""
EXCESS = 0.10


@dataclass(frozen=True)
class Collapse:
    """How answers are spread over the labels, beside the truth."""

    answered: tuple[float, ...]
    """Share of each label among the answers."""
    occurs: tuple[float, ...]
    """Share of each label in the truth."""
    top: int
    """The label answered most."""
    effective_labels: float
    """exp(entropy) of the answers: 1 = one label alone, L = all alike."""
    distance: float
    """Total variation between answers and truth, 0 to 1."""
    never: tuple[int, ...]
    """Labels that occur and are never answered."""
    spread: tuple[float, ...]
    """Standard deviation of each label's probability over the pictures: near 0, it does not look at them."""

    @property
    def collapsed(self) -> bool:
        """Whether nearly all answers are one label, more than the truth accounts for."""
        share = self.answered[self.top]
        return share >= COLLAPSED_SHARE and share >= self.occurs[self.top] + EXCESS


def find_collapse(probabilities: NDArray[np.float64], truth: NDArray[np.int64]) -> Collapse:
    """Measure how answers spread: (N, L) probabilities, (N,) truth; N of at least one."""
    labels = probabilities.shape[1]
    answered = np.bincount(probabilities.argmax(axis=1), minlength=labels) / len(truth)
    occurs = np.bincount(truth, minlength=labels) / len(truth)
    some = answered[answered > 0]
    return Collapse(
        answered=tuple(map(float, answered)),
        occurs=tuple(map(float, occurs)),
        top=int(answered.argmax()),
        effective_labels=float(np.exp(-(some * np.log(some)).sum())),
        distance=float(np.abs(answered - occurs).sum() / 2),
        never=tuple(int(k) for k in np.flatnonzero((answered == 0) & (occurs > 0))),
        spread=tuple(map(float, probabilities.std(axis=0))),
    )
