"""Bootstrap intervals over people: pictures of one person are not independent, so whole people are drawn.

Pure. This file knows neither models nor files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray


def bootstrap_by_person(
    persons: Sequence[str],
    figure: Callable[[NDArray[np.int64]], float],
    *,
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """An interval for a figure of a set.

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
    if not persons:
        raise ValueError("no rows to draw from: expected at least one person")
    names, owner = np.unique(np.asarray(persons), return_inverse=True)
    rows = [np.flatnonzero(owner == index) for index in range(len(names))]
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(draws):
        drawn = rng.integers(0, len(names), len(names))
        values.append(figure(np.concatenate([rows[index] for index in drawn])))
    edge = (1 - level) / 2
    low, high = np.nanquantile(values, [edge, 1 - edge])
    return float(low), float(high)
