"""Bootstrap intervals over people: pictures of one person are not independent, so whole people are drawn.

Pure. This file knows neither models nor files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.counts import Counts

LEVEL = 0.95
"""Share of draws inside an interval."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with the range in which it would lie for other people of the same kind."""

    value: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether the figure has a meaning at all."""
        return not np.isnan(self.value)


def interval(value: float, draws: NDArray[np.float64], level: float = LEVEL) -> Interval:
    """An interval from the figure of each draw; NaN draws (a label that nobody drawn has) are left out."""
    known = draws[~np.isnan(draws)]
    if not len(known):
        return Interval(float(value), float("nan"), float("nan"))
    edge = (1 - level) / 2
    low, high = np.quantile(known, [edge, 1 - edge])
    return Interval(float(value), float(low), float(high))


def people_of(persons: Sequence[str]) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Names of the people, and (N,) whose each row is.

    Raises:
        ValueError: nobody.
    """
    if not len(persons):
        raise ValueError("no rows to draw from: expected at least one person")
    names, owner = np.unique(np.asarray(persons), return_inverse=True)
    return names, owner.astype(np.int64)


def draw_people(people: int, draws: int, seed: int) -> NDArray[np.int64]:
    """(draws, people): how often each person is drawn, with replacement, as many as there are."""
    return np.random.default_rng(seed).multinomial(people, np.full(people, 1 / people), size=draws)


def counts_by_person(
    persons: Sequence[str], truth: NDArray[np.int64], answers: NDArray[np.int64], labels: int
) -> Counts:
    """(people, L, L): a confusion matrix a person."""
    names, owner = people_of(persons)
    place = (owner * labels + truth) * labels + answers
    return np.bincount(place, minlength=len(names) * labels**2).reshape(len(names), labels, labels)


def bootstrap_counts(by_person: Counts, *, draws: int, seed: int) -> Counts:
    """(draws, L, L): confusion matrices of people drawn anew.

    Args:
        by_person: (people, L, L), from `counts_by_person`.
        draws: how many.
        seed: of the draws; two models drawn with the same seed meet the same people.
    """
    weights = draw_people(len(by_person), draws, seed).astype(np.float64)
    # Whole numbers far below 2 ** 53: floats are exact, and many times faster to multiply.
    drawn = weights @ by_person.reshape(len(by_person), -1).astype(np.float64)
    return np.rint(drawn).astype(np.int64).reshape(draws, *by_person.shape[1:])


def bootstrap_by_person(
    persons: Sequence[str],
    figure: Callable[[NDArray[np.int64]], float],
    *,
    draws: int = 1000,
    seed: int = 0,
    level: float = LEVEL,
) -> tuple[float, float]:
    """An interval for any figure of a set.

    Args:
        persons: (N,) who each row belongs to.
        figure: computes the figure from row indices (rows may repeat).
        draws: how many times the people are drawn anew.
        seed: of the draws.
        level: share of draws inside the interval.

    Returns:
        lower and upper end; NaN draws (a label that nobody drawn has) are left out.

    Raises:
        ValueError: nobody to draw.
    """
    names, owner = people_of(persons)
    rows = [np.flatnonzero(owner == index) for index in range(len(names))]
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(draws):
        drawn = rng.integers(0, len(names), len(names))
        values.append(figure(np.concatenate([rows[index] for index in drawn])))
    found = interval(float("nan"), np.array(values), level)
    return found.low, found.high
