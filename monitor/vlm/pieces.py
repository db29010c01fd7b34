"""Runs many crops through a graph a few at a time, and on each core others.

With more at once, what passes between a graph's operators outgrows a core's own cache; and a core that works through
its own crops waits for no other, as it does where every operator is shared out. It knows no onnxruntime.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SEEN_AT_ONCE_PX = 9 * 128 * 128
"""7 to 13 crops of 128 x 128 are much alike; fewer pay for each start, more leave the cache."""
ANSWERED_AT_ONCE = 32
"""Crops that a label graph answers at a time: it is small, but memory grows with them."""

Rows = NDArray[Any]


def seen_at_once(side_px: int) -> int:
    """Crops of so many pixels a side that a graph shall see at a time."""
    return max(1, _SEEN_AT_ONCE_PX // side_px**2)


class Pieces:
    """Cores that work through rows side by side. Several threads may use it at a time."""

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads, "crops") if threads > 1 else None  # starts its threads when used

    def run(self, call: Callable[[Rows], Rows], rows: Rows, at_once: int) -> Rows:
        """What a call makes of rows, one or more, in their order: as many pieces for each core, and none too large."""
        rounds = -(-len(rows) // (at_once * self.threads))
        parts = np.array_split(rows, min(len(rows), rounds * self.threads))
        if len(parts) == 1:
            return call(rows)
        made = map(call, parts) if self._pool is None else self._pool.map(call, parts)
        return np.concatenate(list(made))
