"""Nobody becomes somebody else: tiles keep their students, names decide, and doubt makes a provisional student."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from monitor.schema import Box, Detection, Image
from monitor.students.appearance import Look, label_agreement, likeness, look_at
from monitor.students.facetracks import KEPT_S, FaceTracks
from monitor.students.names import NameReading
from monitor.students.roster import Roster
from monitor.students.tracks import Seating, TileTracks
from tests.galleries import name_of, person_picture
from trainer.synthetic.gallery import ZOOM, Participant, compose

SIZE = (1280, 720)
Names = Callable[[int], str]


class Lecture:
    """A gallery of drawn people whose labels are read without fail, or not at all."""

    def __init__(self, known_names: dict[str, str] | None = None) -> None:
        self.roster = Roster(known_names or {}, ())
        self.tracks = TileTracks(self.roster)
        self.time_s = 0.0
        self.reads = 0

    def show(
        self, people: Sequence[int], *, off: Sequence[int] = (), read: bool = True, names: Names = name_of
    ) -> list[str]:
        """The student_ids seated on the tiles of `people`, in their order."""
        return [student.student_id for student in self.seat(people, off=off, read=read, names=names).students]

    def seat(
        self, people: Sequence[int], *, off: Sequence[int] = (), read: bool = True, names: Names = name_of
    ) -> Seating:
        looks = looks_of(people, off, self.time_s, names)
        readings = [NameReading(names(person), 0.99) if read else None for person in people]

        def reader(indices: Sequence[int]) -> list[NameReading | None]:
            self.reads += len(indices)
            return [readings[i] for i in indices]

        seating = self.tracks.update(self.time_s, looks, reader)
        self.time_s += 1.0
        return seating


def looks_of(people: Sequence[int], off: Sequence[int], time_s: float, names: Names = name_of) -> list[Look]:
    pictures = [None if person in off else person_picture(person, time_s) for person in people]
    participants = [Participant(names(person), picture) for person, picture in zip(people, pictures, strict=True)]
    image, boxes = compose(SIZE, participants, ZOOM)
    return [look_at(image, box, person in off) for person, box in zip(people, boxes, strict=True)]


def test_pseudonyms_count_from_top_left() -> None:
    assert Lecture().show(range(7)) == [f"s{number:02d}" for number in range(1, 8)]


def test_join_leave_and_reflow_keep_everybody() -> None:
    lecture = Lecture()
    who = dict(zip(range(9), lecture.show(range(9)), strict=True))
    for people in ([1, 2, 3, 4, 5, 6, 7, 8], [8, 1, 2, 3, 4, 5, 6, 7], [3, 4, 5], [5, 3, 4, 0, 1]):
        assert lecture.show(people) == [who[person] for person in people]
    newcomer = lecture.show([5, 3, 4, 0, 1, 9])[-1]
    assert newcomer not in who.values()


def test_two_who_change_places_at_once_stay_themselves() -> None:
    lecture = Lecture()
    first = lecture.show(range(6))
    assert lecture.show([1, 0, 2, 3, 4, 5]) == [first[1], first[0], *first[2:]]


def test_somebody_else_on_the_same_tile_is_somebody_else() -> None:
    lecture = Lecture()
    first = lecture.show(range(6))
    assert lecture.show([0, 1, 2, 7, 4, 5])[3] not in first


def test_the_camera_goes_off_and_on() -> None:
    lecture = Lecture()
    first = lecture.show(range(6))
    assert lecture.show(range(6), off=[2]) == first
    assert lecture.show([0, 1, 3, 4, 5, 2], off=[2]) == [*first[:2], *first[3:], first[2]]
    assert lecture.show(range(6)) == first


def test_names_are_not_read_each_second() -> None:
    lecture = Lecture()
    for _ in range(20):
        lecture.show(range(6))
    assert lecture.reads <= 3 * 6


def test_two_students_of_one_name_stay_two() -> None:
    def same(person: int) -> str:
        return "Ana Lopes" if person < 2 else name_of(person)

    lecture = Lecture()
    first = lecture.show(range(6), names=same)
    assert len(set(first)) == 6
    assert lecture.show(range(6), names=same) == first
    assert lecture.show([5, 0, 1, 2, 3, 4], names=same) == [first[5], *first[:5]]


def test_without_any_name_looks_keep_students_apart() -> None:
    lecture = Lecture()
    first = lecture.show(range(6), read=False, names=lambda _: "")
    assert lecture.show([1, 2, 3, 4, 5], read=False, names=lambda _: "") == first[1:]
    assert lecture.show(range(6), read=False, names=lambda _: "")[1:] == first[1:]


def test_an_unread_stranger_is_never_taken_for_somebody_known() -> None:
    lecture = Lecture()
    first = lecture.show(range(4))
    lecture.show([0, 1, 2])
    seating = lecture.seat([0, 1, 2, 9], read=False)
    assert seating.students[3].student_id not in first
    assert seating.students[3].name is None


def test_a_provisional_student_turns_out_to_be_somebody_known() -> None:
    lecture = Lecture({name_of(3): "s77"})
    seating = lecture.seat(range(5), read=False)
    provisional = seating.students[3].student_id
    assert provisional != "s77"
    for _ in range(3):
        seating = lecture.seat(range(5))
        if seating.merges:
            break
    assert seating.merges == {provisional: "s77"}
    assert seating.students[3].student_id == "s77"


def test_whoever_comes_back_unread_is_merged_once_the_name_is_read() -> None:
    lecture = Lecture()
    first = lecture.show(range(4))
    lecture.show([0, 1, 2])
    lecture.time_s += 70.0
    lecture.show([0, 1, 2])
    provisional = lecture.show(range(4), read=False)[3]
    assert provisional not in first
    merged: dict[str, str] = {}
    for _ in range(3):
        merged |= lecture.seat(range(4)).merges
    assert merged == {provisional: first[3]}


def test_a_known_name_keeps_its_pseudonym_and_nobody_else_gets_it() -> None:
    lecture = Lecture({"ana lopes": "s01", name_of(2): "s05"})
    assert lecture.show(range(6)) == ["s01", "s02", "s05", "s03", "s04", "s06"]


def test_a_new_name_under_a_picture_that_goes_on_is_the_same_student() -> None:
    lecture = Lecture()
    first = lecture.show(range(4))
    lecture.time_s -= 1.0  # the same picture, only the label changes
    seating = lecture.seat(range(4), names=lambda person: "Student No. 7" if person == 1 else name_of(person))
    assert [student.student_id for student in seating.students] == first
    assert seating.students[1].name == "Student No. 7"


@pytest.mark.parametrize(
    ("name", "score"), [("Ana Lopez", 0.99), ("Ana", 0.95), ("Anna Loos", 0.94), ("An Lopes", 0.6)]
)
def test_a_name_that_is_only_near_is_not_taken(name: str, score: float) -> None:
    roster = Roster({}, ())
    for known in ("Ana Lopes", "Ann Lopes"):
        roster.add(0.0, None, None).vote(NameReading(known, 0.99))
    assert roster.find(NameReading(name, score), roster.students.values()) == []


def test_a_doubtful_reading_next_to_one_name_only_is_taken() -> None:
    roster = Roster({}, ())
    for known in ("Ana Lopes", "Jonas Weber"):
        roster.add(0.0, None, None).vote(NameReading(known, 0.99))
    assert [s.student_id for s in roster.find(NameReading("Jonas Wcber", 0.93), roster.students.values())] == ["s02"]
    assert [s.student_id for s in roster.find(NameReading("Jonas Weber", 0.55), roster.students.values())] == ["s02"]


def test_the_state_goes_on_exactly() -> None:
    straight = Lecture()
    parts = [range(6), [0, 2, 3, 4, 5], [5, 0, 2, 3, 4], range(6)]
    expected = [straight.show(part) for part in parts]
    broken = Lecture()
    for index, part in enumerate(parts):
        assert broken.show(part) == expected[index]
        saved = json.loads(json.dumps([broken.roster.to_json(), broken.tracks.to_json()]))
        broken.roster = Roster({}, (), saved[0])
        broken.tracks = TileTracks(broken.roster, saved[1])


def test_looks_tell_labels_and_pictures_apart() -> None:
    now, later = looks_of(range(6), (), 0.0), looks_of(range(6), (), 1.0)
    for i in range(6):
        assert (label_agreement(now[i], later[i]) or 0) > 0.8
        assert (likeness(now[i], later[i]) or 0) > 0.8
        assert (label_agreement(now[i], later[(i + 1) % 6]) or 0) < 0.8


def room(seed: int = 3) -> Image:
    return np.random.default_rng(seed).integers(0, 255, (360, 640, 3), dtype=np.uint8)


def face(x: int, y: int, size: int = 40, score: float = 0.9) -> Detection:
    return Detection("face", Box(x, y, x + size, y + size), score)


def test_faces_keep_their_students_while_they_move_and_while_they_are_missed() -> None:
    tracks, image = FaceTracks(Roster({}, ())), room()
    assert [t.student_id for t in tracks.update(0.0, image, [face(100, 100), face(300, 100)])] == ["s01", "s02"]
    assert [t.student_id for t in tracks.update(1.0, image, [face(112, 104), face(300, 98)])] == ["s02", "s01"]
    missed = tracks.update(2.0, image, [face(115, 104)])
    assert {t.student_id for t in missed} == {"s01", "s02"}
    assert {t.student_id for t in tracks.update(2.0 + KEPT_S, image, [face(115, 104)])} == {"s01"}


def test_a_face_that_comes_back_to_its_seat_is_the_same_student() -> None:
    tracks, image = FaceTracks(Roster({}, ())), room()
    tracks.update(0.0, image, [face(100, 100), face(300, 100)])
    for second in range(1, 60):
        tracks.update(float(second), image, [face(100, 100)])
    assert {t.student_id for t in tracks.update(60.0, image, [face(100, 100), face(302, 101)])} == {"s01", "s02"}


def test_a_doubtful_face_counts_only_when_seen_twice() -> None:
    tracks, image = FaceTracks(Roster({}, ())), room()
    assert tracks.update(0.0, image, [face(100, 100, score=0.45)]) == ()
    assert [t.student_id for t in tracks.update(1.0, image, [face(101, 100, score=0.45)])] == ["s01"]
    tracks.update(2.0, image, [face(400, 100, score=0.45)])
    assert {t.student_id for t in tracks.update(3.0, image, [])} == {"s01"}
