"""The finder keeps students through whole little lectures, goes on exactly after a stop, and respects an opt-out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest

from monitor.errors import BadInputError
from monitor.schema import Detection, Frame, Image, Presence
from monitor.students.facemodel import open_face_finder
from monitor.students.finder import Sighting, StudentFinder
from monitor.students.naming import name_key
from tests.galleries import name_of, portrait, slide_picture
from tests.monitor.real_gallery import frames as real_frames
from tests.monitor.real_gallery import needs_recording
from trainer.synthetic.gallery_style import GRID, MEET, ZOOM, Arrangement
from trainer.synthetic.gallery_video import Attendee, Event, PictureAt, Recording, Schedule, frame_at, seats_at

EVENTS = (
    Event(1, "join", "p07"),
    Event(2, "off", "p01"),
    Event(3, "leave", "p00"),
    Event(4, "speak", "p02"),
    Event(5, "on", "p01"),
    Event(6, "leave", "p03"),
    Event(6, "join", "p08"),
    Event(7, "join", "p00"),
)


def lecture(seed: int = 1, *, duration_s: int = 9, strip: bool = False, cameras_first: bool = False) -> Schedule:
    people = [Attendee(f"p{index:02d}", name_of(index), portrait(seed * 64 + index)) for index in range(9)]
    shown = ((0, GRID), (4, Arrangement(columns=1, strip="right")), (8, GRID)) if strip else ((0, GRID),)
    return Schedule(people, duration_s, EVENTS, shown, (lambda _: slide_picture(1)) if strip else None, cameras_first)


def pictures(schedule: Schedule, recording: Recording | None = None) -> Iterator[Frame]:
    """One frame a second, compressed as a recording is."""
    for second in range(schedule.duration_s):
        image, _ = frame_at(schedule, second + 0.5, recording or Recording())
        encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 70])[1]
        yield frame(second, np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8))


def frame(second: int, image: Image) -> Frame:
    return Frame(second, float(second), image, None, 0)


def portrait_at_0(seed: int) -> PictureAt:
    """A photograph instead of a camera picture."""
    return lambda _: portrait(seed)(0.0)


def who_is_who(schedule: Schedule, finder: StudentFinder, recording: Recording | None = None) -> dict[str, set[str]]:
    """Each attendee's pseudonyms over the lecture; all tiles must be found, all names right in the end."""
    recording = recording or Recording()
    pseudonyms: dict[str, set[str]] = {}
    names: dict[str, str] = {}
    for picture in pictures(schedule, recording):
        sighting = finder.find(picture)
        names |= sighting.names
        boxes = frame_at(schedule, picture.pts_s + 0.5, recording)[1]
        seats = seats_at(schedule, int(picture.pts_s))
        assert len(sighting.tracks) == len(seats), f"{picture.pts_s} s"
        for seat, box in zip(seats, boxes, strict=True):
            track = max(sighting.tracks, key=lambda t: t.box.iou(box))
            assert track.box.iou(box) > 0.7
            if box.height > 100:  # on the low tiles of a strip, name and label touch: camera.py's own tests know
                assert (track.presence is Presence.CAMERA_OFF) == (not seat.camera_on)
            pseudonyms.setdefault(seat.attendee.attendee_id, set()).add(track.student_id)
            assert name_key(names[track.student_id]) == name_key(seat.attendee.name)
    return pseudonyms


@pytest.mark.parametrize(
    ("schedule", "recording"),
    [
        (lecture(1), Recording()),
        (lecture(2, cameras_first=True), Recording()),
        (lecture(3, strip=True), Recording()),
        (lecture(4), Recording(size=(1920, 1080), style=MEET)),
    ],
    ids=["zoom", "cameras first", "shared screen", "meet 1080p"],
)
def test_everybody_stays_themselves(schedule: Schedule, recording: Recording) -> None:
    with StudentFinder() as finder:
        pseudonyms = who_is_who(schedule, finder, recording)
    assert all(len(ids) == 1 for ids in pseudonyms.values())
    assert len(set.union(*pseudonyms.values())) == len(pseudonyms)


def test_a_stop_at_any_frame_changes_nothing() -> None:
    shots = list(pictures(lecture(5, duration_s=6)))
    straight = StudentFinder()
    expected = [(straight.find(shot), straight.state()) for shot in shots]
    finder = StudentFinder()
    for shot, (sighting, state) in zip(shots, expected, strict=True):
        assert finder.find(shot) == sighting
        assert finder.state() == state
        finder = StudentFinder(state=state, known_names={"somebody new": "s01"})
    assert len(expected[-1][1]) < 100_000


def test_known_names_keep_their_pseudonyms() -> None:
    shot = next(pictures(lecture()))
    sighting = StudentFinder(known_names={name_of(3).upper(): "s40"}).find(shot)
    assert [track.student_id for track in sighting.tracks][:4] == ["s01", "s02", "s40", "s03"]


def test_who_opted_out_is_never_looked_at() -> None:
    finder = StudentFinder(known_names={name_of(1): "s40"}, opted_out={"s40"})
    for shot in pictures(lecture(duration_s=4)):
        track = next(track for track in finder.find(shot).tracks if track.student_id == "s40")
        assert track.presence is Presence.OPTED_OUT
        assert track.face is None


def test_an_unread_tile_is_not_judged_while_somebody_who_opted_out_may_sit_there() -> None:
    shot = next(pictures(lecture(), Recording(style=replace(ZOOM, label="none"))))
    assert {track.presence for track in StudentFinder().find(shot).tracks} == {Presence.UNIDENTIFIED}
    assert {track.presence for track in StudentFinder(opted_out={"s40"}).find(shot).tracks} == {Presence.OPTED_OUT}


def test_a_picture_that_stands_still_is_told() -> None:
    still = [replace(person, picture_at=portrait_at_0(i)) for i, person in enumerate(lecture().attendees[:2])]
    schedule = Schedule([*still, *lecture().attendees[2:4]], 1)
    finder = StudentFinder()
    for second in range(0, 25, 4):
        tracks = finder.find(frame(second, frame_at(replace(schedule, duration_s=25), second, Recording())[0])).tracks
    assert [track.presence is Presence.PICTURE_STILL for track in tracks] == [True, True, False, False]


def test_live_reads_names_on_its_own_thread() -> None:
    schedule = lecture(duration_s=1)
    image = next(pictures(schedule)).image_bgr
    names: dict[str, str] = {}
    with StudentFinder(wait_for_names=False) as finder:
        first = finder.find(frame(0, image))
        assert {track.presence for track in first.tracks} == {Presence.UNIDENTIFIED}
        for second in range(1, 200):
            sighting = finder.find(frame(second, image))
            names |= sighting.names
            if len(names) == len(first.tracks):
                break
            time.sleep(0.2)
    assert sorted(map(name_key, names.values())) == sorted(name_key(name_of(index)) for index in range(1, 7))
    assert [t.student_id for t in sighting.tracks] == [t.student_id for t in first.tracks]


def test_a_gallery_stays_one_while_only_a_screen_is_shared() -> None:
    finder = StudentFinder()
    shots = list(pictures(replace(lecture(duration_s=3), events=())))
    assert len(finder.find(shots[0]).tracks) == 9
    for second in range(1, 6):
        assert finder.find(frame(second, slide_picture(2))).tracks == ()
    back = finder.find(frame(6, shots[1].image_bgr))
    assert [track.student_id for track in back.tracks] == [f"s{number:02d}" for number in range(1, 10)]


def test_a_picture_without_anybody_has_no_students() -> None:
    sighting = StudentFinder("faces").find(frame(0, np.full((480, 640, 3), 100, np.uint8)))
    assert sighting == Sighting(())


def test_single_is_one_student_even_without_a_face() -> None:
    finder = StudentFinder("single")
    tracks = finder.find(frame(0, np.full((480, 640, 3), 100, np.uint8))).tracks
    assert [(track.student_id, track.box.as_tuple(), track.face) for track in tracks] == [
        ("s01", (0, 0, 640, 480), None)
    ]


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"auto, gallery, faces, single.*'grid'"):
        StudentFinder("grid")


@needs_recording
def test_a_real_tile_alone_is_a_room_with_a_face() -> None:
    shot, people = next(real_frames())
    person = next(person for person in people if person.person_id == "jonas")
    image = np.asarray(cv2.resize(person.tile.cut(shot.image_bgr), (640, 360)), np.uint8)
    for layout in ("faces", "single"):
        tracks = StudentFinder(layout).find(frame(0, image)).tracks
        assert len(tracks) == 1
        assert tracks[0].face is not None
        assert tracks[0].presence is Presence.VISIBLE


@needs_recording
def test_nobody_is_swapped_or_split_in_the_real_recording() -> None:
    people_of: dict[str, set[str]] = {}
    ids_of: dict[str, set[str]] = {}
    finder = StudentFinder()
    for shot, people in real_frames(every_s=12):
        tracks = finder.find(shot).tracks
        assert len(tracks) == len(people)
        for person in people:
            track = max(tracks, key=lambda t: t.box.iou(person.tile))
            ids_of.setdefault(person.person_id, set()).add(track.student_id)
            people_of.setdefault(track.student_id, set()).add(person.person_id)
            if person.faces and track.presence is Presence.VISIBLE:
                assert track.face is not None
                assert max(face.iou(track.face) for face in person.faces) > 0.3
    assert all(len(ids) == 1 for ids in ids_of.values())
    assert all(len(people) == 1 for people in people_of.values())


class Watched:
    """A face finder, and at which sizes it was asked to look."""

    def __init__(self) -> None:
        self._finder = open_face_finder()
        self.model_id = self._finder.model_id
        self.sides_px: list[int | None] = []

    def find(self, images: Sequence[Image], longer_side_px: int | None = None) -> list[list[Detection]]:
        self.sides_px.append(longer_side_px)
        return self._finder.find(images, longer_side_px)


@needs_recording
def test_a_camera_of_one_student_is_looked_at_in_small_until_somebody_far_comes_in() -> None:
    shot, people = next(real_frames())
    person = next(person for person in people if person.person_id == "jonas")
    near = np.asarray(cv2.resize(person.tile.cut(shot.image_bgr), (640, 360)), np.uint8)
    both = near.copy()
    both[:90, :160] = cv2.resize(near, (160, 90))
    watched = Watched()
    finder = StudentFinder("faces", faces=watched)
    seen = [len(finder.find(frame(index, near)).tracks) for index in range(6)]
    assert seen == [1] * 6
    assert watched.sides_px == [960, 480, 480, 480, 960, 480]
    later = StudentFinder("faces", faces=watched, state=finder.state())
    seen = [len(later.find(frame(index, both)).tracks) for index in range(6, 12)]
    assert seen[-1] == 2
    assert watched.sides_px[-2:] == [960, 960], "where somebody is far, every look is thorough"
