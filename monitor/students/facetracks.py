"""Keeps each face of a webcam or room picture the same student: where it was, how large, and what it looks like.

Tolerates missed detections for some seconds. Students sit: who comes back to the same place is the same student. It
knows no names and no tiles.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.schema import Box, Detection, Image, Presence, Track
from monitor.students.roster import Roster

KEPT_S = 4.0
"""A face that is not found stays where it was for so long."""
SEAT_REMEMBERED_S = 900.0
"""Somebody who comes back to the same place within so long is the same student."""
_SURE_SCORE = 0.6
"""A new face less sure than this must be seen twice."""
_REACH = 1.6
"""Face sizes that a head may move between two frames."""
_SIZE_RATIO = 1.8
_ALIKE = 0.45
_SMOOTHING = 0.6
"""Share of the newest detection in a box that hardly moved."""
_THUMBNAIL = (6, 8)


@dataclass(slots=True)
class _Face:
    student_id: str | None
    """None until a doubtful face is seen again."""
    box: tuple[float, float, float, float]
    seen_s: float
    thumbnail: NDArray[np.uint8]


class FaceTracks:
    """Faces from frame to frame.

    Args:
        roster: gives pseudonyms.
        opted_out: ids of students who are never judged.
        state: what `to_json` gave.
    """

    def __init__(self, roster: Roster, opted_out: Collection[str] = (), state: list[list[Any]] | None = None) -> None:
        self._roster = roster
        self._opted_out = frozenset(opted_out)
        self._faces = [_face_from_json(values) for values in state or ()]

    def to_json(self) -> list[list[Any]]:
        """JSON-ready state."""
        return [[f.student_id, f.box, f.seen_s, base64.b64encode(f.thumbnail.tobytes()).decode()] for f in self._faces]

    def update(self, pts_s: float, image_bgr: Image, detections: Sequence[Detection]) -> tuple[Track, ...]:
        """The tracks of one frame, top left first."""
        ordered = sorted(detections, key=lambda d: (d.box.y1, d.box.x1))
        thumbnails = [_thumbnail(image_bgr, detection.box) for detection in ordered]
        matches = self._match(pts_s, ordered, thumbnails)
        for index, (detection, thumbnail) in enumerate(zip(ordered, thumbnails, strict=True)):
            face = matches.get(index)
            if face is None:
                face = _Face(None, detection.box.as_tuple(), pts_s, thumbnail)
                self._faces.append(face)
                known = detection.score >= _SURE_SCORE
            else:
                face.box = _smoothed(face.box, detection.box)
                known = True
            face.seen_s, face.thumbnail = pts_s, thumbnail
            if known and face.student_id is None:
                face.student_id = self._roster.add(pts_s, None, None).student_id
        self._faces = [face for face in self._faces if pts_s - face.seen_s <= _lifetime(face)]
        shape = image_bgr.shape
        tracks = [self._track(face, shape) for face in self._faces if pts_s - face.seen_s <= KEPT_S]
        return tuple(sorted((t for t in tracks if t is not None), key=lambda t: (t.box.y1, t.box.x1)))

    def _match(
        self, pts_s: float, detections: Sequence[Detection], thumbnails: Sequence[NDArray[np.uint8]]
    ) -> dict[int, _Face]:
        pairs = []
        for index, (detection, thumbnail) in enumerate(zip(detections, thumbnails, strict=True)):
            for number, face in enumerate(self._faces):
                cost = _cost(pts_s, face, detection.box, thumbnail)
                if cost is not None:
                    pairs.append((cost, index, number))
        matches: dict[int, _Face] = {}
        used: set[int] = set()
        for _, index, number in sorted(pairs):
            if index not in matches and number not in used:
                matches[index] = self._faces[number]
                used.add(number)
        return matches

    def _track(self, face: _Face, shape: tuple[int, ...]) -> Track | None:
        x1, y1 = max(0, round(face.box[0])), max(0, round(face.box[1]))
        x2, y2 = min(shape[1], round(face.box[2])), min(shape[0], round(face.box[3]))
        if face.student_id is None or x1 >= x2 or y1 >= y2:
            return None
        box = Box(x1, y1, x2, y2)
        if face.student_id in self._opted_out:
            return Track(face.student_id, box, Presence.OPTED_OUT)
        return Track(face.student_id, box, Presence.VISIBLE, box)


def _cost(pts_s: float, face: _Face, box: Box, thumbnail: NDArray[np.uint8]) -> float | None:
    """How badly a detection fits a face; None where it cannot be the same student."""
    x1, y1, x2, y2 = face.box
    size = max(x2 - x1, y2 - y1)
    new_size = max(box.width, box.height)
    if max(size, new_size) > _SIZE_RATIO * min(size, new_size):
        return None
    x, y = box.center
    distance = math.hypot(x - (x1 + x2) / 2, y - (y1 + y2) / 2) / max(size, new_size)
    alike = _correlation(face.thumbnail, thumbnail)
    lost = pts_s - face.seen_s > KEPT_S
    if distance > _REACH or (distance > 0.7 and alike < _ALIKE) or (lost and alike < 0.2):
        return None
    return distance - 0.5 * alike + (0.5 if lost else 0.0)


def _smoothed(old: tuple[float, float, float, float], new: Box) -> tuple[float, float, float, float]:
    """Old and new mixed where the head hardly moved, else the new box: a moving head must not lag behind."""
    moved = max(abs(a - b) for a, b in zip(old, new.as_tuple(), strict=True))
    share = _SMOOTHING if moved < 0.25 * max(new.width, new.height) else 1.0
    x1, y1, x2, y2 = (round(share * b + (1 - share) * a, 3) for a, b in zip(old, new.as_tuple(), strict=True))
    return x1, y1, x2, y2


def _lifetime(face: _Face) -> float:
    return KEPT_S if face.student_id is None else SEAT_REMEMBERED_S


def _thumbnail(image: Image, box: Box) -> NDArray[np.uint8]:
    """Head and shoulders, 8 x 6 x 3."""
    x1, x2 = max(0, box.x1 - box.width // 2), min(image.shape[1], box.x2 + box.width // 2)
    y1, y2 = max(0, box.y1 - box.height // 4), min(image.shape[0], box.y2 + box.height)
    return np.asarray(cv2.resize(image[y1:y2, x1:x2], _THUMBNAIL, interpolation=cv2.INTER_AREA), np.uint8)


def _correlation(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    a, b = first.astype(np.float32).ravel(), second.astype(np.float32).ravel()
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / np.sqrt((a @ a + a.size) * (b @ b + b.size)))


def _face_from_json(values: list[Any]) -> _Face:
    student_id, box, seen_s, thumbnail = values
    pixels = np.frombuffer(base64.b64decode(thumbnail), np.uint8).reshape(_THUMBNAIL[1], _THUMBNAIL[0], 3)
    return _Face(student_id, (box[0], box[1], box[2], box[3]), seen_s, pixels)
