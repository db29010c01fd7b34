"""Which sample a moment belongs to. Whole numbers only: a rate of 0.3 must not lose a frame to rounding."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class SampleGrid:
    """Sample times k / rate over a clock that counts ticks from `origin`."""

    rate: Fraction
    """Samples per second."""
    tick_s: Fraction
    """Seconds of one tick of the clock."""
    origin: int = 0
    """Ticks at media time 0."""

    @classmethod
    def of(cls, rate: float, tick_s: Fraction, origin: int = 0) -> SampleGrid:
        """A grid for a rate as people write it: 0.3 is 3/10, not the nearest binary fraction."""
        return cls(Fraction(rate).limit_denominator(1_000_000), tick_s, origin)

    def index(self, ticks: int) -> int:
        """The last k with k / rate at or before this moment."""
        step = self.rate * self.tick_s
        return (ticks - self.origin) * step.numerator // step.denominator

    def seconds(self, ticks: int) -> float:
        """Media time of this moment."""
        return float((ticks - self.origin) * self.tick_s)

    def ticks_at(self, pts_s: float) -> int:
        """The tick nearest to a media time."""
        return self.origin + round(Fraction(pts_s) / self.tick_s)

    def ticks_before(self, index: int) -> int:
        """The last tick at or before sample time index / rate."""
        return self.origin + int(index / self.rate // self.tick_s)


def index_at(pts_s: float, rate: float) -> int:
    """The last k with k / rate at or before pts_s, for clocks that give seconds."""
    return int(Fraction(pts_s).limit_denominator(1_000_000_000) * Fraction(rate).limit_denominator(1_000_000) // 1)
