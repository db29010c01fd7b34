"""Proposes grids for a region of a picture, scores them and refines the best: the search for a layout.

It reads rows first, then columns within the full rows, since the last row may be shifted by half a tile.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from monitor.students.combs import Comb, find_combs
from monitor.students.evidence import Evidence
from monitor.students.layouts import Fit, Layout, Region, judge

LEAST_ASPECT, MOST_ASPECT = 1.15, 2.05
"""Width / height of a tile: 16:9 mostly, cropped by some programs."""
MOST_TILES = 49
ROW_PROPOSALS, COLUMN_PROPOSALS, GRID_PROPOSALS = 10, 8, 24
REFINED = 3
"""How many of the best layouts are refined."""
FILLED = 0.08
"""Mean mass of a column of pixels, 0 to 1, that shows there is a tile."""
ROUNDS = 6
"""Most steps, a pixel each, that refining takes."""


def fit_region(evidence: Evidence, region: Region) -> Fit | None:
    """The best layout of tiles in a region, or None where nothing of the kind fits."""
    pairs: list[tuple[int, Comb, Comb]] = []
    for rank, rows in enumerate(find_combs(evidence.rows(region.x1, region.x2)[region.y1 : region.y2])[:ROW_PROPOSALS]):
        pairs += [(rank + place, rows, columns) for place, columns in _columns_of(evidence, region, rows)]
    pairs = sorted(pairs, key=lambda pair: pair[0])
    layouts = [
        Layout(region, rows, columns, last)
        for _, rows, columns in pairs[:GRID_PROPOSALS]
        for last in last_counts(evidence, region, rows, columns)
    ]
    best = sorted(judge(evidence, layouts), key=lambda fit: -fit.score)[:REFINED]
    return max((refine(evidence, fit) for fit in best), key=lambda fit: fit.score, default=None)


def _columns_of(evidence: Evidence, region: Region, rows: Comb) -> list[tuple[int, Comb]]:
    """Columns that suit these rows, read from the full ones only, each with its place among the likeliest."""
    full = max(1, rows.count - 1)
    tops, bottoms = rows.starts()[:full] + region.y1, rows.ends()[:full] + region.y1
    profile = evidence.columns(list(zip(tops.tolist(), bottoms.tolist(), strict=True)))[region.x1 : region.x2]
    suiting = [columns for columns in find_combs(profile) if _alike(rows, columns)]
    return list(enumerate(suiting[:COLUMN_PROPOSALS]))


def _alike(rows: Comb, columns: Comb) -> bool:
    """Whether rows and columns make tiles of a believable shape, number and distance."""
    if not LEAST_ASPECT <= columns.length / rows.length <= MOST_ASPECT:
        return False
    if (rows.count - 1) * columns.count + 1 > MOST_TILES:
        return False
    if columns.count == 1 or rows.count == 1:
        return True
    return abs(columns.gap - rows.gap) <= 2 + 0.5 * min(columns.gap, rows.gap)


def last_counts(evidence: Evidence, region: Region, rows: Comb, columns: Comb) -> list[int]:
    """Numbers of tiles that the last row may have, from how far its content reaches, one more or less."""
    if rows.count == 1:
        return [columns.count]
    band = [(int(rows.starts()[-1]) + region.y1, int(rows.ends()[-1]) + region.y1)]
    filled = np.flatnonzero(evidence.columns(band)[region.x1 : region.x2] > FILLED)
    reach = int(filled[-1]) + 1 - int(filled[0]) if len(filled) else 0
    likely = round((reach + columns.gap) / columns.pitch)
    return [count for count in range(likely - 1, likely + 2) if 1 <= count <= columns.count]


def refine(evidence: Evidence, fit: Fit) -> Fit:
    """Move starts, ends and gaps by single pixels as long as the layout explains more."""
    for _ in range(ROUNDS):
        layout = fit.layout
        moved = [replace(layout, rows=comb) for comb in _moves(layout.rows)]
        moved += [replace(layout, columns=comb) for comb in _moves(layout.columns)]
        best = max(judge(evidence, moved), key=lambda each: each.score)
        if best.score <= fit.score + 1e-9:
            break
        fit = best
    return fit


def _moves(comb: Comb) -> list[Comb]:
    """The comb with its first start, its last end or its gap one pixel off; the other two stay."""
    n = comb.count
    moves = []
    for start, end, gap in (
        (1, 0, 0),
        (-1, 0, 0),
        (0, 1, 0),
        (0, -1, 0),
        (1, 1, 0),
        (-1, -1, 0),
        (0, 0, 1),
        (0, 0, -1),
    ):
        new_gap = comb.gap + gap
        if (gap and n == 1) or new_gap < 1 - (n == 1) or comb.start + start < 0:
            continue
        length = comb.length + (end - start - (n - 1) * gap) / n
        moves.append(replace(comb, start=comb.start + start, length=length, gap=new_gap))
    return moves
