"""Draws a gallery view: given pictures of people, one frame as a meeting program would show it, with its tile boxes.

Pure numpy and OpenCV, deterministic: the same arguments give the same pixels on every system (the font is the one built
into OpenCV 5). It does not know where the pictures come from (rendered students, drawn dummies, stills), nor time and
video: see gallery_video.py.

    boxes = layout(24, (1280, 720), ZOOM)
    image_bgr, boxes = compose((1280, 720), [Participant("Marek Novák", picture_bgr), Participant("Zoë", None)], ZOOM)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monitor.schema import Box, Image
from trainer.synthetic.gallery_style import (
    GRID,
    MEET,
    STYLE_LINES,
    TEAMS,
    ZOOM,
    Arrangement,
    GalleryStyle,
    Participant,
    Size,
    to_even,
    to_px,
)
from trainer.synthetic.gallery_tile import draw_tile, fitted

__all__ = [
    "GRID",
    "MEET",
    "TEAMS",
    "ZOOM",
    "Arrangement",
    "GalleryStyle",
    "Participant",
    "Size",
    "compose",
    "layout",
    "shared_area",
]


def layout(count: int, size: Size, style: GalleryStyle = ZOOM, arrangement: Arrangement = GRID) -> list[Box]:
    """Boxes of `count` equal tiles, row by row, the last row centred.

    Raises ValueError when a tile would have no pixels left.
    """
    if count == 0:
        return []
    scale = size[1] / STYLE_LINES
    gap, margin = to_px(style.gap_px, scale), to_px(style.margin_px, scale)
    area = _tile_area(size, arrangement)
    inner = (area.width - 2 * margin, area.height - 2 * margin)
    candidates = range(1, count + 1) if arrangement.columns is None else [min(arrangement.columns, count)]
    columns = max(candidates, key=lambda n: _tile_width(count, n, inner, gap, style.aspect))
    width = to_even(_tile_width(count, columns, inner, gap, style.aspect))
    height = to_even(width / style.aspect)
    if width < 4 or height < 4:
        raise ValueError(f"{count} tiles in {columns} columns do not fit into {area.width} x {area.height} px")
    rows = -(-count // columns)
    top = area.y1 + (area.height - rows * height - (rows - 1) * gap) // 2
    boxes = []
    for row in range(rows):
        filled = min(columns, count - row * columns)
        left = area.x1 + (area.width - filled * width - (filled - 1) * gap) // 2
        y1 = top + row * (height + gap)
        boxes += [
            Box(x1, y1, x1 + width, y1 + height) for x1 in range(left, left + filled * (width + gap), width + gap)
        ]
    return boxes


def shared_area(size: Size, arrangement: Arrangement) -> Box:
    """The part of the picture beside the strip, where a shared screen is shown."""
    width, height = size
    tiles = _tile_area(size, arrangement)
    sides = {
        "right": (0, 0, tiles.x1, height),
        "left": (tiles.x2, 0, width, height),
        "top": (0, tiles.y2, width, height),
        "bottom": (0, 0, width, tiles.y1),
    }
    if arrangement.strip is None:
        raise ValueError("a gallery without a strip has no shared screen")
    return Box(*sides[arrangement.strip])


def compose(
    size: Size,
    participants: Sequence[Participant],
    style: GalleryStyle = ZOOM,
    arrangement: Arrangement = GRID,
    shared_bgr: Image | None = None,
) -> tuple[Image, list[Box]]:
    """One frame of size (width, height) and the box of each participant's tile, in their order.

    `shared_bgr` is the shared screen beside a strip; without one its place stays background.
    """
    canvas = np.empty((size[1], size[0], 3), np.uint8)
    canvas[:] = style.background_bgr
    if arrangement.strip is not None and shared_bgr is not None:
        area = shared_area(size, arrangement).cut(canvas)
        area[:] = fitted(shared_bgr, area.shape[1], area.shape[0], style.background_bgr)
    boxes = layout(len(participants), size, style, arrangement)
    for participant, box in zip(participants, boxes, strict=True):
        draw_tile(canvas, box, participant, style)
    return canvas, boxes


def _tile_area(size: Size, arrangement: Arrangement) -> Box:
    """The part of the picture that the tiles have."""
    width, height = size
    across, down = round(width * arrangement.strip_share), round(height * arrangement.strip_share)
    areas = {
        None: (0, 0, width, height),
        "right": (width - across, 0, width, height),
        "left": (0, 0, across, height),
        "top": (0, 0, width, down),
        "bottom": (0, height - down, width, height),
    }
    return Box(*areas[arrangement.strip])


def _tile_width(count: int, columns: int, inner: Size, gap: int, aspect: float) -> float:
    """The largest width of a tile so that all rows and columns fit, in px; may be negative."""
    rows = -(-count // columns)
    across = (inner[0] - (columns - 1) * gap) / columns
    down = (inner[1] - (rows - 1) * gap) / rows
    return min(across, down * aspect)
