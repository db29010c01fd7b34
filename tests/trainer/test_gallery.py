"""The compositor: exact geometry, what a tile shows, the truth of a recording."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest

from monitor.schema import Box
from tests.galleries import lecture_schedule, name_of, person_picture, random_participants, write_lecture
from trainer.synthetic.gallery import (
    MEET,
    TEAMS,
    ZOOM,
    Arrangement,
    GalleryStyle,
    Participant,
    compose,
    layout,
    shared_area,
)
from trainer.synthetic.gallery_style import SIDES, Side
from trainer.synthetic.gallery_video import Attendee, Event, Recording, Schedule, frame_at, seats_at, truth_of

SIZES = ((1920, 1080), (1280, 720), (640, 360))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("style", [ZOOM, MEET, TEAMS])
def test_tiles_are_equal_apart_and_inside_with_the_last_row_centred(size: tuple[int, int], style: GalleryStyle) -> None:
    for count in range(1, 50):
        boxes = layout(count, size, style)
        assert len(boxes) == count
        assert len({(box.width, box.height) for box in boxes}) == 1
        assert abs(boxes[0].width / boxes[0].height - style.aspect) < 0.08
        assert all(box.x2 <= size[0] and box.y2 <= size[1] for box in boxes)
        assert all(a.iou(b) == 0 for index, a in enumerate(boxes) for b in boxes[:index])
        last_row = [box for box in boxes if box.y1 == boxes[-1].y1]
        assert abs(last_row[0].x1 + last_row[-1].x2 - size[0]) <= 1


def test_columns_make_the_tiles_as_large_as_they_can_be() -> None:
    chosen = layout(24, (1280, 720))[0].area
    others = [layout(24, (1280, 720), ZOOM, Arrangement(columns=columns))[0].area for columns in range(1, 25)]
    assert chosen == max(others)


@pytest.mark.parametrize("side", SIDES)
def test_a_strip_and_the_shared_screen_share_the_picture(side: Side) -> None:
    arrangement = Arrangement(strip=side)
    shared = shared_area((1280, 720), arrangement)
    boxes = layout(5, (1280, 720), ZOOM, arrangement)
    assert all(shared.iou(box) == 0 for box in boxes)
    assert shared.area == pytest.approx(0.8 * 1280 * 720, rel=0.01)


def test_no_room_for_the_tiles_is_an_error() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        layout(49, (64, 36), GalleryStyle(gap_px=40))


def test_a_gallery_shows_each_picture_in_its_own_box_and_the_background_elsewhere() -> None:
    flat = [np.full((90, 160, 3), 40 * (k + 1), np.uint8) for k in range(5)]
    plain = GalleryStyle(radius_px=0, label="none", background_bgr=(7, 8, 9))
    image, boxes = compose((640, 360), [Participant(name_of(k), flat[k]) for k in range(5)], plain)
    covered = np.zeros(image.shape[:2], bool)
    for k, box in enumerate(boxes):
        assert (box.cut(image) == 40 * (k + 1)).all()
        covered[box.y1 : box.y2, box.x1 : box.x2] = True
    assert (image[~covered] == (7, 8, 9)).all()


def test_the_same_arguments_give_the_same_pixels() -> None:
    first, _ = compose((640, 360), random_participants(7, ZOOM, 3))
    second, _ = compose((640, 360), random_participants(7, ZOOM, 3))
    assert (first == second).all()


def test_the_speaker_has_the_border_and_nobody_else() -> None:
    picture = np.full((90, 160, 3), 120, np.uint8)
    people = [Participant("Ana", picture), Participant("Zoë", picture, speaking=True)]
    image, (quiet, loud) = compose((1280, 720), people)
    assert tuple(image[loud.y1 + 1, round(loud.center[0])]) == ZOOM.border_bgr
    assert tuple(image[quiet.y1 + 1, round(quiet.center[0])]) == (120, 120, 120)


def test_accents_are_drawn_and_change_the_label() -> None:
    picture = np.full((90, 160, 3), 120, np.uint8)
    labels = [compose((1280, 720), [Participant(name, picture)])[0] for name in ("Novak", "Novák", "Nov?k")]
    assert all((a != b).any() for index, a in enumerate(labels) for b in labels[:index])


def test_a_camera_off_tile_is_flat_but_for_name_or_initials() -> None:
    for style in (ZOOM, MEET, TEAMS):
        image, (box,) = compose((1280, 720), [Participant("Marek Novák")], style)
        same = (box.cut(image) == style.off_bgr).all(axis=2)
        assert 0.7 < same.mean() < 0.99


def test_seats_follow_the_events() -> None:
    schedule = lecture_schedule(count=4, duration_s=10)
    assert [seat.attendee.attendee_id for seat in seats_at(schedule, 0)] == ["p00", "p01", "p02"]
    assert [seat.attendee.attendee_id for seat in seats_at(schedule, 2)] == ["p00", "p01", "p02", "p03"]
    assert [seat.camera_on for seat in seats_at(schedule, 3)] == [True, False, True, True]
    assert [seat.speaking for seat in seats_at(schedule, 4)] == [False, False, False, True]
    assert [seat.attendee.attendee_id for seat in seats_at(schedule, 9)] == ["p01", "p02", "p03"]


def test_zoom_order_puts_cameras_first() -> None:
    people = [Attendee(key, key, lambda _: np.zeros((9, 16, 3), np.uint8)) for key in ("a", "b", "c")]
    schedule = Schedule(people, 2, [Event(1, "off", "a")], cameras_first=True)
    assert [seat.attendee.attendee_id for seat in seats_at(schedule, 1)] == ["b", "c", "a"]


def test_a_recording_is_as_long_large_and_true_as_its_schedule_says(tmp_path: Path) -> None:
    recording = Recording((640, 360), fps=4, crf=23)
    case = write_lecture(tmp_path, count=5, duration_s=8, recording=recording)
    with av.open(str(case.path)) as container:
        frames = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    assert len(frames) == 32
    assert frames[0].shape == (360, 640, 3)
    assert json.loads(case.path.with_suffix(".truth.json").read_text(encoding="utf-8")) == case.truth
    schedule = lecture_schedule(5, 8)
    assert truth_of(schedule, recording)["seconds"] == case.truth["seconds"]
    drawn, boxes = frame_at(schedule, 5.25, recording)
    assert [[b.x1, b.y1, b.width, b.height] for b in boxes] == [t["bbox"] for t in case.truth["seconds"][5]["tiles"]]
    assert np.abs(drawn.astype(int) - frames[21]).mean() < 4


def test_pictures_are_shown_whole_between_pillars_on_wish() -> None:
    narrow = np.full((200, 100, 3), 200, np.uint8)
    image, (box,) = compose((640, 360), [Participant("Ana", narrow, whole=True)], GalleryStyle(label="none"))
    inside = Box(box.x1 + 20, box.y1 + 20, box.x1 + 40, box.y2 - 20)
    assert (inside.cut(image) == ZOOM.pillar_bgr).all()
    assert person_picture(3).shape == (360, 640, 3)
