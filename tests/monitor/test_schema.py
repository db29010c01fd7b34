"""Records are validated at birth."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.schema import Box, Detection, Episode, Frame, Lecture, Observation, Prediction, Presence, Track

edges = st.integers(0, 2000)
sizes = st.integers(1, 500)
boxes = st.builds(lambda x, y, width, height: Box(x, y, x + width, y + height), edges, edges, sizes, sizes)


@given(boxes, boxes)
def test_iou_is_symmetric_bounded_and_one_for_the_same_box(first: Box, second: Box) -> None:
    assert 0.0 <= first.iou(second) <= 1.0
    assert first.iou(second) == second.iou(first)
    assert first.iou(first) == 1.0
    assert (first.iou(second) == 1.0) == (first == second)


@given(boxes)
def test_a_box_cuts_what_it_covers(box: Box) -> None:
    picture = np.zeros((2500, 2500, 3), np.uint8)
    assert box.cut(picture).shape == (box.height, box.width, 3)
    assert box.area == box.width * box.height


@pytest.mark.parametrize("corners", [(5, 0, 5, 9), (9, 0, 5, 9), (-1, 0, 5, 9), (0, 3, 5, 2)])
def test_an_empty_or_outside_box_is_refused(corners: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="0 <= x1 < x2"):
        Box(*corners)


def answer(**changed: Any) -> Prediction:
    values: dict[str, Any] = {
        "crop_id": "c",
        "student_id": "s01",
        "pts_s": 0.0,
        "label": "screen",
        "best": "screen",
        "probabilities": {"screen": 0.7, "paper": 0.2, "wander": 0.1},
        "model_id": "m",
        "rubric_id": "attention",
    }
    return Prediction(**{**values, **changed})


def test_a_prediction_says_its_best_label_or_unsure() -> None:
    assert answer().confidence == 0.7
    assert answer(label="unsure").best == "screen"
    with pytest.raises(ValueError, match="expected 'screen' or 'unsure'"):
        answer(label="paper")
    with pytest.raises(ValueError, match="not one of the labels"):
        answer(label="asleep", best="asleep")
    with pytest.raises(ValueError, match="sum to"):
        answer(probabilities={"screen": 0.7, "paper": 0.2})


def test_only_who_is_judged_has_a_prediction() -> None:
    box = Box(0, 0, 10, 10)
    Observation("s01", box, Presence.UNIDENTIFIED, answer(), "screen")
    for presence in Presence:
        if not presence.judged:
            with pytest.raises(ValueError, match="yet has a prediction"):
                Observation("s01", box, presence, answer(), None)


def test_a_frame_is_colour_and_times_carry_their_zone() -> None:
    with pytest.raises(ValueError, match="H x W x 3"):
        Frame(0, 0.0, np.zeros((4, 4), np.uint8), None, 0)
    with pytest.raises(ValueError, match="time zone"):
        Frame(0, 0.0, np.zeros((4, 4, 3), np.uint8), datetime(2026, 1, 1), 0)
    with pytest.raises(ValueError, match="time zone"):
        Lecture("l", "demo", "attention", datetime(2026, 1, 1))
    Lecture("l", "demo", "attention", datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("student_id", ["", "two words", "a/b", "a\\b"])
def test_ids_are_safe_in_paths_and_addresses(student_id: str) -> None:
    with pytest.raises(ValueError, match="short word"):
        Track(student_id, Box(0, 0, 1, 1), Presence.VISIBLE)


def test_kinds_and_times_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="tile"):
        Detection("head", Box(0, 0, 1, 1), 1.0)
    with pytest.raises(ValueError, match="before it starts"):
        Episode("s01", "screen", 5.0, 4.0, None)
