"""Finds the head in each student's tile, looking again only where the picture changed or some seconds have passed.

It knows a student's id only as a label for what it found before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from monitor.schema import Box, Detection, Image
from monitor.students.facemodel import FindsFaces
from monitor.students.faces import TILE_SIDE_PX

LOOK_AGAIN_S = 3.0
"""A picture that seems still is looked at again after so long."""
KEEP_S = 4.0
"""A head that is not found any more is believed to be where it was for so long: turned far away, or bent down."""
CHANGED_LEVELS = 9.0
"""Grey levels by which some spot of a thumbnail must change for the picture to be looked at."""
_CLOSE_LOOK_PX = 2 * TILE_SIDE_PX
_CLOSE_LOOK_EVERY_S = 5.0
_LARGER = 1.4
"""A second face takes over when it is so many times larger."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A tile to be searched."""

    student_id: str
    tile: Box
    change: float
    """Grey levels by which its picture changed since the frame before."""


@dataclass(slots=True)
class _Head:
    tile: Box
    face: Box | None
    """In pixels of the tile."""
    found_s: float
    looked_s: float
    close_look_s: float


class HeadSearch:
    """Heads of all students, from frame to frame."""

    def __init__(self, finder: FindsFaces, state: dict[str, list[Any]] | None = None) -> None:
        self._finder = finder
        self._heads: dict[str, _Head] = {}
        for student_id, (tile, face, *times) in (state or {}).items():
            self._heads[student_id] = _Head(Box(*tile), None if face is None else Box(*face), *times)

    def to_json(self) -> dict[str, list[Any]]:
        """JSON-ready state."""
        return {
            student_id: [
                head.tile.as_tuple(),
                None if head.face is None else head.face.as_tuple(),
                head.found_s,
                head.looked_s,
                head.close_look_s,
            ]
            for student_id, head in self._heads.items()
        }

    def find(self, pts_s: float, image_bgr: Image, seats: Sequence[Seat]) -> dict[str, Box | None]:
        """The head on each tile, in pixels of the frame; of two people on one tile the larger. Others are forgotten."""
        self._heads = {seat.student_id: self._carried(seat) for seat in seats}
        due = [seat for seat in seats if self._is_due(pts_s, seat)]
        found = self._finder.find([seat.tile.cut(image_bgr) for seat in due], TILE_SIDE_PX)
        for seat, detections in zip(due, found, strict=True):
            self._note(pts_s, seat, detections)
        lost = [seat for seat in due if self._wants_close_look(pts_s, seat)]
        found = self._finder.find([seat.tile.cut(image_bgr) for seat in lost], _CLOSE_LOOK_PX)
        for seat, detections in zip(lost, found, strict=True):
            self._heads[seat.student_id].close_look_s = pts_s
            self._note(pts_s, seat, detections)
        return {seat.student_id: self._in_frame(pts_s, seat) for seat in seats}

    def _carried(self, seat: Seat) -> _Head:
        """What is known of a seat; a head on a tile of another size moves with the tile until it is looked at."""
        head = self._heads.get(seat.student_id)
        if head is None:
            return _Head(seat.tile, None, -KEEP_S, -LOOK_AGAIN_S, -_CLOSE_LOOK_EVERY_S)
        if (head.tile.width, head.tile.height) != (seat.tile.width, seat.tile.height):
            face = None if head.face is None else _scaled(head.face, head.tile, seat.tile)
            return _Head(seat.tile, face, head.found_s, -LOOK_AGAIN_S, head.close_look_s)
        head.tile = seat.tile
        return head

    def _is_due(self, pts_s: float, seat: Seat) -> bool:
        return seat.change >= CHANGED_LEVELS or pts_s - self._heads[seat.student_id].looked_s >= LOOK_AGAIN_S

    def _wants_close_look(self, pts_s: float, seat: Seat) -> bool:
        """No head at the coarse look: it may be a small one."""
        head = self._heads[seat.student_id]
        missed = head.found_s < pts_s and pts_s - head.found_s >= KEEP_S
        return missed and seat.tile.width > 1.2 * TILE_SIDE_PX and pts_s - head.close_look_s >= _CLOSE_LOOK_EVERY_S

    def _note(self, pts_s: float, seat: Seat, detections: Sequence[Detection]) -> None:
        head = self._heads[seat.student_id]
        head.looked_s = pts_s
        if detections:
            head.face, head.found_s = larger_face([d.box for d in detections], head.face), pts_s

    def _in_frame(self, pts_s: float, seat: Seat) -> Box | None:
        head = self._heads[seat.student_id]
        if head.face is None or head.looked_s - head.found_s >= KEEP_S:
            return None
        x, y, face = seat.tile.x1, seat.tile.y1, head.face
        return Box(x + face.x1, y + face.y1, x + face.x2, y + face.y2)


def larger_face(faces: Sequence[Box], before: Box | None) -> Box:
    """The largest of several faces; the one chosen before stays until another is clearly larger."""
    largest = max(faces, key=lambda face: face.area)
    same = max(faces, key=lambda face: face.iou(before)) if before is not None else largest
    if before is None or same.iou(before) < 0.2:
        return largest
    return largest if largest.area > _LARGER * same.area else same


def _scaled(face: Box, old: Box, new: Box) -> Box:
    x, y = new.width / old.width, new.height / old.height
    x1, y1 = round(face.x1 * x), round(face.y1 * y)
    return Box(x1, y1, max(x1 + 1, round(face.x2 * x)), max(y1 + 1, round(face.y2 * y)))
