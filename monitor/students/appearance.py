"""What a tile looks like, small: a colour thumbnail of its picture and a print of its label, and how alike two are.

Supports identity where a name is not (yet) read. It knows no names and never decides.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.schema import Box, Image

THUMBNAIL = (16, 9)
"""Width and height of the picture's thumbnail, in colour."""
PRINT = (138, 21)
"""Width and height of the label's print: pixels of a picture 720 lines high, from the tile's bottom left corner."""
_INSET_PX = 5
"""Between the tile's corner and the print: a light picture under a dark label shows there as a stroke."""
_MARGIN_PX = 6
_STYLE_LINES = 720
_STROKE_LEVELS = 45
"""How much brighter than their surroundings letters are, in grey levels."""
_FEWEST_PIXELS = 80
"""A print with less ink than this says nothing."""
_JITTER, _ICON = (2, 2), (26, 2)
"""How far a label may move in its tile, across and up or down: by rounding; when a microphone is muted or not."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One tile at one moment."""

    box: Box
    off: bool
    """No camera picture."""
    thumbnail: NDArray[np.uint8] | None
    """9 x 16 x 3; None with the camera off, and of students who opted out."""
    label: NDArray[np.bool_]
    """21 x 138: the strokes of the label."""
    middle: NDArray[np.bool_] | None = None
    """21 x 138: with the camera off, the strokes in the middle of the tile."""

    def to_json(self) -> list[Any]:
        """JSON-ready; `look_from_json` gives the same look."""
        thumbnail = None if self.thumbnail is None else _text(self.thumbnail)
        middle = None if self.middle is None else _text(np.packbits(self.middle))
        return [self.box.as_tuple(), self.off, thumbnail, _text(np.packbits(self.label)), middle]


def look_from_json(values: list[Any]) -> Look:
    """The look that `to_json` wrote."""
    box, off, thumbnail, label, middle = values
    picture = None if thumbnail is None else _bytes(thumbnail).reshape(THUMBNAIL[1], THUMBNAIL[0], 3)
    return Look(Box(*box), bool(off), picture, _unpacked(label), None if middle is None else _unpacked(middle))


def look_at(image_bgr: Image, box: Box, off: bool) -> Look:
    """The look of a tile of a frame."""
    tile = box.cut(image_bgr)
    scale = image_bgr.shape[0] / _STYLE_LINES
    label = _strokes(tile, (_INSET_PX, tile.shape[0] / scale - _INSET_PX - PRINT[1]), scale)
    if not off:
        return Look(box, off, _thumbnail(tile), label)
    middle = ((tile.shape[1] / scale - PRINT[0]) / 2, (tile.shape[0] / scale - PRINT[1]) / 2)
    return Look(box, off, None, label, _strokes(tile, middle, scale))


def likeness(first: Look, second: Look) -> float | None:
    """How alike two pictures are, -1 to 1 (correlation of their thumbnails); None unless both have one."""
    if first.thumbnail is None or second.thumbnail is None:
        return None
    a = first.thumbnail.astype(np.float32).ravel()
    b = second.thumbnail.astype(np.float32).ravel()
    a, b = a - a.mean(), b - b.mean()
    # Flat pictures correlate with nothing: a little noise is added to both energies.
    return float(a @ b / np.sqrt((a @ a + a.size) * (b @ b + b.size)))


def picture_change(first: Look | None, second: Look) -> float:
    """Grey levels by which the most changed spot of a picture changed; infinite where there is nothing to compare."""
    if first is None or first.thumbnail is None or second.thumbnail is None:
        return float("inf")
    difference = np.abs(first.thumbnail.astype(np.int16) - second.thumbnail.astype(np.int16))
    return float(difference.mean(axis=2).max())


def label_agreement(first: Look, second: Look, *, moved: bool = False) -> float | None:
    """How far the strokes of two labels coincide, 0 to 1, the best over small shifts; None where one has none.

    `moved` allows for the shift of a microphone's icon, which other labels profit from too.
    """
    ours, theirs = first.label, second.label
    if first.middle is not None and second.middle is not None:
        ours, theirs = ours | first.middle, theirs | second.middle
    inks = (int(ours.sum()), int(theirs.sum()))
    if min(inks) < _FEWEST_PIXELS:
        return None
    total = sum(inks)
    in_place = 2 * int((ours & theirs).sum()) / total
    if in_place > 0.7:
        return in_place
    across, up = _ICON if moved else _JITTER
    ground = cv2.copyMakeBorder(ours.astype(np.float32), up, up, across, across, cv2.BORDER_CONSTANT)
    common = cv2.matchTemplate(ground, theirs.astype(np.float32), cv2.TM_CCORR)
    return max(in_place, 2 * float(common.max()) / total)


def _thumbnail(tile: Image) -> NDArray[np.uint8]:
    """The picture without speaker border and label."""
    height, width = tile.shape[:2]
    middle = tile[
        round(0.08 * height) : max(1, round(0.74 * height)), round(0.06 * width) : max(1, round(0.94 * width))
    ]
    return np.asarray(cv2.resize(middle, THUMBNAIL, interpolation=cv2.INTER_AREA), np.uint8)


def _strokes(tile: Image, corner: tuple[float, float], scale: float) -> NDArray[np.bool_]:
    """Thin bright strokes in a part of the tile of the print's size, black where that reaches past the tile.

    `corner` is its upper left one (x, y), like the print in pixels of a picture 720 lines high; `scale` is this
    picture's pixels for one of those. The part is looked at with a margin, or its edges would look like strokes.
    """
    x, y = corner[0] - _MARGIN_PX, corner[1] - _MARGIN_PX
    size = (PRINT[0] + 2 * _MARGIN_PX, PRINT[1] + 2 * _MARGIN_PX)
    x1, y1 = max(0, round(x * scale)), max(0, round(y * scale))
    part = tile[y1 : round((y + size[1]) * scale), x1 : round((x + size[0]) * scale)]
    part_size = (max(1, round(part.shape[1] / scale)), max(1, round(part.shape[0] / scale)))
    grey = cv2.resize(part.min(axis=2), part_size, interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR)
    ink = cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, np.ones((7, 7), np.uint8)) > _STROKE_LEVELS
    left, top = round(x1 / scale - x), round(y1 / scale - y)
    strokes = np.zeros((size[1], size[0]), bool)
    room = strokes[top : top + ink.shape[0], left : left + ink.shape[1]]
    room[:] = ink[: room.shape[0], : room.shape[1]]
    return strokes[_MARGIN_PX:-_MARGIN_PX, _MARGIN_PX:-_MARGIN_PX]


def _text(values: NDArray[np.uint8]) -> str:
    return base64.b64encode(values.tobytes()).decode()


def _unpacked(text: str) -> NDArray[np.bool_]:
    return np.unpackbits(_bytes(text))[: PRINT[0] * PRINT[1]].reshape(PRINT[1], PRINT[0]).astype(bool)


def _bytes(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(base64.b64decode(text), np.uint8)
