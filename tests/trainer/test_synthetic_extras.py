"""What later recipe keys add: arms that reach, second screens that count, faults within bounds; labels stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monitor.errors import ClassroomError
from trainer.synthetic.activity import LEFT_ALONE, LOOKED_AT
from trainer.synthetic.arm import SIDES
from trainer.synthetic.backdrop import put_behind
from trainer.synthetic.exposure import expose, face_luma
from trainer.synthetic.gaze import draw_desk, draw_target, label_of
from trainer.synthetic.recipe import Recipe, read_recipe
from trainer.synthetic.stills import draw_still
from trainer.synthetic.webcam import compress_video, make_tiny, reach_past_tile

PLAIN = Recipe(name="plain")
BOX = (0.3, 0.25, 0.7, 0.75)


def test_a_second_monitor_is_screen() -> None:
    recipe = Recipe(name="two", second_monitor=1.0, ambiguous=0.0)
    kinds = set()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        desk = draw_desk(rng, recipe)
        assert desk.second is not None
        assert label_of(desk, desk.point_on_second(0.0, 0.0)) == "screen"
        assert label_of(replace(desk, second=None), desk.point_on_second(0.45, 0.0)) in ("screen", "wander", "paper")
        # The two stand side by side and do not overlap.
        assert abs((desk.second.middle - desk.screen) @ desk.right) > desk.width_m / 2
        target = draw_target(rng, desk, "screen", recipe)
        kinds.add(target.kind if target else None)
    assert "second_screen" in kinds


def test_extras_change_no_gaze_and_no_label() -> None:
    pytest.importorskip("anny")
    extra = replace(
        PLAIN, things=1.0, distractors=1.0, arms=1.0, strands=1.0, h264=0.5, auto_exposure=1.0, virtual_background=0.5
    )
    for seed in range(12):
        plain, more = draw_still(seed, PLAIN), draw_still(seed, extra)
        assert plain.extras is None and more.extras is not None
        assert np.array_equal(plain.target.point, more.target.point) and plain.target.label == more.target.label
        assert plain.head == more.head and plain.rng.random() == more.rng.random()
        thing = more.extras.activity.thing
        assert thing in (LOOKED_AT if more.target.label == "paper" else LEFT_ALONE)


def test_resting_heads_tilt_onto_their_hand_and_the_eyes_stay_on_their_target() -> None:
    pytest.importorskip("anny")
    from trainer.synthetic.people import pose_people

    resting = replace(PLAIN, resting=1.0)
    draws = [(draw_still(seed, PLAIN), draw_still(seed, resting)) for seed in range(8)]
    for plain, tilted in draws:
        assert plain.extras is None and tilted.extras is not None
        assert np.array_equal(plain.target.point, tilted.target.point) and plain.target.label == tilted.target.label
        assert replace(tilted.head, roll=plain.head.roll) == plain.head
        assert tilted.pose.head == tilted.head
        assert tilted.head.roll * SIDES[tilted.extras.activity.side] > 0
        assert tilted.extras.hand_place("eyes") in ("cheek", "chin", "none")
    assert np.mean([abs(np.degrees(tilted.head.roll)) for _, tilted in draws]) > 12
    bodies = pose_people([tilted.person for _, tilted in draws], [tilted.pose for _, tilted in draws])
    for (_, tilted), body in zip(draws, bodies, strict=True):
        assert tilted.extras is not None
        # Up in the head's frame leans to +x, where the left arm is, or away from it.
        assert body.head[0, 2] * SIDES[tilted.extras.activity.side] > 0 or abs(np.degrees(tilted.head.roll)) < 10


def test_an_arm_brings_its_hand_where_it_is_wanted() -> None:
    pytest.importorskip("anny")
    from trainer.synthetic.arm import grip, limbs, move_arm
    from trainer.synthetic.mesh import topology
    from trainer.synthetic.people import pose_people

    draws = [draw_still(seed, PLAIN) for seed in (3, 4)]
    for body in pose_people([draw.person for draw in draws], [draw.pose for draw in draws]):
        before = body.vertices.copy()
        for side, sign in (("L", 1.0), ("R", -1.0)):
            shoulder = body.joints[f"upperarm01.{side}"]
            hold = grip(shoulder + np.array([0.0, -0.3, -0.1]), np.array([0.0, -1.0, 0.0]), np.array([0.0, 0.0, -1.0]))
            assert move_arm(body, side, hold, np.array([sign, 0.0, -1.0]))
            limb = limbs()[side]
            hand = body.vertices[limb.vertices[limb.weights[:, 2] > 0.99]]
            reach = (hand - hold.wrist) @ hold.fingers
            assert reach.min() > -0.03 and 0.1 < reach.max() < 0.26
            far = grip(shoulder + np.array([0.0, -2.0, 0.0]), np.array([0.0, -1.0, 0.0]), np.array([0.0, 0.0, -1.0]))
            assert not move_arm(body, side, far, np.array([0.0, 0.0, -1.0]))
        face = topology().face_front
        assert np.array_equal(before[face], body.vertices[face])


def test_exposure_lifts_a_dark_face_and_leaves_a_good_one() -> None:
    rng = np.random.default_rng(0)
    dark, good = np.full((64, 64, 3), 0.08, np.float32), np.full((64, 64, 3), 0.5, np.float32)
    lifted, gain = expose(rng, dark, BOX)
    assert gain > 3 and 0.22 < face_luma(lifted, BOX) < 0.45
    same, gain = expose(rng, good, BOX)
    assert gain == 1.0 and same is good
    burnt, gain = expose(rng, np.ones((64, 64, 3), np.float32), BOX)
    assert gain < 1 and face_luma(burnt, BOX) < 0.85


def test_faults_keep_size_and_most_of_the_picture() -> None:
    rng = np.random.default_rng(1)
    ramp = np.linspace(0, 1, 128, dtype=np.float32)
    picture = np.stack([np.add.outer(ramp, ramp) / 2] * 3, -1).astype(np.float32)
    pixels = (picture * 255).astype(np.uint8)
    for changed in (compress_video(rng, pixels), (make_tiny(rng, picture) * 255).astype(np.uint8)):
        assert changed.shape == pixels.shape and changed.dtype == np.uint8
        assert 0 < np.abs(changed.astype(int) - pixels).mean() < 12
    for _ in range(20):
        edged = reach_past_tile(rng, pixels, BOX)
        assert edged.shape == pixels.shape
        assert np.array_equal(edged[62:66, 62:66], pixels[62:66, 62:66])
        assert not np.array_equal(edged, pixels)


def test_a_virtual_background_hides_the_room_far_from_the_student() -> None:
    drawn = np.zeros((96, 96, 4), np.float32)
    drawn[20:, 30:66] = 1.0
    room, other = np.zeros((96, 96, 3), np.float32), np.full((96, 96, 3), 0.6, np.float32)
    for seed in range(8):
        shown = put_behind(np.random.default_rng(seed), "virtual", drawn, room, other)
        # A leaky mask lets a little of the other through.
        assert np.allclose(shown[:, :8], 0.6, atol=0.25) and np.allclose(shown[50:80, 44:52], 1.0, atol=0.25)
    plain = put_behind(np.random.default_rng(0), "room", drawn, room, other)
    assert np.allclose(plain[:, :8], 0.0)


def test_the_training_recipe_has_its_shares() -> None:
    recipe = read_recipe("train2")
    assert recipe.eyes_only == 0.35 and recipe.headscarf * 0.5 == pytest.approx(0.15)


@pytest.mark.parametrize("seeds", [range(60, 64)])
def test_pictures_with_everything_are_the_same_for_the_same_seed(seeds: range) -> None:
    pytest.importorskip("anny")
    from trainer.synthetic.renderer import Renderer
    from trainer.synthetic.stills import render_stills

    recipe = replace(read_recipe("train2"), render_px=64, size_px=64, things=1.0, distractors=1.0, hand=1.0, h264=1.0)
    try:
        renderer = Renderer()
    except ClassroomError as error:
        pytest.skip(str(error))
    first, again = (list(render_stills(renderer, seeds, recipe)) for _ in range(2))
    renderer.close()
    assert [one.image_rgb.tobytes() for one in first] == [two.image_rgb.tobytes() for two in again]
    assert [one.record for one in first] == [two.record for two in again]
    assert any(one.record["setting"]["thing"] != "none" for one in first)
    assert any(one.record["setting"]["arms"] for one in first)
