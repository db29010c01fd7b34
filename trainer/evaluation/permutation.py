"""The within-student null: how well would a model do that knows who is in the picture, and nothing else?

The true labels of each student are shuffled among that student's own pictures. A model that has only learnt identity
(this student mostly looks at paper) does as well on shuffled labels as on the true ones. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation import counts
from trainer.evaluation.counts import Counts, Figure
from trainer.evaluation.intervals import people_of

_BATCH = 64


@dataclass(frozen=True)
class PermutationNull:
    """A figure against its values under shuffled labels."""

    observed: float
    draws: NDArray[np.float64]
    """(draws,): the figure under shuffled labels, sorted."""
    informative_people: int
    """People with pictures of two labels or more: the only ones whom shuffling changes."""
    people: int

    @property
    def testable(self) -> bool:
        """Whether anybody's labels could be shuffled; if not, p_value says nothing."""
        return self.informative_people > 0

    @property
    def p_value(self) -> float:
        """Share of draws that do as well as the model, the model itself counted in; NaN where nothing is testable."""
        if not self.testable:
            return float("nan")
        return float((1 + (self.draws >= self.observed - 1e-12).sum()) / (1 + len(self.draws)))

    @property
    def mean(self) -> float:
        """What knowing identity alone would give."""
        return float(self.draws.mean())

    @property
    def beyond_identity(self) -> float:
        """How much of the figure identity does not explain."""
        return self.observed - self.mean


def permute_within(
    persons: Sequence[str],
    truth: NDArray[np.int64],
    answers: NDArray[np.int64],
    labels: int,
    figure: Callable[[Counts], Figure] = counts.macro_f1,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> PermutationNull:
    """Shuffle the truth within each person.

    Args:
        persons: (N,) whose each row is.
        truth: (N,) label indices.
        answers: (N,) what the model said.
        labels: how many labels there are.
        figure: of stacked confusion matrices.
        draws: how many shuffles.
        seed: of the shuffles.
    """
    names, owner = people_of(persons)
    by_owner = np.argsort(owner, kind="stable")
    owner, truth, answers = owner[by_owner], truth[by_owner], answers[by_owner]
    rng = np.random.default_rng(seed)
    values = []
    for start in range(0, draws, _BATCH):
        size = min(_BATCH, draws - start)
        # Owners are whole numbers: adding a share of one shuffles within each owner and never across.
        order = np.argsort(owner + rng.random((size, len(owner))), axis=1)
        place = truth[order] * labels + answers + np.arange(size)[:, None] * labels**2
        stack = np.bincount(place.ravel(), minlength=size * labels**2).reshape(size, labels, labels)
        values.append(figure(stack))
    observed = np.bincount(truth * labels + answers, minlength=labels**2).reshape(labels, labels)
    told_apart = sum(len(np.unique(truth[owner == index])) > 1 for index in range(len(names)))
    return PermutationNull(float(figure(observed)), np.sort(np.concatenate(values)), told_apart, len(names))
