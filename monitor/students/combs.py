"""Equal stretches at equal distances along one axis: the rows, or the columns, that a profile of a picture suggests.

It works on one profile (mass per picture row or column) and knows nothing of tiles or pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.students.evidence import Floats, Ints

MOST_STRETCHES = 12
LEAST_STRETCH_PX = 20
MISSING_EDGE_COST = 0.3
"""What an edge without support costs, as a part of a whole edge."""


@dataclass(frozen=True, slots=True)
class Comb:
    """`count` stretches of `length` px (a fraction is kept), `gap` px apart, the first from `start`."""

    start: int
    length: float
    gap: int
    count: int
    score: float

    @property
    def pitch(self) -> float:
        """From one start to the next, px."""
        return self.length + self.gap

    def starts(self) -> Ints:
        """First pixel of each stretch."""
        return _rounded(self.start + np.arange(self.count) * self.pitch)

    def ends(self) -> Ints:
        """One past the last pixel of each stretch."""
        return _rounded(self.start + np.arange(self.count) * self.pitch + self.length)


def _rounded(positions: NDArray[np.floating]) -> Ints:
    """Whole pixels."""
    whole: Ints = np.rint(positions).astype(np.int64)
    return whole


def edges_of(profile: Floats) -> Floats:
    """Signed edge at each position, (n + 1,): positive where a stretch starts, negative where one ends (exclusive)."""
    padded = np.pad(profile, 2)
    pairs = padded[:-1] + padded[1:]
    signed: Floats = (pairs[2:] - pairs[:-2]) / 2
    return signed


def find_combs(profile: Floats, gaps: list[int] | None = None, keep_per_count: int = 3) -> list[Comb]:
    """The likeliest combs along a profile, best first; `gaps` are the gap widths to try, else those it shows."""
    signed = edges_of(profile)
    strongest = float(np.abs(signed).max(initial=0.0))
    if strongest < 0.01:
        return []
    starts, ends = _peaks(signed, strongest), _peaks(-signed, strongest)
    firsts = _outermost(starts, signed, from_start=True)
    lasts = _outermost(ends, -signed, from_start=False)
    size = len(profile)
    firsts = np.unique(np.concatenate([firsts, size - lasts]))
    lasts = np.unique(np.concatenate([lasts, size - firsts]))
    widths = gaps if gaps is not None else gap_widths(starts, ends, signed, size)
    reference = float(np.quantile(np.abs(signed)[np.concatenate([starts, ends])], 0.8))
    rising, falling = _tolerant(signed / reference), _tolerant(-signed / reference)
    combs = []
    for count in range(1, MOST_STRETCHES + 1):
        combs += _combs_of_count(count, (firsts, lasts), widths, (rising, falling), keep_per_count)
    return sorted(combs, key=lambda comb: -comb.score)


def gap_widths(starts: Ints, ends: Ints, signed: Floats, size: int, keep: int = 6) -> list[int]:
    """Distances from an end to the next start that the edges show most, in px."""
    widest = max(6, size // 24)
    weights = np.zeros(widest + 2)
    for end in ends:
        near = starts[(starts > end) & (starts <= end + widest)]
        for start in near:
            weights[start - end] += min(-signed[end], signed[start])
    shown = [int(width) for width in np.argsort(-weights)[:keep] if weights[width] > 0]
    thin = [1, 2] if min(shown, default=0) <= 4 else []  # blur widens a thin gap
    return sorted({*shown, *thin})


def _combs_of_count(
    count: int, extents: tuple[Ints, Ints], widths: list[int], edges: tuple[Floats, Floats], keep: int
) -> list[Comb]:
    """The best combs of `count` stretches between any first start and any last end."""
    gaps = np.array([0] if count == 1 else widths, np.int64)
    if len(gaps) == 0:
        return []
    first, last, gap = (axis.ravel() for axis in np.meshgrid(*extents, gaps, indexing="ij"))
    length = (last - first - (count - 1) * gap) / count
    fits = length >= LEAST_STRETCH_PX
    first, gap, length = first[fits], gap[fits], length[fits]
    if len(first) == 0:
        return []
    begin = first[:, None] + np.arange(count) * (length + gap)[:, None]
    rising, falling = edges
    found = rising[np.rint(begin).astype(np.int64)] + falling[np.rint(begin + length[:, None]).astype(np.int64)]
    score = (found - 2 * MISSING_EDGE_COST).sum(axis=1)
    best = np.argsort(-score, kind="stable")[:keep]
    return [Comb(int(first[i]), float(length[i]), int(gap[i]), count, float(score[i])) for i in best]


def _peaks(signed: Floats, strongest: float) -> Ints:
    """Positions of the local maxima that matter."""
    middle = signed[1:-1]
    high = (middle >= signed[:-2]) & (middle > signed[2:]) & (middle > 0.06 * strongest)
    inner = np.flatnonzero(high) + 1
    ends = [i for i, other in ((0, 1), (len(signed) - 1, len(signed) - 2)) if signed[i] > max(0, signed[other])]
    return np.sort(np.concatenate([inner, np.array(ends, np.int64)]))


def _outermost(peaks: Ints, strength: Floats, *, from_start: bool, keep: int = 4) -> Ints:
    """The first few peaks seen from one end, and the strongest few."""
    ordered = peaks if from_start else peaks[::-1]
    strongest = peaks[np.argsort(-strength[peaks], kind="stable")][:keep]
    return np.unique(np.concatenate([ordered[:keep], strongest]))


def _tolerant(signed: Floats) -> Floats:
    """Edges that also count, a little less, one pixel beside where they are; none is worth more than one."""
    padded = np.pad(np.clip(signed, -1, 1), 1, constant_values=-1.0)
    beside: NDArray[np.float64] = np.maximum(padded[:-2], padded[2:]) * 0.85
    return np.clip(np.maximum(padded[1:-1], beside), -0.5, 1)
