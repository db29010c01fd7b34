"""Rendered lectures: behaviour in whole seconds, a video, and truth that names every tile."""

from __future__ import annotations

import json
from math import degrees, radians
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from monitor.errors import BadInputError, ClassroomError
from monitor.schema import Box, Frame, Image
from monitor.students.finder import StudentFinder
from trainer.synthetic.actor import ACTOR
from trainer.synthetic.angles import direction
from trainer.synthetic.behaviour import Glance, Habit, Story, draw_habit, draw_labels, draw_story
from trainer.synthetic.gaze import LABELS, HeadPose, Target, draw_desk, draw_target
from trainer.synthetic.lecture import synthesize_lecture
from trainer.synthetic.lecture_script import CAST
from trainer.synthetic.renderer import open_context


def test_states_last_three_seconds_and_all_occur() -> None:
    labels = draw_labels(np.random.default_rng(3), 1200, Habit())
    changes = [k for k in range(1, len(labels)) if labels[k] != labels[k - 1]]
    assert min(np.diff(changes)) >= 3
    shares = {label: labels.count(label) / len(labels) for label in LABELS}
    assert min(shares.values()) > 0.05 and shares["screen"] == max(shares.values())


def test_a_story_keeps_to_prescribed_labels() -> None:
    rng = np.random.default_rng(11)
    desk = None
    while desk is None or not all(draw_target(rng, desk, label, ACTOR) for label in LABELS):
        desk = draw_desk(rng, ACTOR)
    wanted = ["screen"] * 4 + ["wander"] * 3 + ["paper"] * 5
    story = draw_story(rng, desk, 12, Habit(), ACTOR, wanted)
    assert [story.label_at(second) for second in range(12)] == wanted
    assert story.at(4.0).label == "wander"


def test_a_head_moves_smoothly_between_targets() -> None:
    heads = [HeadPose(0.0, 0.0, 0.0, 0.0, 0.0), HeadPose(radians(40), 0.0, 0.0, 0.0, 0.0)]
    targets = [Target(direction(head.yaw, 0.0), "screen", "screen", False) for head in heads]
    glances = [Glance(0.0, targets[0], heads[0]), Glance(5.0, targets[1], heads[1])]
    story = Story(glances, blinks_s=[2.0], sway=[0.0] * 6, smile=0.0)
    yaws = [degrees(story.at(t).head.yaw) for t in np.arange(4.9, 5.7, 0.1)]
    assert yaws[0] < 5 and yaws[-1] > 35
    assert max(np.diff(yaws)) < 18
    assert story.at(2.1).actions["eyeBlinkLeft"] == 1.0 > story.at(2.5).actions["eyeBlinkLeft"]


def test_names_are_single() -> None:
    assert len({name for name, _, _ in CAST}) == len(CAST) == 24


def test_students_are_of_many_kinds() -> None:
    rng = np.random.default_rng(5)
    habits = [draw_habit(rng) for _ in range(300)]
    wander = np.array([habit.wander for habit in habits])
    assert np.percentile(wander, 10) < 0.08 and np.percentile(wander, 90) > 0.35
    assert 0.4 < np.mean([habit.screen for habit in habits]) < 0.65
    calm, lively = draw_habit(rng), draw_habit(rng)
    assert (calm.blink_every_s, calm.sway, calm.eyes_only) != (lively.blink_every_s, lively.sway, lively.eyes_only)


@pytest.fixture(scope="module")
def lecture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve seconds of five students: a join, a leave, a camera off, a shared screen."""
    pytest.importorskip("anny")
    try:
        open_context().release()
    except ClassroomError as error:
        pytest.skip(str(error))
    return synthesize_lecture(4, tmp_path_factory.mktemp("lecture"), students=5, seconds=12, fps=1)


def frames_of(video: Path) -> list[Image]:
    with av.open(str(video)) as container:
        return [np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in container.decode(video=0)]


def truth_beside(video: Path) -> dict[str, Any]:
    truth: dict[str, Any] = json.loads(video.with_suffix(".truth.json").read_text(encoding="utf-8"))
    return truth


def test_a_lecture_has_video_truth_and_transcript(lecture: Path) -> None:
    pictures, truth = frames_of(lecture), truth_beside(lecture)
    assert len(pictures) == 12 and pictures[0].shape == (720, 1280, 3)
    counts = [second["n_tiles"] for second in truth["seconds"]]
    assert set(counts) >= {4, 5}, "someone joins and someone leaves"
    assert {second["layout"] for second in truth["seconds"]} == {"gallery", "share"}
    tiles = [tile for second in truth["seconds"] for tile in second["tiles"]]
    assert {tile["camera"] for tile in tiles} == {"on", "off"}
    assert all((tile["label"] in LABELS) == (tile["camera"] == "on") for tile in tiles)
    names = {participant["name"] for participant in truth["participants"]}
    text = lecture.with_name("transcript.vtt").read_text(encoding="utf-8")
    said = [line for line in text.splitlines() if ": " in line]
    assert said and {line.split(": ")[0] for line in said} <= names


def test_students_stay_themselves_when_a_screen_is_shared(lecture: Path) -> None:
    pseudonyms: dict[str, set[str]] = {}
    with StudentFinder() as finder:
        for second, picture in zip(truth_beside(lecture)["seconds"], frames_of(lecture), strict=True):
            tracks = finder.find(Frame(second["t"], float(second["t"]), picture, None, 0)).tracks
            assert len(tracks) == second["n_tiles"], second["t"]
            for tile in second["tiles"]:
                x, y, width, height = tile["bbox"]
                box = Box(x, y, x + width, y + height)
                track = max(tracks, key=lambda each: each.box.iou(box))
                assert track.box.iou(box) > 0.7, second["t"]
                pseudonyms.setdefault(tile["id"], set()).add(track.student_id)
    assert [len(ids) for ids in pseudonyms.values()] == [1] * 5
    assert len(set.union(*pseudonyms.values())) == 5


@pytest.mark.parametrize(
    ("students", "seconds", "style"), [(1, 60, "zoom"), (25, 60, "zoom"), (5, 3, "zoom"), (5, 60, "skype")]
)
def test_no_lecture_of_nobody(tmp_path: Path, students: int, seconds: int, style: str) -> None:
    with pytest.raises(BadInputError):
        synthesize_lecture(1, tmp_path, students, seconds, style=style)


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_a_bad_seed_is_refused_before_anything_is_written(tmp_path: Path, seed: int) -> None:
    with pytest.raises(BadInputError, match="seeds lie in"):
        synthesize_lecture(seed, tmp_path / "lecture")
    assert not (tmp_path / "lecture").exists()
