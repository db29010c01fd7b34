"""Labels come from geometry: what is drawn as screen lies on the screen, and the eyes can reach it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.synthetic.angles import angle_between, direction, seen_from, turn_x, turn_y, turn_z, yaw_pitch
from trainer.synthetic.gaze import (
    EYE_DOWN_RAD,
    EYE_YAW_RAD,
    LABELS,
    MARGIN_RAD,
    Desk,
    Target,
    draw_desk,
    draw_head,
    draw_label,
    draw_target,
    eye_angles,
    is_ambiguous,
    label_of,
    tells_nothing,
)
from trainer.synthetic.recipe import Recipe, read_recipe

RECIPE = Recipe(name="test", ambiguous=0.0)
seeds = st.integers(0, 2**31 - 1)


def drawn(seed: int, label: str, recipe: Recipe = RECIPE) -> tuple[np.random.Generator, Desk, Target]:
    rng = np.random.default_rng(seed)
    while True:
        desk = draw_desk(rng, recipe)
        target = draw_target(rng, desk, label, recipe)
        if target is not None:
            return rng, desk, target


@given(st.floats(-3.0, 3.0), st.floats(-1.5, 1.5))
def test_yaw_and_pitch_name_a_direction(yaw: float, pitch: float) -> None:
    assert yaw_pitch(3.0 * direction(yaw, pitch)) == pytest.approx((yaw, pitch), abs=1e-6)


def test_signs_are_those_of_the_picture() -> None:
    # +x is the student's left and the picture's right; looking down has positive pitch.
    assert yaw_pitch(np.array([1.0, -1.0, 0.0]))[0] > 0
    assert yaw_pitch(np.array([0.0, -1.0, -1.0]))[1] > 0


@given(seeds)
def test_looking_into_the_lens_is_zero(seed: int) -> None:
    desk = draw_desk(np.random.default_rng(seed), RECIPE)
    assert seen_from(desk.camera, desk.camera) == pytest.approx((0.0, 0.0), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(seeds, st.sampled_from(LABELS))
def test_a_target_has_the_label_that_geometry_gives_it(seed: int, label: str) -> None:
    _, desk, target = drawn(seed, label)
    assert target.label == label == label_of(desk, target.point)
    if label == "screen" and target.kind == "screen":
        offset = target.point - desk.screen
        assert abs(offset @ desk.right) <= desk.width_m / 2 + 1e-9
        assert abs(offset @ desk.down) <= desk.height_m / 2 + 1e-9
    if label == "paper":
        assert target.point[2] == pytest.approx(desk.surface_z)
    # The length of the vector does not matter, only where it points.
    assert label_of(desk, 2.5 * target.point) == label


@settings(max_examples=60, deadline=None)
@given(seeds, st.sampled_from(LABELS), st.floats(0, 2 * math.pi), st.floats(0.0, 0.5))
def test_near_a_clear_target_nothing_changes(seed: int, label: str, turn: float, share: float) -> None:
    _, desk, target = drawn(seed, label)
    assert not target.ambiguous
    yaw, pitch = yaw_pitch(target.point)
    reach = MARGIN_RAD * share
    moved = direction(yaw + reach * math.cos(turn) / max(0.2, math.cos(pitch)), pitch + reach * math.sin(turn))
    assert label_of(desk, moved) == label


@settings(max_examples=60, deadline=None)
@given(seeds, st.sampled_from(LABELS))
def test_head_and_eyes_together_reach_the_target(seed: int, label: str) -> None:
    rng, _, target = drawn(seed, label)
    pose = draw_head(rng, target, RECIPE)
    head = turn_z(pose.torso_yaw) @ turn_x(pose.lean)
    head = head @ turn_z(pose.yaw) @ turn_x(pose.pitch) @ turn_y(pose.roll)
    yaw, pitch = eye_angles(head, np.zeros(3), target.point)
    assert abs(yaw) <= EYE_YAW_RAD + 1e-9 and pitch <= EYE_DOWN_RAD + 1e-9
    gaze = head @ turn_z(yaw) @ turn_x(pitch) @ np.array([0.0, -1.0, 0.0])
    # Beyond what eyes can do the drawn gaze falls short, by less than anyone sees.
    assert angle_between(gaze, target.point) < math.radians(9)


@pytest.mark.parametrize("name", ["train", "hard"])
def test_at_most_a_tenth_is_ambiguous_and_marked(name: str) -> None:
    recipe = replace(read_recipe(name), ambiguous=0.1)  # as many as any recipe may allow
    rng = np.random.default_rng(1)
    marks, labels = [], []
    for seed in range(300):
        label = draw_label(rng, recipe.classes)
        _, desk, target = drawn(seed, label, recipe)
        assert target.ambiguous == is_ambiguous(desk, target.point)
        marks.append(target.ambiguous)
        labels.append(label)
    assert 0 < np.mean(marks) <= 0.1
    shares = np.array([labels.count(label) / len(labels) for label in LABELS])
    assert np.abs(shares - np.array(recipe.classes) / sum(recipe.classes)).max() < 0.09


@settings(max_examples=60, deadline=None)
@given(seeds, st.sampled_from(LABELS))
def test_what_only_the_desk_could_tell_is_not_drawn_as_clear(seed: int, label: str) -> None:
    recipe = replace(read_recipe("train3"), ambiguous=0.0)
    _, desk, target = drawn(seed, label, recipe)
    (yaw, pitch), (camera_yaw, camera_pitch) = yaw_pitch(target.point), yaw_pitch(desk.camera)
    aside_deg, down_deg = math.degrees(yaw - camera_yaw), math.degrees(pitch - camera_pitch)
    assert not tells_nothing(label, aside_deg, down_deg, recipe)


def test_limits_are_measured_from_the_camera() -> None:
    recipe = replace(
        RECIPE,
        wander_aside_deg=30.0,
        wander_up_deg=20.0,
        screen_aside_deg=35.0,
        screen_down_deg=25.0,
        paper_down_deg=15.0,
    )
    assert tells_nothing("wander", -29.0, -19.0, recipe)
    assert not tells_nothing("wander", -31.0, 0.0, recipe)
    assert not tells_nothing("wander", 0.0, -21.0, recipe)
    assert tells_nothing("screen", 36.0, 0.0, recipe)
    assert tells_nothing("screen", 0.0, 26.0, recipe)
    assert not tells_nothing("screen", -34.0, 24.0, recipe)
    assert tells_nothing("paper", 0.0, 14.0, recipe)
    # A recipe without limits believes the geometry alone.
    assert not any(tells_nothing(label, 25.0, 5.0, RECIPE) for label in LABELS)
