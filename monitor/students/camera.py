"""Tells a tile whose camera is off from a student's picture, and a picture that has stopped moving from a live one.

It sees one tile at a time, cut out of the frame; it does not know who sits in it.
"""

from __future__ import annotations

import base64
import json

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.schema import Image

FLAT_LEVELS = 7
"""Levels around a tile's own ground colour that count as that colour after H.264; colour counts half."""
TRIM = 0.07
"""Of each side, where corners, speaker border and blur are."""
LABEL_FREE = 0.58
"""Part of the height, from the top, where no name label is."""
MOST_DRAWN = 0.3
"""Part of the area above the label that a name, initials, a disc or a photograph covers at most."""
OFF_CENTRE = 0.06
"""Of the width: how far a name or an avatar may be from standing in the middle, left edge plus right edge."""
UNEVEN = 0.05
"""Of the width: how much an avatar's rows may differ from their mirror images above and below the middle."""


def is_camera_off(tile_bgr: Image) -> bool:
    """Whether a tile shows no camera picture: one flat colour with at most a name, initials or an avatar in the middle.

    A dark room is seldom flat enough; somebody before a plain wall sits off the middle, or widens to the shoulders.
    """
    height, width = tile_bgr.shape[:2]
    if height < 12 or width < 12:
        return False
    x, y = max(2, round(TRIM * width)), max(2, round(TRIM * height))
    body = tile_bgr[y : height - y, x : width - x]
    drawn = _unlike_ground(body)
    drawn = drawn[: _label_top(drawn)]
    side, middle = max(2, drawn.shape[1] // 8), height / 2 - y
    line = round(middle - 0.09 * height), round(middle + 0.09 * height)  # a long name reaches from side to side
    beside = np.delete(np.concatenate([drawn[:, :side], drawn[:, -side:]], axis=1), slice(*line), axis=0)
    above = drawn[: max(2, height // 14)]
    if max(float(beside.mean()), float(above.mean())) > 0.02 or float(drawn.mean()) > MOST_DRAWN:
        return False
    return _stands_in_the_middle(drawn, middle)


def _unlike_ground(body_bgr: Image) -> NDArray[np.float32]:
    """1 where a pixel differs from the commonest colour at the sides, else 0; (H, W)."""
    side, upper = max(2, body_bgr.shape[1] // 6), round(LABEL_FREE * body_bgr.shape[0])
    sides = np.concatenate([body_bgr[:upper, :side].reshape(-1, 3), body_bgr[:upper, -side:].reshape(-1, 3)])
    difference = body_bgr.astype(np.float32) - np.median(sides, axis=0).astype(np.float32)
    # By cv2 and channel by channel: over a last axis of three numpy is many times slower.
    bright = np.abs(cv2.transform(difference, np.array([[0.114, 0.587, 0.299]], np.float32)))
    blue, green, red = (np.abs(channel) for channel in cv2.split(difference))
    level = cv2.max(bright, 0.5 * cv2.max(cv2.max(blue, green), red))
    unlike: NDArray[np.float32] = (level > FLAT_LEVELS).astype(np.float32)
    return unlike


def _label_top(drawn: NDArray[np.float32]) -> int:
    """The row where the name label begins, seen at the left, where labels start; else the height."""
    height, width = drawn.shape
    upper, quarter = round(LABEL_FREE * height), max(2, width // 4)
    leaning = drawn[upper:, :quarter].mean(axis=1) - drawn[upper:, -quarter:].mean(axis=1)
    at_edge = drawn[upper:, : quarter // 2].mean(axis=1)
    begun = np.flatnonzero((leaning > 0.05) | (at_edge > 0.08))
    blur = max(1, height // 24)
    top: int = upper + max(0, int(begun[0]) - blur) if len(begun) else height
    return top


def _stands_in_the_middle(drawn: NDArray[np.float32], middle_px: float) -> bool:
    """Whether what is drawn has its centre in the tile's: across by its edges, down by its rows' widths."""
    height, width = drawn.shape
    columns = np.flatnonzero(drawn.sum(axis=0) >= max(1.0, 0.03 * height))
    if len(columns) == 0:
        return True
    if abs(int(columns[0]) + int(columns[-1]) + 1 - width) > max(3.0, OFF_CENTRE * width):
        return False
    rows = drawn.mean(axis=1)
    lines = np.flatnonzero(rows > 0.01)
    if max(middle_px - lines[0], lines[-1] - middle_px) < 0.2 * middle_px + 3:
        return True  # a line of text
    reach = min(height - 1 - middle_px, middle_px)
    steps = np.arange(0.5, reach, 1.0)
    below, above = (np.interp(middle_px - 0.5 + sign * steps, np.arange(height), rows) for sign in (1, -1))
    return float(np.abs(below - above).mean()) <= UNEVEN


class StillWatch:
    """Remembers when each student's picture last moved: a photograph or a frozen connection does not.

    `after_s`: a picture is still when it has not moved for so long, in seconds of media time.
    """

    def __init__(self, after_s: float = 30.0, state: str | None = None) -> None:
        self.after_s = after_s
        self._seen: dict[str, tuple[float, NDArray[np.uint8]]] = {}
        for student_id, (moved_s, picture) in json.loads(state or "{}").items():
            self._seen[student_id] = (moved_s, np.frombuffer(base64.b64decode(picture), np.uint8).reshape(18, 32))

    def update(self, student_id: str, pts_s: float, tile_bgr: Image) -> bool:
        """Take a student's newest tile; whether it is still. Tiles of any size, reflow does not count as moving."""
        picture = _small(tile_bgr)
        if student_id not in self._seen or _moved(self._seen[student_id][1], picture):
            self._seen[student_id] = (pts_s, picture)
        return pts_s - self._seen[student_id][0] >= self.after_s

    def forget(self, student_id: str) -> None:
        """The camera went off, or the student left: begin anew."""
        self._seen.pop(student_id, None)

    def state(self) -> str:
        """JSON from which a new watch goes on exactly."""
        return json.dumps(
            {key: [moved_s, base64.b64encode(small.tobytes()).decode()] for key, (moved_s, small) in self._seen.items()}
        )


def _small(tile_bgr: Image) -> NDArray[np.uint8]:
    """The middle of a tile in grey, 18 x 32: without speaker border and label."""
    height, width = tile_bgr.shape[:2]
    middle = tile_bgr[round(0.08 * height) : round(0.72 * height), round(0.08 * width) : round(0.92 * width)]
    small: NDArray[np.uint8] = cv2.resize(
        cv2.cvtColor(middle, cv2.COLOR_BGR2GRAY), (32, 18), interpolation=cv2.INTER_AREA
    )
    return small


def _moved(before: NDArray[np.uint8], now: NDArray[np.uint8]) -> bool:
    """Whether two small pictures differ by more than compression does: one level; a calm student reaches 3 to 13."""
    difference = np.abs(before.astype(np.int16) - now.astype(np.int16))
    return float(difference.mean()) > 0.6 or float(np.quantile(difference, 0.98)) > 3
