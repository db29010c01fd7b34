"""The students of one lecture: pseudonyms, names by vote over readings, and whose a name is. It knows no tiles.

A name is matched to a known one only on strong evidence; two students may share a name and stay two.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.students.appearance import Look, look_from_json
from monitor.students.names import NameReading
from monitor.students.naming import edit_distance, name_key, skeleton

SURE_SCORE = 0.9
"""One reading this good names a student; worse ones must agree."""
_ENOUGH_WEIGHT, _PLENTY_WEIGHT = 1.8, 4.5
"""Votes after which a name is not read again while its label stays: two good readings; five where all are doubtful."""
_CERTAIN_SCORE = 0.97
"""A reading this good with another letter is another name, not a misreading."""


@dataclass(slots=True, eq=False)
class Student:
    """One student of the lecture, in view or not."""

    student_id: str
    first_seen_s: float
    seen_s: float
    look: Look | None
    """How the tile looked when last in view; forgotten after a while."""
    votes: dict[str, list[Any]] = field(default_factory=dict)
    """Folded name -> [weight, text as best read, its score]."""
    confirmed: bool = False
    """The name was read on the tile where the student sits now."""
    read_at_s: float = 0.0
    """Media time from which the label may be read again."""
    pause_s: float = 2.0
    """How long to wait after the next reading."""
    restless: bool = False
    """The label seems to change while its name does not: the picture shows through."""
    change: float = float("inf")
    """Grey levels by which the picture changed since the frame before; infinite on a new tile. Not kept."""
    sat_down_s: float = float("-inf")
    """Media time since when the student is on this tile. Not kept."""

    @property
    def key(self) -> str | None:
        """The folded name with most votes, or None while there is too little evidence for any."""
        best = max(self.votes, key=lambda key: self.votes[key][0], default=None)
        return best if best is not None and self.votes[best][0] >= SURE_SCORE else None

    @property
    def name(self) -> str | None:
        """The name for people."""
        key = self.key
        return None if key is None else str(self.votes[key][1])

    @property
    def certain(self) -> bool:
        """Whether the name needs no more readings."""
        key = self.key
        if key is None or not self.confirmed:
            return False
        weight, _, score = self.votes[key]
        return bool(weight >= (_ENOUGH_WEIGHT if score >= _CERTAIN_SCORE else _PLENTY_WEIGHT))

    def vote(self, reading: NameReading) -> None:
        """Count one reading. The text with most spaces is kept (they are the first to be lost), then the surest."""
        ballot = self.votes.setdefault(name_key(reading.text), [0.0, reading.text, reading.score])
        ballot[0] = round(ballot[0] + reading.score, 4)
        if (reading.text.count(" "), reading.score) > (ballot[1].count(" "), ballot[2]):
            ballot[1:] = [reading.text, round(reading.score, 4)]

    def to_json(self) -> list[Any]:
        """JSON-ready; `student_from_json` gives the same student."""
        look = None if self.look is None else self.look.to_json()
        times = [self.first_seen_s, self.seen_s, self.read_at_s, self.pause_s]
        return [self.student_id, times, look, self.votes, self.confirmed, self.restless]


def student_from_json(values: list[Any]) -> Student:
    """The student that `to_json` wrote."""
    student_id, (first_seen_s, seen_s, read_at_s, pause_s), look, votes, confirmed, restless = values
    look = None if look is None else look_from_json(look)
    return Student(student_id, first_seen_s, seen_s, look, votes, confirmed, read_at_s, pause_s, restless)


class Roster:
    """All students seen in this lecture, and the names known from earlier ones.

    Args:
        known_names: folded name -> student_id.
        reserved: further ids that no new student may get.
        state: what `to_json` gave, to go on exactly; known_names are then those of the first start.
        prefix: what the ids of new students begin with.
    """

    def __init__(
        self,
        known_names: Mapping[str, str],
        reserved: Collection[str],
        state: dict[str, Any] | None = None,
        *,
        prefix: str = "",
    ) -> None:
        self._prefix = prefix
        self.students: dict[str, Student] = {}
        known = {name_key(name): student_id for name, student_id in known_names.items()}
        self._known: dict[str, str] = known if state is None else state["known"]
        self._reserved = {*self._known.values(), *reserved}
        self._next = 1
        if state is not None:
            self._next = state["next"]
            self.students = {values[0]: student_from_json(values) for values in state["students"]}

    def to_json(self) -> dict[str, Any]:
        """JSON-ready state."""
        return {
            "known": self._known,
            "next": self._next,
            "students": [student.to_json() for student in self.students.values()],
        }

    def add(self, pts_s: float, look: Look | None, reading: NameReading | None) -> Student:
        """A student never seen in this lecture; one whose name is known from earlier keeps the pseudonym."""
        student_id = None if reading is None else self._known_id(reading)
        if student_id is None:
            student_id = self._fresh_id()
        student = Student(student_id, pts_s, pts_s, look)
        self.students[student_id] = student
        return student

    def find(self, reading: NameReading, among: Iterable[Student]) -> list[Student]:
        """The students whose name this reading is: all who bear it, or the one it can only be a misreading of."""
        named = [(student, student.key) for student in among]
        key = name_key(reading.text)
        same = [student for student, other in named if other == key]
        if same:
            return same
        print_ = skeleton(key)
        alike = [student for student, other in named if other is not None and skeleton(other) == print_]
        if len(alike) == 1:
            return alike
        if not SURE_SCORE <= reading.score < _CERTAIN_SCORE:
            return []
        return self._misread(key, [(student, other) for student, other in named if other is not None])

    def contradicts(self, student: Student, reading: NameReading | None) -> bool:
        """Whether a reading speaks clearly against a student's name: it is another's, or far from one not read here."""
        own = student.key
        if own is None or reading is None or reading.score < SURE_SCORE:
            return False
        key = name_key(reading.text)
        if key != own and any(other.key == key for other in self.students.values()):
            return True
        return not student.confirmed and not _is_near(key, own)

    def may_be(self, student: Student, reading: NameReading | None) -> bool:
        """Whether a tile on which this was read may be a student's whose name it is not exactly."""
        own = student.key
        if own is None or reading is None:
            return True
        key = name_key(reading.text)
        near = edit_distance(skeleton(key), skeleton(own), len(own)) <= len(own) // 2
        return near and (key == own or reading.score < _CERTAIN_SCORE)

    def merge_target(self, student: Student, in_view: Collection[str]) -> str | None:
        """Whom a provisional student, just named, turned out to be: somebody gone before, or known from earlier."""
        key = student.key
        if key is None:
            return None
        for other in self.students.values():
            gone = other.student_id not in in_view and other.seen_s < student.first_seen_s
            if other is not student and other.key == key and gone:
                return other.student_id
        known = self._known.get(key)
        return known if known is not None and known not in self.students else None

    def merge(self, provisional: Student, target: str) -> Student:
        """Make a provisional student the one it turned out to be."""
        del self.students[provisional.student_id]
        known = self.students.get(target)
        if known is None:
            provisional.student_id = target
            self.students[target] = provisional
            return provisional
        for key, (weight, text, score) in provisional.votes.items():
            ballot = known.votes.setdefault(key, [0.0, text, score])
            ballot[0] = round(ballot[0] + weight, 4)
        known.look, known.seen_s = provisional.look, provisional.seen_s
        known.read_at_s, known.pause_s = provisional.read_at_s, provisional.pause_s
        known.confirmed, known.restless, known.change = True, provisional.restless, provisional.change
        return known

    def _misread(self, key: str, named: list[tuple[Student, str]]) -> list[Student]:
        """The one student a doubtful reading is next to, if it is near and everybody else is far."""
        limit = 1 if len(key) < 12 else 2
        if len(key) < 6:
            return []
        distances = sorted((edit_distance(key, other, limit + 3), i) for i, (_, other) in enumerate(named))
        near = [i for distance, i in distances if distance <= limit]
        apart = len(distances) < 2 or distances[1][0] >= limit + 3
        return [named[near[0]][0]] if near and apart else []

    def _known_id(self, reading: NameReading) -> str | None:
        if reading.score < SURE_SCORE:
            return None
        student_id = self._known.get(name_key(reading.text))
        return student_id if student_id not in self.students else None

    def _fresh_id(self) -> str:
        while True:
            student_id = f"{self._prefix}s{self._next:02d}"
            self._next += 1
            if student_id not in self._reserved:
                return student_id


def _is_near(first: str, second: str) -> bool:
    return edit_distance(skeleton(first), skeleton(second)) <= max(1, len(second) // 5)
