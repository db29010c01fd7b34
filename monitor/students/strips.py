"""Where in a picture tiles may stand when they do not have all of it: beside a shared screen, a chat panel or a bar.

It cuts the picture along lines of background; whether there are tiles is decided in grids.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.students.evidence import Evidence, Ints, side_support
from monitor.students.layouts import Region

STRIP_SHARE = 0.55
"""The widest strip beside a shared screen, as a part of the picture; a wider part has a panel or a bar beside it."""
MOST_SHARE, LEAST_SHARE = 0.97, 0.06
CUTS_PER_SIDE = 3
EMPTY_LINE = 0.12
"""Part of a line of pixels that may differ from the background where the picture is cut: of a gap few pixels wide,
compression leaves no line clean."""
FAINT = 0.06
"""Mean mass, 0 to 1, of a line of pixels that lies on a shared screen: a dark slide on a dark ground is faint."""
PLAIN_SCREEN, DIM_SCREEN = (0.6, 0.2), (0.4, 0.15)
"""Support of the shared screen's four sides, the mean and the least."""
LEAST_FILLED = 0.45
"""Part of the region beside the tiles that the screen or panel takes at least."""


def strip_regions(evidence: Evidence) -> list[tuple[Region, Region]]:
    """(strip, the rest of the picture) for each side and each line that parts them; the narrowest first."""
    width, height = evidence.width, evidence.height
    regions = []
    for x in _cuts(evidence, axis=0):
        left, right = Region(0, 0, x, height), Region(x, 0, width, height)
        regions += [(left, right), (right, left)]
    for y in _cuts(evidence, axis=1):
        top, bottom = Region(0, 0, width, y), Region(0, y, width, height)
        regions += [(top, bottom), (bottom, top)]
    whole = width * height
    fitting = [pair for pair in regions if LEAST_SHARE * whole <= pair[0].area <= MOST_SHARE * whole]
    chosen: list[tuple[Region, Region]] = []
    for side in range(4):
        of_side = [pair for pair in fitting if _side(pair[0], evidence) == side]
        ordered = sorted(of_side, key=lambda pair: pair[0].area)
        chosen += ordered[:CUTS_PER_SIDE] + ordered[CUTS_PER_SIDE:][-1:]
    return chosen


def shows_screen(evidence: Evidence, region: Region, *, plainly: bool) -> bool:
    """Whether a region is filled by one rectangle with visible sides, or plainly visible ones: a shared screen."""
    box = _content(evidence, region)
    if box is None or (box[2] - box[0]) * (box[3] - box[1]) < LEAST_FILLED * region.area:
        return False
    support = side_support(evidence, box[None], np.array([4]))[0]
    mean, least = PLAIN_SCREEN if plainly else DIM_SCREEN
    return bool(float(support.mean()) > mean and float(support.min()) > least)


def _side(region: Region, evidence: Evidence) -> int:
    """0 left, 1 right, 2 top, 3 bottom."""
    if region.y1 == 0 and region.y2 == evidence.height:
        return 0 if region.x1 == 0 else 1
    return 2 if region.y1 == 0 else 3


def _lines(sums: NDArray[np.int32], region: Region, axis: int) -> Ints:
    """Sum over each column (axis 0) or row (axis 1) of a region, from an integral."""
    if axis == 0:
        first, last = sums[region.y1, region.x1 : region.x2 + 1], sums[region.y2, region.x1 : region.x2 + 1]
    else:
        first, last = sums[region.y1 : region.y2 + 1, region.x1], sums[region.y1 : region.y2 + 1, region.x2]
    lines: Ints = np.diff(last.astype(np.int64) - first)
    return lines


def _cuts(evidence: Evidence, axis: int) -> list[int]:
    """The emptiest line of each run of empty ones across the whole picture, but for those at its edges."""
    whole = Region(0, 0, evidence.width, evidence.height)
    across = evidence.height if axis == 0 else evidence.width
    filled = _lines(evidence.clear_sums, whole, axis)
    steps = np.flatnonzero(np.diff(np.concatenate([[False], filled <= EMPTY_LINE * across, [False]]).astype(np.int8)))
    runs = steps.reshape(-1, 2)
    return [_emptiest(filled, int(a), int(b)) for a, b in runs if a > 0 and b < len(filled)]


def _emptiest(filled: Ints, start: int, end: int) -> int:
    """The middle one of the emptiest lines in [start, end)."""
    least = np.flatnonzero(filled[start:end] == filled[start:end].min())
    return start + int(least[len(least) // 2])


def _content(evidence: Evidence, region: Region) -> Ints | None:
    """The box (4,) around what is no background in a region; None where there is nothing."""
    sides = []
    for axis, (first, across) in enumerate(
        ((region.x1, region.y2 - region.y1), (region.y1, region.x2 - region.x1)),
    ):
        filled = np.flatnonzero(_lines(evidence.mass_sums, region, axis) > FAINT * 255 * across)
        if len(filled) == 0:
            return None
        sides.append((first + int(filled[0]), first + int(filled[-1]) + 1))
    (x1, x2), (y1, y2) = sides
    return np.array([x1, y1, x2, y2])
