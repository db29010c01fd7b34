"""How well two sets of labels agree: Cohen's kappa with its interval. Labels in, numbers out; knows no store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 1000
MIN_GROUPS = 3
"""With fewer people in the pictures nothing can be said about others: there is no interval then."""
_MOST_UNDEFINED = 0.05


@dataclass(frozen=True, slots=True)
class Kappa:
    """Agreement beyond chance: 1 is perfect, 0 is chance."""

    value: float | None
    """None: undefined, since there is nothing to compare, or both always say the same one word."""
    low: float | None
    high: float | None
    """95 % interval, drawn by the people in the pictures; None where it is undefined."""
    items: int
    same: int
    """Items on which both said the same."""


def cohen_kappa(pairs: Sequence[tuple[str, str]], groups: Sequence[str], *, seed: int = 0) -> Kappa:
    """Kappa of two answers on each item.

    Args:
        pairs: the two answers, can't tell left out.
        groups: who is in the picture, one an item: the interval draws whole people, since pictures of one are alike.
        seed: of the draws.

    Raises:
        ValueError: as many groups as pairs are needed.
    """
    if len(pairs) != len(groups):
        raise ValueError(f"one group an item, found {len(groups)} for {len(pairs)}")
    same = sum(first == second for first, second in pairs)
    if not pairs:
        return Kappa(None, None, None, 0, 0)
    words = sorted({word for pair in pairs for word in pair})
    people = sorted(set(groups))
    counts = np.zeros((len(people), len(words), len(words)))
    for (first, second), group in zip(pairs, groups, strict=True):
        counts[people.index(group), words.index(first), words.index(second)] += 1
    value = float(_kappas(counts.sum(0)[None])[0])
    if np.isnan(value):
        return Kappa(None, None, None, len(pairs), same)
    low, high = _interval(counts, seed) if len(people) >= MIN_GROUPS else (None, None)
    return Kappa(value, low, high, len(pairs), same)


def _interval(counts: NDArray[np.float64], seed: int) -> tuple[float | None, float | None]:
    """Percentiles over draws of people, with replacement; counts: (people, words, words)."""
    people, words, _ = counts.shape
    drawn = np.random.default_rng(seed).multinomial(people, np.full(people, 1 / people), size=DRAWS)
    kappas = _kappas((drawn @ counts.reshape(people, -1)).reshape(DRAWS, words, words))
    if np.isnan(kappas).mean() > _MOST_UNDEFINED:
        return None, None
    low, high = np.nanpercentile(kappas, [2.5, 97.5])
    return float(low), float(high)


def _kappas(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each table (n, words, words); NaN where chance alone would always agree."""
    shares = tables / tables.sum((1, 2), keepdims=True)
    observed = np.trace(shares, axis1=1, axis2=2)
    chance = (shares.sum(1) * shares.sum(2)).sum(1)
    free = 1.0 - chance
    defined = free > 1e-12
    return np.where(defined, (observed - chance) / np.where(defined, free, 1.0), np.nan)
