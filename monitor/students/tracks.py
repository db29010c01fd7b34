"""Keeps each student of a gallery the same student while tiles move, come and go, and cameras go off and on.

A tile that stays where it was under the same label is the same student. All others are matched anew: by the names read
on them, and by their looks where a name is not (yet) read. A tile that nobody fits well becomes a provisional student.
It knows no pictures, only looks, and does not read: it is handed readings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from monitor.students.appearance import Look, label_agreement, likeness, picture_change
from monitor.students.names import NameReading
from monitor.students.roster import SURE_SCORE, Roster, Student

ReadTiles = Callable[[Sequence[int]], Sequence[NameReading | None]]
"""Indices of tiles -> their readings, in that order."""

SAME_PLACE_IOU = 0.7
SAME_LABEL, CERTAIN_LABEL = 0.55, 0.9
"""Agreement of a label's strokes with themselves a second later: .47 at the first percentile, .93 in the middle; with
another's: .31 in the middle, .8 at most. The first holds where nothing else changed, the second where it did."""
SAME_PICTURE = 0.6
"""Correlation of a tile's thumbnail with itself a second later; of two people in like rooms up to .9."""
_STRONG_EVIDENCE = 0.75
_MARGIN = 0.15
_SMOOTH_LEVELS = 15.0
_MOST_CHANGES = 2
"""Tiles that may change both picture and label at once without everybody being suspected to have moved."""
_REMEMBERED_S = 60.0
"""For how long the look of somebody out of view is kept."""
_RECENT_S = 5.0
"""For how long somebody out of view may be recognised without a name."""
_LONGEST_PAUSE_S, _RESTLESS_PAUSE_S = 120.0, 8.0


@dataclass(slots=True)
class Seating:
    """Who sits on which tile in one frame."""

    students: list[Student]
    """One for each tile, in the order of the tiles."""
    to_read: list[int]
    """Tiles whose name should be read, the most urgent first; empty where all were read at once."""
    merges: dict[str, str] = field(default_factory=dict)
    """Provisional -> known student_id, found out in this frame."""


class TileTracks:
    """The students in view, from frame to frame. Frames come in the order of their time."""

    def __init__(self, roster: Roster, in_view: Sequence[str] = ()) -> None:
        self._roster = roster
        self._in_view = list(in_view)

    def to_json(self) -> list[Any]:
        """JSON-ready: the `in_view` of an equal tracker."""
        return self._in_view

    def update(
        self,
        pts_s: float,
        looks: Sequence[Look],
        read: ReadTiles | None = None,
        late: Mapping[str, NameReading | None] | None = None,
    ) -> Seating:
        """Seat the students of one frame.

        Args:
            pts_s: media time.
            looks: of the tiles, row by row.
            read: reads tiles at once; None where reading is somebody else's job (see `Seating.to_read`).
            late: readings by student that were asked for at an earlier frame.
        """
        kept = self._kept(looks)
        sure = {i: student for i, student in kept.items() if _stayed(student, looks[i])}
        unlike = [i for i, student in kept.items() if i not in sure and not _pictures_alike(student, looks[i])]
        moved = len(unlike) > _MOST_CHANGES or not len(kept) == len(looks) == len(self._in_view)
        stayed = {} if moved else kept
        if moved:
            self._doubt_all(pts_s, looks, sure)
        wanted = self._wanted(pts_s, looks, stayed, sure)
        readings = self._read(wanted, sure, read, late)
        if self._drop_contradicted(kept, sure, readings):
            stayed = {}
            self._doubt_all(pts_s, looks, sure)
            more = [i for i in self._wanted(pts_s, looks, stayed, sure) if i not in readings]
            readings |= self._read(more, sure, read, None)
            self._drop_contradicted(kept, sure, readings)
            wanted += more
        seated = sure | self._assign(pts_s, looks, stayed, sure, readings)
        for index in sorted(seated):
            self._sit(pts_s, seated[index], looks[index], kept.get(index) is seated[index])
        for index in readings:
            if kept.get(index) is seated[index] and index not in sure:
                seated[index].restless = True
        merges = self._count(pts_s, seated, readings)
        self._in_view = [seated[i].student_id for i in range(len(looks))]
        self._forget(pts_s)
        return Seating([seated[i] for i in range(len(looks))], [] if read is not None else wanted, merges)

    def _kept(self, looks: Sequence[Look]) -> dict[int, Student]:
        """Tiles that are where a tile of the frame before was."""
        pairs = []
        for student_id in self._in_view:
            student = self._roster.students.get(student_id)
            if student is None or student.look is None:
                continue
            for index, look in enumerate(looks):
                overlap = student.look.box.iou(look.box)
                if overlap >= SAME_PLACE_IOU:
                    pairs.append((-overlap, index, student))
        return _greedy(pairs)

    def _doubt_all(self, pts_s: float, looks: Sequence[Look], sure: dict[int, Student]) -> None:
        """Somebody moved, came or left: all others may have moved up. Who surely did not is read again all the same."""
        for index, student in list(sure.items()):
            if _stayed(student, looks[index], CERTAIN_LABEL):
                student.confirmed, student.read_at_s = False, pts_s
            else:
                del sure[index]

    def _read(
        self,
        wanted: Sequence[int],
        sure: Mapping[int, Student],
        read: ReadTiles | None,
        late: Mapping[str, NameReading | None] | None,
    ) -> dict[int, NameReading | None]:
        if read is not None:
            return dict(zip(wanted, read(wanted), strict=True)) if wanted else {}
        return {i: late[student.student_id] for i, student in sure.items() if late and student.student_id in late}

    def _drop_contradicted(
        self, kept: Mapping[int, Student], sure: dict[int, Student], readings: Mapping[int, NameReading | None]
    ) -> bool:
        """Whether a reading says that somebody else sits on a kept tile; those are sure no more."""
        contradicted = [
            i for i, reading in readings.items() if i in kept and self._roster.contradicts(kept[i], reading)
        ]
        for index in contradicted:
            sure.pop(index, None)
        return bool(contradicted)

    def _wanted(
        self, pts_s: float, looks: Sequence[Look], stayed: Mapping[int, Student], sure: Mapping[int, Student]
    ) -> list[int]:
        """Tiles to read: first those that may be somebody else's now, then names not yet certain."""
        open_tiles = [i for i in range(len(looks)) if i not in sure and not _can_wait(pts_s, stayed.get(i), looks[i])]
        return open_tiles + [i for i, student in sorted(sure.items()) if _is_due(pts_s, student)]

    def _assign(
        self,
        pts_s: float,
        looks: Sequence[Look],
        stayed: Mapping[int, Student],
        sure: Mapping[int, Student],
        readings: Mapping[int, NameReading | None],
    ) -> dict[int, Student]:
        """Students for the tiles that are not sure: by name, then by look, else new ones.

        `stayed` are those whose tiles are where they were, in a frame where nobody moved, came or left.
        """
        taken = {student.student_id for student in sure.values()}
        free = [student for key, student in self._roster.students.items() if key not in taken]
        open_tiles = [i for i in range(len(looks)) if i not in sure]
        pairs = []
        for index in open_tiles:
            reading = readings.get(index)
            for student in self._roster.find(reading, free) if reading is not None else ():
                pairs.append((-_closeness(looks[index], student, stayed.get(index)), index, student))
        assigned = _greedy(pairs)
        rest = [i for i in open_tiles if i not in assigned]
        claimed = {student.student_id for student in assigned.values()}
        recent = [s for s in free if s.student_id not in claimed and pts_s - s.seen_s <= _RECENT_S]
        assigned |= self._by_look(looks, rest, recent, stayed, readings)
        claimed = {student.student_id for student in assigned.values()}
        for index in rest:
            if index in assigned:
                continue
            here, reading = stayed.get(index), readings.get(index)
            if (
                here is not None
                and here.student_id not in taken | claimed
                and self._goes_on(here, looks[index], reading)
            ):
                assigned[index] = here
            else:
                sure_reading = reading if reading is not None and reading.score >= SURE_SCORE else None
                assigned[index] = self._roster.add(pts_s, looks[index], sure_reading)
        return assigned

    def _by_look(
        self,
        looks: Sequence[Look],
        tiles: Sequence[int],
        students: Sequence[Student],
        stayed: Mapping[int, Student],
        readings: Mapping[int, NameReading | None],
    ) -> dict[int, Student]:
        """Tiles that look like one student and like nobody else, and on which no other name was read."""
        evidence: dict[tuple[int, int], float] = {}
        for index in tiles:
            for number, student in enumerate(students):
                alike = _evidence(looks[index], student)
                if alike is not None and self._roster.may_be(student, readings.get(index)):
                    evidence[index, number] = alike + (_MARGIN if stayed.get(index) is student else 0.0)
        pairs = []
        for (index, number), value in evidence.items():
            rivals = [v for (i, n), v in evidence.items() if (i == index) != (n == number)]
            if value >= _STRONG_EVIDENCE and value - max(rivals, default=-1.0) >= _MARGIN:
                pairs.append((-value, index, students[number]))
        return _greedy(pairs)

    def _goes_on(self, student: Student, look: Look, reading: NameReading | None) -> bool:
        """Whether a tile that did not move, where nobody moved, is still its student's: unless another name is read.

        A name that changes under a picture that goes on is the same student's new name.
        """
        if self._roster.may_be(student, reading):
            return True
        if not _went_smoothly(student, look):
            return False
        student.votes.clear()
        return True

    def _sit(self, pts_s: float, student: Student, look: Look, stayed: bool) -> None:
        if not stayed:
            student.confirmed, student.restless, student.read_at_s, student.pause_s = False, False, pts_s, 2.0
            student.sat_down_s = pts_s
        student.change = picture_change(student.look if stayed else None, look)
        student.look, student.seen_s = look, pts_s

    def _count(
        self, pts_s: float, seated: dict[int, Student], readings: Mapping[int, NameReading | None]
    ) -> dict[str, str]:
        """Count the readings as votes. Provisional students who are named by them are merged."""
        merges = {}
        in_view = {student.student_id for student in seated.values()}
        for index, reading in sorted(readings.items()):
            student = seated[index]
            unnamed = student.key is None
            if reading is not None:
                student.vote(reading)
                student.confirmed = student.confirmed or not self._roster.contradicts(student, reading)
            student.read_at_s = pts_s + student.pause_s
            student.pause_s = min(2 * student.pause_s, _RESTLESS_PAUSE_S if student.restless else _LONGEST_PAUSE_S)
            target = self._roster.merge_target(student, in_view) if unnamed else None
            if target is not None:
                merges[student.student_id] = target
                seated[index] = self._roster.merge(student, target)
                in_view = {one.student_id for one in seated.values()}
        return {provisional: target for provisional, target in merges.items() if provisional != target}

    def _forget(self, pts_s: float) -> None:
        for student in self._roster.students.values():
            if student.look is not None and pts_s - student.seen_s > _REMEMBERED_S:
                student.look = None


def without_picture(look: Look) -> Look:
    """The look of a student whose picture must not be kept."""
    return replace(look, thumbnail=None)


def _stayed(student: Student, look: Look, needed: float = SAME_LABEL) -> bool:
    """Whether a tile at a student's place is surely still that student's; `needed` is the agreement of labels asked."""
    before = student.look
    if before is None:
        return False
    alike = likeness(before, look)
    if alike is not None and alike < SAME_PICTURE:
        return False
    agreement = label_agreement(before, look)
    if agreement is not None:
        return agreement >= (needed if before.off == look.off else CERTAIN_LABEL)
    return needed < CERTAIN_LABEL and before.off == look.off


def _pictures_alike(student: Student, look: Look) -> bool:
    alike = likeness(student.look, look) if student.look is not None else None
    return alike is not None and alike >= SAME_PICTURE


def _went_smoothly(student: Student, look: Look) -> bool:
    """Whether the picture at a place went on so smoothly that only the name can have changed."""
    return picture_change(student.look, look) <= _SMOOTH_LEVELS


def _can_wait(pts_s: float, student: Student | None, look: Look) -> bool:
    """Whether a tile is likely enough still the same student's that a restless label need not be read each time."""
    if student is None or student.look is None or not (student.confirmed and student.restless):
        return False
    return pts_s < student.read_at_s and _pictures_alike(student, look)


def _is_due(pts_s: float, student: Student) -> bool:
    """Whether a name should be read: until it is certain at growing intervals, then now and then to be sure."""
    pause_s = _LONGEST_PAUSE_S if student.certain and not student.restless else 0.0
    return pts_s >= student.read_at_s + pause_s


def _evidence(look: Look, student: Student) -> float | None:
    """How far a tile looks like a student when last seen, -1 to 1; None where nothing can be compared."""
    if student.look is None:
        return None
    alike, agreement = likeness(look, student.look), label_agreement(look, student.look, moved=True)
    if agreement is None:
        return None if alike is None else alike - _MARGIN  # pictures alone say little: rooms are alike
    return agreement if alike is None else (alike + agreement) / 2


def _closeness(look: Look, student: Student, kept: Student | None) -> float:
    """Orders the students of one name: the one who sat here, then the one who looks so, then the one nearest."""
    if student.look is None:
        return -1.0
    return (2.0 if kept is student else 0.0) + (_evidence(look, student) or 0.0) + 0.1 * student.look.box.iou(look.box)


def _greedy(pairs: list[tuple[float, int, Student]]) -> dict[int, Student]:
    """One student a tile and one tile a student, the best (lowest cost) pairs first."""
    chosen: dict[int, Student] = {}
    used: set[str] = set()
    for _, index, student in sorted(pairs, key=lambda pair: (pair[0], pair[1], pair[2].student_id)):
        if index not in chosen and student.student_id not in used:
            chosen[index] = student
            used.add(student.student_id)
    return chosen
