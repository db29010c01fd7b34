"""How far a run is, by steps or by the clock, and the learning rate that belongs to it.

This file knows no model.
"""

from __future__ import annotations

import math
import time


class Schedule:
    """Progress 0 to 1 of a run that ends after so many steps, or after so many seconds of work."""

    def __init__(self, *, steps: int, seconds: float, warmup: float, done: float = 0.0) -> None:
        self.step = 0
        self._steps = steps
        self._seconds = seconds
        self._warmup = warmup
        self._started_at = time.monotonic()
        self._before = done
        """Share of the run that an earlier process did."""

    @property
    def elapsed_s(self) -> float:
        """Seconds since this process began the run."""
        return time.monotonic() - self._started_at

    @property
    def progress(self) -> float:
        """Share of the run that is done, 0 to 1; a run of no steps and no seconds is done."""
        if not self._steps and not self._seconds:
            return 1.0
        share = self.step / self._steps if self._steps else self.elapsed_s / self._seconds
        return min(1.0, self._before + share)

    @property
    def over(self) -> bool:
        """Whether the run is at its end."""
        return self.progress >= 1.0

    @property
    def rate(self) -> float:
        """Factor on the peak learning rate: a linear rise, then half a cosine to zero."""
        done = self.progress
        if done < self._warmup:
            return max(0.02, done / self._warmup)
        return 0.5 * (1 + math.cos(math.pi * (done - self._warmup) / (1 - self._warmup)))

    def advance(self) -> float:
        """Count one step; returns the learning rate's factor for it."""
        factor = self.rate
        self.step += 1
        return factor
