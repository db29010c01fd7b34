"""Keeps account of what of a recording could not be shown, and of pictures that lean on such a one.

A decoder that lost a picture goes on with the next ones, which are drawn over the hole: smeared until the next fresh
start, and not marked as such. They are left out rather than judged. This file decodes nothing.
"""

from __future__ import annotations

from collections import deque

from monitor.sources.sampling import SampleGrid

_SMEARED_S = 10.0
"""In a recording without fresh starts the picture mends itself; that long it is not trusted."""
_GAP_S = 1.0
"""Shorter stretches without a picture are the nature of some recordings."""


class Damage:
    """The faults of one reading, from its start to its end."""

    def __init__(self, grid: SampleGrid, *, delay: int) -> None:
        """delay: how many packets late the decoder may say that one is broken."""
        self._grid = grid
        self._recent: deque[int] = deque(maxlen=delay + 1)
        self._smeared: tuple[int, int] | None = None
        self._lost: list[float] = []
        self._gaps: list[tuple[float, float]] = []
        self._last_s: float | None = None

    def decoding(self, ticks: int | None, *, afresh: bool) -> None:
        """A packet goes to the decoder; afresh: what follows does not lean on what was before."""
        if ticks is None:
            return
        if afresh and self._smeared is not None:
            self._smeared = (self._smeared[0], min(self._smeared[1], ticks))
        if afresh:
            self._recent.clear()
        self._recent.append(ticks)

    def failed(self) -> None:
        """The decoder refused one of the last packets."""
        if self._recent:
            begin = min(self._recent)
            self._smeared = (begin, self._grid.ticks_at(self._grid.seconds(begin) + _SMEARED_S))
            self._lost.append(self._grid.seconds(self._recent[-1]))

    def suspects(self, ticks: int) -> bool:
        """Whether the picture of this moment may lean on a broken one."""
        return self._smeared is not None and self._smeared[0] <= ticks < self._smeared[1]

    def lost(self, ticks: int) -> None:
        """A picture is left out."""
        self._lost.append(self._grid.seconds(ticks))

    def sampled(self, ticks: int) -> None:
        """A sample is delivered."""
        now_s = self._grid.seconds(ticks)
        if self._last_s is not None and now_s - self._last_s > max(_GAP_S, 1.5 / float(self._grid.rate)):
            self._gaps.append((self._last_s, now_s))
        self._last_s = now_s

    def sentences(self) -> list[str]:
        """What to tell people, each a sentence; none where all is well."""
        told = []
        if self._lost:
            told.append(
                f"damaged: {len(self._lost)} pictures between {min(self._lost):.1f} and {max(self._lost):.1f} s could "
                "not be decoded whole and were passed over"
            )
        if self._gaps:
            begin_s, end_s = max(self._gaps, key=lambda gap: gap[1] - gap[0])
            others = f", and {len(self._gaps) - 1} shorter ones" if len(self._gaps) > 1 else ""
            told.append(f"gaps: no picture between the samples at {begin_s:.1f} and {end_s:.1f} s{others}")
        return told
