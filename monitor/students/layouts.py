"""The gallery as a model: full rows of equal tiles and a last row, and how well such a layout explains a picture.

Layouts are proposed in grids.py; this file does not know pixels (see evidence.py) nor time (see tiles.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from monitor.students.combs import Comb
from monitor.students.evidence import Evidence, Floats, Ints, side_support

UNSUPPORTED_COST = 0.4
"""What a tile's side without any contrast costs, as a part of a fully supported one."""
STRAY_COST = 20.0
"""What pixels outside all tiles that are no background cost, per pixel and tile height."""
BLIND_GUTTER = 0.3
"""Mean support along a gutter below which it may be an invention."""
BLIND_COST = 4.0
"""What a gutter costs per side length and missing support."""


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

    def as_array(self) -> Ints:
        """x1, y1, x2, y2."""
        return np.array([self.x1, self.y1, self.x2, self.y2])


@dataclass(frozen=True)
class Layout:
    """Rows and columns (combs count from the region's corner) and the number of tiles in the last row, centred."""

    region: Region
    rows: Comb
    columns: Comb
    last: int

    @property
    def gap(self) -> int:
        """The least distance between two tiles, px; a wide one where there is only one tile."""
        return min(comb.gap if comb.count > 1 else 99 for comb in (self.rows, self.columns))

    @cached_property
    def boxes(self) -> Ints:
        """Tiles (n, 4) as x1, y1, x2, y2, row by row."""
        corner = self.region.x1, self.region.y1
        tops, bottoms = self.rows.starts() + corner[1], self.rows.ends() + corner[1]
        columns = self.columns
        shift = (columns.count - self.last) * columns.pitch / 2 + columns.start + corner[0]
        places = shift + np.arange(self.last) * columns.pitch
        full = self.rows.count - 1
        boxes = np.empty((full * columns.count + self.last, 4), np.int64)
        upper = boxes[: full * columns.count].reshape(full, columns.count, 4)
        upper[..., 0], upper[..., 2] = columns.starts() + corner[0], columns.ends() + corner[0]
        upper[..., 1], upper[..., 3] = tops[:full, None], bottoms[:full, None]
        lower = boxes[full * columns.count :]
        lower[:, 0], lower[:, 2] = np.rint(places), np.rint(places + columns.length)
        lower[:, 1], lower[:, 3] = tops[-1], bottoms[-1]
        return boxes


@dataclass(frozen=True, slots=True)
class Fit:
    """One layout and how well it explains its region."""

    layout: Layout
    support: Floats
    """(n, 4) how clear each tile's left, top, right and bottom side is, -1 to 1."""
    score: float
    """Explained side lengths less what is not explained, px; higher is better."""
    stray: float
    """Pixels outside the tiles that are no background, as a part of a tile's area, per tile."""
    dimmest: float
    """Mean support along the gutter that is seen worst; 1 where there is no gutter."""


def judge(evidence: Evidence, layouts: list[Layout]) -> list[Fit]:
    """Score layouts of one region together: one look-up in the evidence serves all."""
    if not layouts:
        return []
    boxes = np.concatenate([layout.boxes for layout in layouts])
    gaps = np.concatenate([np.full(len(layout.boxes), layout.gap) for layout in layouts])
    support = side_support(evidence, boxes, gaps)
    reach = np.clip(gaps // 2, 1, 3)[:, None]
    inside = evidence.clear(boxes + np.array([-1, -1, 1, 1]) * reach)
    total = float(evidence.clear(layouts[0].region.as_array()))
    fits, first = [], 0
    for layout in layouts:
        chosen = slice(first, first + len(layout.boxes))
        fits.append(_fit(layout, support[chosen], max(0.0, total - float(inside[chosen].sum()))))
        first += len(layout.boxes)
    return fits


def _fit(layout: Layout, support: Floats, stray_px: float) -> Fit:
    """Supported side lengths against unsupported ones, blind gutters and stray content."""
    width, height = layout.columns.length, layout.rows.length
    explained = float(((support - UNSUPPORTED_COST) * np.array([height, width, height, width])).sum())
    upright, level = _gutters(layout, support)
    full_rows = max(1, layout.rows.count - 1)
    blind = float(np.maximum(0, BLIND_GUTTER - upright).sum()) * height * full_rows
    blind += float(np.maximum(0, BLIND_GUTTER - level).sum()) * width * layout.columns.count
    cost = STRAY_COST * stray_px / height + BLIND_COST * blind
    dimmest = min(upright.min(initial=1.0), level.min(initial=1.0))
    return Fit(layout, support, explained - cost, stray_px / (width * height * len(support)), float(dimmest))


def _gutters(layout: Layout, support: Floats) -> tuple[Floats, Floats]:
    """Mean support along each gutter between columns, and between rows: a tile cut in two has one that is not seen."""
    columns, rows = layout.columns.count, layout.rows.count
    full = support[: columns * max(1, rows - 1)].reshape(-1, columns, 4)
    upright: Floats = (full[:, :-1, 2] + full[:, 1:, 0]).mean(axis=0) / 2
    if rows == 1:
        return upright, np.empty(0)
    tops = np.append(full[1:, :, 1].mean(axis=1), support[columns * (rows - 1) :, 1].mean())
    level: Floats = (full[:, :, 3].mean(axis=1) + tops) / 2
    return upright, level
