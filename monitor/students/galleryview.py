"""The students of a gallery: who sits on which tile, where their heads are, and whether they can be judged.

Joins tiles, names, looks and heads of one frame. It does not decide whether a picture is a gallery.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from monitor.schema import Box, Frame, Image, Presence, Track
from monitor.students.appearance import look_at
from monitor.students.camera import StillWatch, is_camera_off
from monitor.students.facemodel import FindsFaces
from monitor.students.headsearch import HeadSearch, Seat
from monitor.students.names import NameReading, shared_reader
from monitor.students.nameworker import NameWorker, Request
from monitor.students.roster import Roster, Student
from monitor.students.tracks import Seating, TileTracks, without_picture

STILL_AFTER_S = 20.0
"""A picture that has not moved for so long is a photograph or a frozen connection."""


ANSWER_WITHIN_S = 5.0
"""A name asked for is not asked for again before, unless the student moves."""


class GalleryView:
    """Tracks of all tiles, from frame to frame.

    Args:
        roster: the students of the lecture.
        opted_out: ids of students who are never looked at.
        wait_for_names: read names inside `find`, or on a thread.
        state: what `to_json` gave.
    """

    def __init__(
        self,
        roster: Roster,
        faces: FindsFaces,
        *,
        opted_out: Collection[str],
        wait_for_names: bool,
        state: dict[str, Any] | None = None,
    ) -> None:
        state = state or {}
        self._roster = roster
        self._opted_out = frozenset(opted_out)
        self._tracks = TileTracks(roster, state.get("in_view", ()))
        self._heads = HeadSearch(faces, state.get("heads"))
        self._still = StillWatch(STILL_AFTER_S, state.get("still"))
        self._wait_for_names = wait_for_names
        self._worker: NameWorker | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON-ready state, without the roster."""
        return {"in_view": self._tracks.to_json(), "heads": self._heads.to_json(), "still": self._still.state()}

    def find(self, frame: Frame, tiles: Sequence[Box]) -> tuple[tuple[Track, ...], dict[str, str]]:
        """The tracks of one frame, row by row, and the merges found out in it."""
        image = frame.image_bgr
        boxes = sorted(tiles, key=lambda box: (box.y1, box.x1))
        cut = [box.cut(image) for box in boxes]
        off = [is_camera_off(tile) for tile in cut]
        before = set(self._tracks.to_json())
        seating = self._seat(frame, boxes, cut, off)
        for student_id in before - {student.student_id for student in seating.students}:
            self._still.forget(student_id)
        watched = []
        for student, box, tile, is_off in zip(seating.students, boxes, cut, off, strict=True):
            presence = self._presence(frame.pts_s, student, tile, is_off, seating)
            watched.append((student, box, presence))
        judged = [Seat(s.student_id, box, s.change) for s, box, presence in watched if presence.judged]
        heads = self._heads.find(frame.pts_s, image, judged)
        tracks = tuple(Track(s.student_id, box, presence, heads.get(s.student_id)) for s, box, presence in watched)
        return tracks, seating.merges

    def close(self) -> None:
        """Stop the reading thread."""
        if self._worker is not None:
            self._worker.close()

    def _seat(self, frame: Frame, boxes: Sequence[Box], cut: Sequence[Image], off: Sequence[bool]) -> Seating:
        looks = [look_at(frame.image_bgr, box, is_off) for box, is_off in zip(boxes, off, strict=True)]

        def read(indices: Sequence[int]) -> list[NameReading | None]:
            return shared_reader().read([cut[i] for i in indices], [off[i] for i in indices])

        if self._wait_for_names:
            seating = self._tracks.update(frame.pts_s, looks, read)
        else:
            seating = self._tracks.update(frame.pts_s, looks, late=self._late_readings())
            self._ask(frame.pts_s, seating, cut, off)
        for student in seating.students:
            if student.student_id in self._opted_out and student.look is not None:
                student.look = without_picture(student.look)
        return seating

    def _late_readings(self) -> dict[str, NameReading | None]:
        """What the thread has read, of students who still sit where they sat when it was asked for."""
        self._worker = self._worker or NameWorker()
        late = {}
        for request, readings in self._worker.collect():
            for student_id, reading in zip(request.student_ids, readings, strict=True):
                student = self._roster.students.get(student_id)
                if student is not None and student.sat_down_s <= request.asked_s:
                    late[student_id] = reading
        return late

    def _ask(self, pts_s: float, seating: Seating, cut: Sequence[Image], off: Sequence[bool]) -> None:
        students = [seating.students[i] for i in seating.to_read]
        tiles = [cut[i].copy() for i in seating.to_read]
        request = Request(pts_s, [s.student_id for s in students], tiles, [off[i] for i in seating.to_read])
        if students and self._worker is not None and self._worker.ask(request):
            for student in students:
                student.read_at_s = pts_s + ANSWER_WITHIN_S

    def _presence(self, pts_s: float, student: Student, tile: Image, off: bool, seating: Seating) -> Presence:
        student_id = student.student_id
        if student_id in self._opted_out:
            self._still.forget(student_id)
            return Presence.OPTED_OUT
        if off:
            self._still.forget(student_id)
            return Presence.CAMERA_OFF
        if student.key is None:
            # It may be somebody who opted out and whose name is not read yet.
            missing = self._opted_out - {other.student_id for other in seating.students}
            return Presence.OPTED_OUT if missing else Presence.UNIDENTIFIED
        return Presence.PICTURE_STILL if self._still.update(student_id, pts_s, tile) else Presence.VISIBLE
