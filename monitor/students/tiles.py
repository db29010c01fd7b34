"""Finds the tiles of a gallery view in one picture, or says that the picture is no gallery.

It fits a layout (layouts.py, grids.py) to what the picture shows against its background (evidence.py), for the whole
picture or, beside a shared screen, for a strip of it (strips.py). It does not know who sits in a tile, nor whether the
camera is on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.schema import Box, Detection, Image
from monitor.students.evidence import Evidence, Floats, Ints, gather_evidence, side_cover, side_support
from monitor.students.grids import fit_region
from monitor.students.layouts import Fit, Region
from monitor.students.strips import STRIP_SHARE, shows_screen, strip_regions

LEAST_SUPPORT = 0.45
"""Mean support of the tiles' sides below which a layout is not believed."""
LEAST_COVER = (0.7, 0.5, 0.4)
"""Of layouts with one, two, three tiles: the part of their sides along which there must clearly be a tile. They are
little evidence in themselves."""
LEAST_COVER_IN_STRIP = 0.5
LEAST_GUTTER = 0.1
"""Mean support of the dimmest gutter: less, and there may be none."""
MOST_STRAY_OF_FEW = (0.01, 0.03, 0.03)
PLAIN_SUPPORT = 0.6
"""Mean support from which on nothing else needs to be tried."""
MOST_STRAY = 0.1
"""Stray content, in tile areas per tile, above which a layout is not believed."""
LEAST_ROW = 0.35
"""Mean support of the left and right sides of a row of tiles found before: less, and the row may have moved."""
MOST_STRAY_KEPT = 0.2
"""Stray content between the tiles of the picture before, in tile areas, above which the layout is searched anew."""
THINNED_GAP_PX = 4
"""Gap between tiles from which on half the resolution is enough to see that they still hold."""
EDGE_LEVELS = 10
EDGE_SHARE = 0.7
"""Part of one edge of the picture that has the background's colour, to within EDGE_LEVELS, in a gallery."""


def find_tiles(image_bgr: Image, previous: Sequence[Box] = ()) -> list[Detection]:
    """Tiles of a gallery picture, row by row; [] when the picture is no gallery.

    `previous` are the boxes found in the picture before this one: when they still hold, no search is made.
    """
    if previous:
        support = still_hold(image_bgr, previous)
        if support is not None:
            return [_tile(box.as_tuple(), row) for box, row in zip(previous, support, strict=True)]
    evidences = [gather_evidence(image_bgr, background) for background in background_candidates(image_bgr)]
    fit = _best_grid(evidences)
    if fit is None or len(fit.support) == 1:  # a screen and its strip may pass for one large tile
        fit = _best_strip(evidences) or fit
    if fit is None:
        return []
    return [_tile(box, row) for box, row in zip(fit.layout.boxes.tolist(), fit.support, strict=True)]


def _tile(box: Sequence[int], support: Floats) -> Detection:
    """A tile as a record; its score is how clear its sides are."""
    x1, y1, x2, y2 = box
    return Detection("tile", Box(x1, y1, x2, y2), float(np.clip(support.mean(), 0, 1)))


def background_candidates(image_bgr: Image) -> list[NDArray[np.uint8]]:
    """Colours that the space around the tiles may have: those of an even edge of the picture, the commonest first."""
    edges = [image_bgr[0], image_bgr[-1], image_bgr[:, 0], image_bgr[:, -1]]
    medians = [np.median(edge, axis=0) for edge in edges]
    even = [_share(edge, median) >= EDGE_SHARE for edge, median in zip(edges, medians, strict=True)]
    ring = np.concatenate(edges)
    common = sorted((m for m, is_even in zip(medians, even, strict=True) if is_even), key=lambda m: -_share(ring, m))
    chosen: list[NDArray[np.float64]] = []
    for median in common:
        if all(np.abs(median - other).max() > 4 for other in chosen):
            chosen.append(median)
    return [colour.astype(np.uint8) for colour in chosen]


def _share(pixels_bgr: NDArray[np.uint8], colour_bgr: NDArray[np.float64]) -> float:
    """Part of pixels (n, 3) that has a colour."""
    return float((np.abs(pixels_bgr - colour_bgr).max(axis=1) <= EDGE_LEVELS).mean())


def _best_grid(evidences: list[Evidence]) -> Fit | None:
    """Tiles all over the picture."""
    best: Fit | None = None
    for evidence in evidences:
        fit = fit_region(evidence, Region(0, 0, evidence.width, evidence.height))
        if fit is not None and _is_believed(evidence, fit, in_strip=False) and (best is None or fit.score > best.score):
            best = fit
            if float(fit.support.mean()) > PLAIN_SUPPORT:
                break
    return best


def _best_strip(evidences: list[Evidence]) -> Fit | None:
    """Tiles beside a shared screen."""
    best: Fit | None = None
    for evidence in evidences:
        for strip, rest in strip_regions(evidence):
            if not shows_screen(evidence, rest, plainly=False):
                continue
            fit = fit_region(evidence, strip)
            if fit is None or (len(fit.support) == 1 and not shows_screen(evidence, rest, plainly=True)):
                continue
            if strip.area > STRIP_SHARE * evidence.width * evidence.height and len(fit.support) <= len(LEAST_COVER):
                continue  # rather the shared screen itself
            if _is_believed(evidence, fit, in_strip=True) and (best is None or fit.score > best.score):
                best = fit
    return best


def _is_believed(evidence: Evidence, fit: Fit, *, in_strip: bool) -> bool:
    """Whether a layout explains its region well enough."""
    if float(fit.support.mean()) < LEAST_SUPPORT or fit.dimmest < LEAST_GUTTER or fit.score < 0:
        return False
    boxes = fit.layout.boxes
    few = len(boxes) - 1
    if few == 0 and not _stands_free(boxes[0], evidence):
        return False
    if few >= len(LEAST_COVER):
        return fit.stray < MOST_STRAY
    cover = float(side_cover(evidence, boxes, np.full(len(boxes), fit.layout.gap)).mean())
    least = min(LEAST_COVER[few], LEAST_COVER_IN_STRIP) if in_strip else LEAST_COVER[few]
    return fit.stray < MOST_STRAY_OF_FEW[few] and cover > least


def _stands_free(box: Ints, evidence: Evidence) -> bool:
    """Whether there is background on all four sides of a tile."""
    return bool(box[0] > 0 and box[1] > 0 and box[2] < evidence.width and box[3] < evidence.height)


def still_hold(image_bgr: Image, previous: Sequence[Box]) -> Floats | None:
    """Support (n, 4) of the sides of the boxes found before, or None when the layout may have changed."""
    height, width = image_bgr.shape[:2]
    boxes = np.array([box.as_tuple() for box in previous], np.int64)
    if boxes[:, 2].max() > width or boxes[:, 3].max() > height:
        return None
    background, gap = _around(image_bgr, boxes), _least_gap(boxes)
    if gap >= THINNED_GAP_PX:  # every second pixel tells as much, for a quarter of the time
        image_bgr, boxes, gap = np.ascontiguousarray(image_bgr[::2, ::2]), (boxes + 1) // 2, gap // 2
    evidence = gather_evidence(image_bgr, background)
    support = side_support(evidence, boxes, np.full(len(boxes), gap))
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    present = (support.max(axis=1) > 0.25) | (evidence.clear(boxes) > 0.01 * areas)
    hull = np.array([*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)])
    reach = np.array([-1, -1, 1, 1]) * min(3, max(1, gap // 2))
    stray = float(evidence.clear(hull) - evidence.clear(boxes + reach).sum()) / float(areas.mean())
    rows = [float(support[boxes[:, 1] == top][:, ::2].mean()) for top in np.unique(boxes[:, 1])]
    if not present.all() or stray > MOST_STRAY_KEPT or min(rows) < LEAST_ROW or float(support.mean()) < LEAST_SUPPORT:
        return None
    return None if _split(evidence, boxes) else support


def _around(image_bgr: Image, boxes: Ints) -> NDArray[np.uint8]:
    """The median colour just outside the boxes' corners."""
    height, width = image_bgr.shape[:2]
    x = np.clip(np.concatenate([boxes[:, 0] - 1, boxes[:, 2]]), 0, width - 1)
    y = np.clip(np.concatenate([boxes[:, 1] - 1, boxes[:, 3]]), 0, height - 1)
    colour: NDArray[np.uint8] = np.median(image_bgr[y, x], axis=0).astype(np.uint8)
    return colour


def _least_gap(boxes: Ints) -> int:
    """The smallest distance between neighbours in a row or between rows, px."""
    first_row = boxes[boxes[:, 1] == boxes[0, 1]]
    tops, bottoms = np.unique(boxes[:, 1]), np.unique(boxes[:, 3])
    steps = np.concatenate([first_row[1:, 0] - first_row[:-1, 2], tops[1:] - bottoms[:-1][: len(tops) - 1]])
    return int(max(1, steps.min(initial=99)))


def _split(evidence: Evidence, boxes: Ints) -> bool:
    """Whether all boxes have become empty along lines where equal, smaller tiles would be parted."""
    for axis in (0, 1):
        for parts in (2, 3, 4):
            lines = boxes.copy()
            lines[:, axis] += (boxes[:, axis + 2] - boxes[:, axis]) // parts
            lines[:, axis + 2] = lines[:, axis] + 1
            lengths = np.maximum(lines[:, 2] - lines[:, 0], lines[:, 3] - lines[:, 1])
            if float((evidence.clear(lines) / lengths).max()) < 0.1:
                return True
    return False
