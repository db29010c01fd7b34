"""The gallery as a model: full rows of equal tiles and a last row, fitted to the evidence of a picture or part of it.

It decides which rectangles are tiles; it does not know pixels (see evidence.py) nor time (see tiles.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monitor.students.combs import Comb, find_combs
from monitor.students.evidence import Evidence, Floats, Ints, side_support

LEAST_ASPECT, MOST_ASPECT = 1.15, 2.05
"""Width / height of a tile: 16:9 mostly, cropped by some programs."""
MOST_TILES = 49
UNSUPPORTED_COST = 0.35
"""What a tile's side without any contrast costs, as a part of a fully supported one."""
STRAY_COST = 10.0
"""What pixels outside all tiles that are no background cost, per pixel and tile height."""


@dataclass(frozen=True, slots=True)
class Region:
    """The part of a picture that is searched, px, end-exclusive."""

    x1: int
    y1: int
    x2: int
    y2: int

    @property
    def area(self) -> int:
        """Pixels covered."""
        return (self.x2 - self.x1) * (self.y2 - self.y1)


@dataclass(frozen=True, slots=True)
class Fit:
    """One layout and how well it explains its region."""

    boxes: Ints
    """(n, 4) x1, y1, x2, y2."""
    support: Floats
    """(n, 4) how clear each tile's left, top, right and bottom side is, -1 to 1."""
    score: float
    """Length of explained sides less what is not explained, in tile heights; higher is better."""
    stray: float
    """Pixels outside the tiles that are no background, in tile areas."""


def fit_region(evidence: Evidence, region: Region) -> Fit | None:
    """The best layout of tiles in a region, or None where nothing of the kind fits."""
    fits = []
    for rows in find_combs(evidence.rows(region.x1, region.x2)[region.y1 : region.y2])[:10]:
        fits += _fits_of_rows(evidence, region, rows)
    return max(fits, key=lambda fit: fit.score, default=None)


def _fits_of_rows(evidence: Evidence, region: Region, rows: Comb) -> list[Fit]:
    """Layouts with these rows; the columns are read from the full rows only, the last one may be shifted."""
    tops, bottoms = rows.starts() + region.y1, rows.ends() + region.y1
    full = max(1, rows.count - 1)
    bands = list(zip(tops[:full].tolist(), bottoms[:full].tolist(), strict=True))
    profile = evidence.columns(bands)[region.x1 : region.x2]
    fits = []
    for columns in find_combs(profile)[:8]:
        if not LEAST_ASPECT <= columns.length / rows.length <= MOST_ASPECT:
            continue
        if columns.count > 1 and rows.count > 1 and abs(columns.gap - rows.gap) > 2 + 0.5 * min(columns.gap, rows.gap):
            continue
        fits.append(_best_last_row(evidence, region, rows, columns))
    return fits


def _best_last_row(evidence: Evidence, region: Region, rows: Comb, columns: Comb) -> Fit:
    """The layout with the number of tiles in its last row that explains most."""
    tops, bottoms = rows.starts() + region.y1, rows.ends() + region.y1
    lefts, rights = columns.starts() + region.x1, columns.ends() + region.x1
    full = _cells(lefts, rights, tops[:-1], bottoms[:-1])
    lasts = [
        _cells(*_shifted(columns, region, count), tops[-1:], bottoms[-1:]) for count in _last_counts(rows, columns)
    ]
    gap = min(columns.gap if columns.count > 1 else 99, rows.gap if rows.count > 1 else 99)
    every = np.concatenate([full, *lasts])
    support = side_support(evidence, every, gap)
    inside = evidence.clear(every + np.array([-1, -1, 1, 1]))
    total = float(evidence.clear(np.array([region.x1, region.y1, region.x2, region.y2])))
    best: Fit | None = None
    offset = len(full)
    for last in lasts:
        chosen = np.r_[: len(full), offset : offset + len(last)]
        offset += len(last)
        fit = _fit(every[chosen], support[chosen], max(0.0, total - float(inside[chosen].sum())))
        if best is None or fit.score > best.score:
            best = fit
    assert best is not None
    return best


def _last_counts(rows: Comb, columns: Comb) -> list[int]:
    """Numbers of tiles that the last row may have."""
    return [columns.count] if rows.count == 1 else list(range(1, columns.count + 1))


def _shifted(columns: Comb, region: Region, count: int) -> tuple[Ints, Ints]:
    """Left and right edges of a centred row of `count` tiles."""
    shift = (columns.count - count) * columns.pitch / 2 + columns.start + region.x1
    lefts = np.rint(shift + np.arange(count) * columns.pitch).astype(np.int64)
    rights = np.rint(shift + np.arange(count) * columns.pitch + columns.length).astype(np.int64)
    return lefts, rights


def _cells(lefts: Ints, rights: Ints, tops: Ints, bottoms: Ints) -> Ints:
    """Boxes (n, 4) of all pairs of a row and a column, row by row."""
    x1, y1 = np.meshgrid(lefts, tops)
    x2, y2 = np.meshgrid(rights, bottoms)
    return np.stack([x1.ravel(), y1.ravel(), x2.ravel(), y2.ravel()], 1)


def _fit(boxes: Ints, support: Floats, stray_px: float) -> Fit:
    """Score a layout: supported side lengths against unsupported ones and stray content."""
    width, height = float(boxes[0, 2] - boxes[0, 0]), float(boxes[0, 3] - boxes[0, 1])
    lengths = np.array([height, width, height, width])
    explained = float(((support - UNSUPPORTED_COST) * lengths).sum()) / height
    return Fit(boxes, support, explained - STRAY_COST * stray_px / height**2, stray_px / (width * height))
