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

FLAT_LEVELS = 5
"""Levels around a tile's own ground colour that count as that colour after H.264."""
TRIM = 0.07
"""Of each side, where corners, speaker border and blur are."""
LABEL_FREE = 0.64
"""Part of the height, from the top, where no name label is."""
MOST_DRAWN = 0.27
"""Part of the label-free area that a name, initials, a disc or a photograph covers at most."""
WIDEST_FOOT = 0.33
"""Part of the width that anything may have at the lower end of that area: shoulders are wider, avatars are not."""


def is_camera_off(tile_bgr: Image) -> bool:
    """Whether a tile shows no camera picture: one flat colour with at most a name, initials or an avatar in the middle.

    A dark room is not flat enough, and somebody before a plain wall has shoulders that reach down and out.
    """
    height, width = tile_bgr.shape[:2]
    if height < 12 or width < 12:
        return False
    x, y = max(2, round(TRIM * width)), max(2, round(TRIM * height))
    body = tile_bgr[y : round(LABEL_FREE * height), x : width - x]
    drawn = _unlike_ground(body)
    side = max(2, body.shape[1] // 6)
    around = [drawn[:, :side], drawn[:, -side:], drawn[: max(2, body.shape[0] // 8)]]
    if any(float(part.mean()) > 0.02 for part in around):
        return False
    foot = drawn[-max(2, body.shape[0] // 10) :].max(axis=0)
    return float(drawn.mean()) <= MOST_DRAWN and float(foot.mean()) <= WIDEST_FOOT


def _unlike_ground(body_bgr: Image) -> NDArray[np.float32]:
    """1 where a pixel differs from the commonest colour at the sides, else 0; (H, W)."""
    side = max(2, body_bgr.shape[1] // 6)
    sides = np.concatenate([body_bgr[:, :side].reshape(-1, 3), body_bgr[:, -side:].reshape(-1, 3)])
    ground = np.median(sides, axis=0)
    difference = np.abs(body_bgr.astype(np.int16) - ground.astype(np.int16)).max(axis=2)
    unlike: NDArray[np.float32] = (difference > FLAT_LEVELS).astype(np.float32)
    return unlike


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
    """Whether two small pictures differ by more than compression and scaling do."""
    difference = np.abs(before.astype(np.int16) - now.astype(np.int16))
    return float(difference.mean()) > 1.2 or float(np.quantile(difference, 0.98)) > 6
