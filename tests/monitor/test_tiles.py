"""Tiles of galleries in every style, size and compression; pictures that are none; layouts that change."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from monitor.schema import Box, Detection, Image
from monitor.students.camera import StillWatch, is_camera_off
from monitor.students.tiles import find_tiles, still_hold
from tests.galleries import (
    decoded,
    name_of,
    person_picture,
    portrait,
    random_participants,
    random_style,
    room_picture,
    slide_picture,
    through_h264,
)
from trainer.synthetic.gallery import MEET, TEAMS, ZOOM, Arrangement, GalleryStyle, Participant, compose
from trainer.synthetic.gallery_style import SIDES, Side
from trainer.synthetic.gallery_video import Attendee, Event, Recording, Schedule, write_gallery_video

SIZES = {1080: (1920, 1080), 720: (1280, 720), 360: (640, 360)}
REAL = Path(os.environ.get("CLASSROOM_REAL_DATA", Path(__file__).parents[3] / "shared" / "real")) / "gallery"


def bright_participants(count: int, off: Sequence[int] = ()) -> list[Participant]:
    """People in lit rooms, the first one speaking, some with the camera off."""
    people = []
    for index in range(count):
        lit = np.maximum(person_picture(index), 70).astype(np.uint8)
        people.append(Participant(name_of(index), None if index in off else lit, speaking=index == 0))
    return people


def missed_and_phantom(boxes: Sequence[Box], found: Sequence[Detection]) -> tuple[int, int]:
    """Tiles not found with IoU >= 0.8, and found ones that are no tile."""
    missed = sum(all(box.iou(each.box) < 0.8 for each in found) for box in boxes)
    phantom = sum(all(box.iou(each.box) < 0.8 for box in boxes) for each in found)
    return missed, phantom


@pytest.mark.parametrize("lines", SIZES)
@pytest.mark.parametrize(
    ("count", "style"),
    [
        *[(1, ZOOM), (2, MEET), (3, TEAMS), (5, ZOOM), (7, MEET), (10, TEAMS), (16, MEET), (23, ZOOM), (24, ZOOM)],
        *[(25, TEAMS), (31, MEET), (37, ZOOM), (43, ZOOM), (49, ZOOM), (49, TEAMS)],
    ],
)
def test_every_tile_is_found_and_no_other(lines: int, count: int, style: GalleryStyle) -> None:
    image, boxes = compose(SIZES[lines], bright_participants(count, off=range(1, count, 4)), style)
    assert missed_and_phantom(boxes, find_tiles(through_h264(image))) == (0, 0)


@pytest.mark.parametrize("seed", range(2000, 2016))
def test_random_styles_with_dark_rooms(seed: int) -> None:
    rng = np.random.default_rng(seed)
    style, count = random_style(rng), int(rng.integers(9, 50))
    image, boxes = compose((1280, 720), random_participants(count, style, seed), style)
    assert missed_and_phantom(boxes, find_tiles(through_h264(image, 26))) == (0, 0)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("count", [2, 5])
def test_a_strip_beside_a_shared_screen(side: Side, count: int) -> None:
    arrangement = Arrangement(strip=side, strip_share=0.22)
    image, boxes = compose((1280, 720), bright_participants(count), ZOOM, arrangement, slide_picture(3))
    assert missed_and_phantom(boxes, find_tiles(through_h264(image))) == (0, 0)


@pytest.mark.parametrize("side", ["right", "bottom", "top"])
@pytest.mark.parametrize("count", [7, 16, 25])
def test_a_chat_panel_or_a_bar_beside_the_gallery_is_no_tile(side: str, count: int) -> None:
    size = (960, 720) if side == "right" else (1280, 660)
    gallery, boxes = compose(size, bright_participants(count))
    image = np.full((720, 1280, 3), 250 if side == "right" else 34, np.uint8)
    down = 60 if side == "top" else 0
    image[down : down + size[1], : size[0]] = gallery
    for line in range(5):
        y, x = (80 + 60 * line, 1000) if side == "right" else ((40 if side == "top" else 700), 300 + 140 * line)
        cv2.putText(
            image, "hello all" if side == "right" else "Mute", (x, y), (128, 128, 128), cv2.FontFace("sans"), 18
        )
    moved = [Box(box.x1, box.y1 + down, box.x2, box.y2 + down) for box in boxes]
    assert missed_and_phantom(moved, find_tiles(through_h264(image))) == (0, 0)


def test_pillars_in_the_background_colour_do_not_make_tiles_narrow() -> None:
    style = GalleryStyle(background_bgr=(0, 0, 0), pillar_bgr=(0, 0, 0))
    people = bright_participants(12)
    narrow = [
        Participant(
            p.name,
            p.picture_bgr[:, 160:480] if p.picture_bgr is not None and k % 3 == 1 else p.picture_bgr,
            whole=k % 3 == 1,
        )
        for k, p in enumerate(people)
    ]
    image, boxes = compose((1280, 720), narrow, style)
    assert missed_and_phantom(boxes, find_tiles(through_h264(image))) == (0, 0)


NO_GALLERY = {
    **{f"person {seed}": person_picture(seed) for seed in range(9000, 9006)},
    **{f"room {seed}": room_picture(seed) for seed in range(9010, 9014)},
    **{f"slide {seed}": slide_picture(seed, light=seed % 2 == 0) for seed in range(4)},
    "black": np.zeros((360, 640, 3), np.uint8),
    "noise": np.random.default_rng(1).integers(0, 255, (360, 640, 3), dtype=np.uint8),
}


@pytest.mark.parametrize("name", NO_GALLERY)
def test_a_picture_that_is_no_gallery_has_no_tiles(name: str) -> None:
    picture = cv2.resize(NO_GALLERY[name], (1280, 720))
    assert find_tiles(through_h264(picture, 26)) == []


def test_an_unchanged_layout_keeps_its_boxes_to_the_pixel() -> None:
    first, _ = compose((1280, 720), bright_participants(24))
    boxes = [each.box for each in find_tiles(through_h264(first))]
    people = [
        Participant(p.name, np.roll(p.picture_bgr, 9, axis=1))
        for p in bright_participants(24)
        if p.picture_bgr is not None
    ]
    second = through_h264(compose((1280, 720), people)[0], 32)
    assert still_hold(second, boxes) is not None
    assert [each.box for each in find_tiles(second, boxes)] == boxes


@pytest.mark.parametrize(
    ("before", "after"), [(23, 24), (24, 23), (24, 22), (1, 4), (4, 1), (9, 16), (4, 5), (2, 3), (25, 21)]
)
def test_a_changed_layout_is_searched_anew(before: int, after: int) -> None:
    old = [each.box for each in find_tiles(compose((1280, 720), bright_participants(before))[0])]
    assert len(old) == before
    image, boxes = compose((1280, 720), bright_participants(after))
    assert missed_and_phantom(boxes, find_tiles(through_h264(image), old)) == (0, 0)


def test_boxes_of_a_larger_picture_are_not_believed() -> None:
    old = [each.box for each in find_tiles(compose((1920, 1080), bright_participants(6))[0])]
    image, boxes = compose((640, 360), bright_participants(6))
    assert missed_and_phantom(boxes, find_tiles(image, old)) == (0, 0)


def test_a_recording_with_joins_leaves_and_speakers(tmp_path: Path) -> None:
    lit = [lambda t, k=k: np.maximum(portrait(k)(t), 60).astype(np.uint8) for k in range(14)]
    attendees = [Attendee(f"p{k:02d}", name_of(k), lit[k]) for k in range(14)]
    events = [Event(0, "speak", "p03"), Event(2, "join", "p13"), Event(3, "off", "p05"), Event(4, "leave", "p01")]
    events += [Event(5, "speak", "p07"), Event(5, "leave", "p00"), Event(6, "on", "p05")]
    recording = Recording((960, 540), fps=2, crf=30)
    truth = write_gallery_video(tmp_path / "a.mp4", Schedule(attendees, 8, events), recording)
    found: list[Detection] = []
    with av.open(str(tmp_path / "a.mp4")) as container:
        for index, frame in enumerate(container.decode(video=0)):
            found = find_tiles(decoded(frame), [each.box for each in found])
            tiles = [tile["bbox"] for tile in truth["seconds"][index // 2]["tiles"]]
            assert missed_and_phantom([Box(x, y, x + w, y + h) for x, y, w, h in tiles], found) == (0, 0), index


@pytest.mark.parametrize("style", [ZOOM, MEET, TEAMS])
def test_cameras_that_are_off_are_told_from_people(style: GalleryStyle) -> None:
    people = bright_participants(16, off=(2, 5, 6, 11, 15))
    people[6] = Participant(name_of(6), avatar_bgr=person_picture(77)[40:320, 180:460])
    image, boxes = compose((1280, 720), people, style)
    judged = [is_camera_off(box.cut(through_h264(image))) for box in boxes]
    assert judged == [person.picture_bgr is None for person in people]


def test_a_student_in_the_dark_is_not_a_camera_off() -> None:
    dark = [(person_picture(seed) * 0.25).astype(np.uint8) for seed in range(12)]
    image, boxes = compose((1280, 720), [Participant(name_of(k), picture) for k, picture in enumerate(dark)])
    seen = through_h264(image)
    assert sum(is_camera_off(box.cut(seen)) for box in boxes) == 0


def test_a_picture_is_still_only_after_it_has_not_moved_for_long() -> None:
    watch = StillWatch(after_s=5)
    still, moving = person_picture(4), [person_picture(5, second) for second in range(12)]
    for second in range(12):
        assert watch.update("photo", second, _noisy(still, second)) == (second >= 5)
        assert not watch.update("live", second, moving[second])
    assert not watch.update("photo", 12, moving[3])


def test_a_watch_goes_on_from_its_state() -> None:
    watch = StillWatch(after_s=5)
    for second in range(4):
        watch.update("photo", second, person_picture(4))
    resumed = StillWatch(after_s=5, state=watch.state())
    assert resumed.state() == watch.state()
    assert resumed.update("photo", 5, person_picture(4))
    resumed.forget("photo")
    assert not resumed.update("photo", 6, person_picture(4))


def _noisy(picture: Image, seed: int) -> Image:
    """The same picture with a decoder's small differences."""
    noise = np.random.default_rng(seed).normal(0, 2, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real recording is not on this machine")
def test_tiles_and_cameras_of_the_real_recording() -> None:
    truth = json.loads((REAL / "gallery_720p_24.truth.json").read_text(encoding="utf-8"))
    found: list[Detection] = []
    tiles = missed = phantom = wrong = 0
    with av.open(str(REAL / "gallery_720p_24.mp4")) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % 50 != 12:
                continue
            image = decoded(frame)
            found = find_tiles(image, [each.box for each in found])
            entries = [tile for tile in truth["seconds"][index // 25]["tiles"] if tile["present"]]
            boxes = [Box(x, y, x + w, y + h) for x, y, w, h in (tile["bbox"] for tile in entries)]
            now = missed_and_phantom(boxes, found)
            tiles, missed, phantom = tiles + len(boxes), missed + now[0], phantom + now[1]
            wrong += sum(
                is_camera_off(b.cut(image)) != (t["camera"] == "off") for b, t in zip(boxes, entries, strict=True)
            )
    assert tiles > 900
    assert missed <= 0.02 * tiles
    assert phantom == 0
    assert wrong <= 0.01 * tiles
