"""A shared screen in a lecture: it comes and goes, its slides move on, and the students in the strip can be found."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from monitor.students.tiles import find_tiles
from tests.galleries import name_of, portrait, through_h264
from trainer.synthetic.gallery import compose, layout, shared_area
from trainer.synthetic.gallery_style import Side
from trainer.synthetic.gallery_video import Attendee, Event, Recording, Schedule, frame_at, truth_of
from trainer.synthetic.lecture import STYLES, draw_events, transcript
from trainer.synthetic.lecture_script import SHARING, SLIDES
from trainer.synthetic.share import LINE_S, SLIDE_S, STRIP_SIDES, draw_share, strip_of
from trainer.synthetic.slides import SLIDE_PX, THEMES, draw_slide, wrapped


@pytest.mark.parametrize("style", STRIP_SIDES)
@pytest.mark.parametrize("seconds", [12, 60, 600])
def test_a_screen_is_shared_for_a_while_in_the_middle(style: str, seconds: int) -> None:
    for seed in range(20):
        share = draw_share(np.random.default_rng(seed), seconds, 12, style)
        assert seconds / 4 < share.from_s < share.to_s - 2 < seconds
        assert [from_s for from_s, _ in share.arrangements] == [0, share.from_s, share.to_s]
        assert share.arrangement.strip in STRIP_SIDES[style]


@pytest.mark.parametrize("side", ["top", "right"])
def test_the_shared_screen_takes_most_of_the_picture_and_the_tiles_stay_readable(side: Side) -> None:
    for count in range(2, 25):
        arrangement = strip_of(side, count)
        assert shared_area((1280, 720), arrangement).area > 0.6 * 1280 * 720
        assert layout(count, (1280, 720), STYLES["zoom"], arrangement)[0].width >= 120


def test_slides_move_on_line_by_line() -> None:
    share = draw_share(np.random.default_rng(1), 60, 5, "zoom")
    pictures = [share.picture_at(share.from_s + time_s) for time_s in (0.0, LINE_S - 0.1, LINE_S, SLIDE_S)]
    assert pictures[0].shape == (SLIDE_PX[1], SLIDE_PX[0], 3)
    assert (pictures[0] == pictures[1]).all()
    assert all((a != b).any() for a, b in pairwise(pictures[1:]))


def test_a_slide_shows_its_text_inside_the_picture() -> None:
    for number, slide in enumerate(SLIDES):
        theme = THEMES[number % len(THEMES)]
        picture = draw_slide(slide, theme, number + 1, 9)
        drawn = (np.abs(picture.astype(int) - theme.paper_bgr).max(axis=2) > 60).mean()
        assert 0.02 < drawn < 0.4
        assert (picture[:, -30:] == theme.paper_bgr).all(), "nothing runs out on the right"
    assert wrapped("keep half of them in a box", 12) == ["keep half of", "them in a", "box"]


def test_the_truth_says_when_a_screen_is_shared_and_where() -> None:
    people = [Attendee(f"p{index}", name_of(index), portrait(index)) for index in range(4)]
    share = draw_share(np.random.default_rng(2), 12, 4, "meet")
    schedule = Schedule(people, 12, (), share.arrangements, share.picture_at)
    recording = Recording((640, 360))
    seconds = truth_of(schedule, recording)["seconds"]
    shared = [second["t"] for second in seconds if second["layout"] == "share"]
    assert shared == list(range(share.from_s, share.to_s))
    assert {second["layout"] for second in seconds} == {"gallery", "share"}
    for second in seconds:
        picture, boxes = frame_at(schedule, second["t"], recording)
        assert [tile["bbox"] for tile in second["tiles"]] == [[b.x1, b.y1, b.width, b.height] for b in boxes]
        assert ("shared_bbox" in second) == (second["layout"] == "share")
        if "shared_bbox" in second:
            x, y, width, height = second["shared_bbox"]
            middle = picture[y + height // 2 - 50 : y + height // 2 + 50, x + 40 : x + width - 40]
            assert (np.abs(middle.astype(int) - share.theme.paper_bgr).max(axis=2) < 8).mean() > 0.5


def test_whoever_shares_says_so_and_the_talk_goes_on() -> None:
    ids = [f"p{index}" for index in range(6)]
    people = [Attendee(key, name_of(index), portrait(index)) for index, key in enumerate(ids)]
    for seed in range(10):
        share = draw_share(np.random.default_rng(seed), 60, 6, "zoom")
        events = draw_events(np.random.default_rng(seed), ids, 60, share)
        spoken = [event.at_s for event in events if event.kind == "speak"]
        assert share.from_s in spoken
        assert sum(share.from_s < at_s < share.to_s for at_s in spoken) >= 1
        assert max(np.diff(spoken)) <= 8
        lines = transcript(Schedule(people, 60, events), events, share).splitlines()
        assert sum(line.endswith(SHARING) for line in lines) == 1
        assert f"00:00:{share.from_s:06.3f} --> " in lines[lines.index(next(x for x in lines if SHARING in x)) - 1]
    events = draw_events(np.random.default_rng(1), ids, 60)
    assert SHARING not in transcript(Schedule(people, 60, events), events)


@pytest.mark.parametrize(
    ("style", "side", "count", "theme"),
    [
        ("zoom", "top", 12, 0),
        ("zoom", "right", 8, 2),
        ("meet", "right", 5, 1),
        ("teams", "top", 24, 2),
        ("teams", "right", 18, 2),
    ],
)
def test_the_strip_of_every_program_is_found(style: str, side: Side, count: int, theme: int) -> None:
    people = [Attendee(f"p{index}", name_of(index), portrait(64 * count + index)) for index in range(count)]
    screen = draw_slide(SLIDES[(count + theme) % len(SLIDES)], THEMES[theme], 1, 2)
    schedule = Schedule(people, 1, [Event(0, "off", "p1")], ((0, strip_of(side, count)),), lambda _: screen)
    picture, boxes = frame_at(schedule, 0.5, Recording(style=STYLES[style]))
    found = [tile.box for tile in find_tiles(through_h264(picture, 30))]
    assert len(found) == count
    assert all(max(box.iou(tile) for tile in found) > 0.7 for box in boxes)


def test_a_strip_without_a_screen_has_background_in_its_place() -> None:
    picture, _ = compose((640, 360), [], STYLES["teams"], strip_of("top", 3))
    assert (picture == STYLES["teams"].background_bgr).all()
