"""Eyes and lids of people's own: they change the eyes, and nothing else of a picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from trainer.synthetic.eyes import AVERAGE, LIVING, Eyes, draw_eyes
from trainer.synthetic.face import lids
from trainer.synthetic.recipe import Recipe
from trainer.synthetic.stills import draw_still

OWN = Recipe(name="own", own_eyes=1.0)


@given(st.integers(0, 2**31))
def test_eyes_are_drawn_by_the_seed_and_stay_human(seed: int) -> None:
    eyes = draw_eyes(seed)
    assert eyes == draw_eyes(seed) != AVERAGE
    assert draw_eyes(seed, 0.0) == AVERAGE
    assert -0.1 < eyes.outwards_rad < 0.3 and abs(eyes.upper_rest_rad) < 0.3
    assert eyes.lower_down_share < eyes.upper_share, "a lower lid that sinks faster than the upper one opens the eye"
    assert 0 <= eyes.socket <= 1 < 1 / eyes.white < 2 or 1 <= eyes.white < 1.06


def test_about_the_wanted_share_has_its_own() -> None:
    assert 0.6 < np.mean([draw_eyes(seed, 0.7) != AVERAGE for seed in range(300)]) < 0.8


@given(st.integers(0, 2**31), st.floats(-0.7, 0.7))
def test_living_eyes_turn_less_on_the_mesh_and_never_the_other_way(seed: int, angle_rad: float) -> None:
    eyes = draw_eyes(seed, 0.9, living=True)
    assert 0.009 < eyes.pupil_m < 0.013 and 0.0048 < eyes.iris_m < 0.007
    turned = eyes.on_mesh(angle_rad, 0.017)
    assert 0.5 * abs(angle_rad) <= abs(turned) <= 0.75 * abs(angle_rad) and turned * angle_rad >= 0
    assert AVERAGE.on_mesh(angle_rad, 0.017) == angle_rad
    told = eyes.setting
    assert told["pupil_mm"] == pytest.approx(1000 * eyes.pupil_m, abs=0.006) and "pupil_mm" not in AVERAGE.setting


def _turned(
    seed: int, eyes: Eyes, target: tuple[float, float, float] = (0.0, -50.0, 0.0)
) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
    """All vertices, and the direction of each eyeball's iris, of a student whose head is straight ahead."""
    from trainer.synthetic.mesh import EYES, topology
    from trainer.synthetic.people import pose_people
    from trainer.synthetic.room import draw_room
    from trainer.synthetic.scene import Scene

    draw = draw_still(seed, OWN)
    rest = replace(draw.head, yaw=0.0, pitch=0.0, roll=0.0, torso_yaw=0.0, lean=0.0)
    awake = lids(rest.eye_pitch(np.array(target)))
    body = pose_people([draw.person], [replace(draw.pose, head=rest, actions=awake)])[0]
    scene = Scene(draw.person, draw.outfit, draw_room(draw.rng, draw.desk, OWN), draw.desk, body)
    scene.turn_eyes(np.array(target), eyes)
    vertices = scene.body.vertices
    axes = []
    for eye in EYES:
        shape = topology().template[eye]
        iris = np.argmax(shape[:, 2])  # the template looks along +z
        axis = vertices[eye][iris] - vertices[eye].mean(0)
        axes.append(axis / np.linalg.norm(axis))
    return vertices, axes


def test_eyeballs_point_outwards_of_the_gaze_and_lids_hang() -> None:
    pytest.importorskip("anny")
    from trainer.synthetic.lids import _lids

    plain, straight = _turned(5, AVERAGE)
    off, outwards = _turned(5, Eyes(outwards_rad=0.1))
    turns = [float(np.arctan2(b[0], -b[1]) - np.arctan2(a[0], -a[1])) for a, b in zip(straight, outwards, strict=True)]
    assert turns == pytest.approx([0.1, -0.1], abs=0.01), "the left eye to +x, the right one to -x"
    hanging, _ = _turned(5, Eyes(upper_rest_rad=0.2))
    for eye in (0, 1):
        moved = _lids(eye)
        upper = moved.vertices[moved.upper > 0.7]
        assert (plain[upper, 2] - hanging[upper, 2]).mean() > 0.001, "an upper lid sinks by more than a millimetre"
    skin = np.setdiff1d(np.arange(len(plain)), np.concatenate([_lids(0).vertices, _lids(1).vertices]))
    assert np.array_equal(plain[skin], hanging[skin])
    assert np.abs(plain - off).max() < 0.01


def _opening_mm(vertices: NDArray[np.float64], eye: int) -> tuple[float, float]:
    """Where upper and lower lid end in front of the middle of an eye, millimetres above it, as seen from ahead."""
    from trainer.synthetic.mesh import EYES, topology

    first, count = topology().runs["head"]
    centre = vertices[EYES[eye]].mean(0)
    triangles = vertices[topology().triangles[first : first + count]] - centre
    triangles = triangles[(np.linalg.norm(triangles.mean(1), axis=1) < 0.03) & (triangles[:, :, 1].mean(1) < 0)]
    heights = np.linspace(-0.016, 0.016, 641)
    free = np.ones(len(heights), dtype=bool)
    for triangle in triangles:
        crossed = []
        for a, b in zip(triangle, np.roll(triangle, 1, axis=0), strict=True):
            if a[0] * b[0] <= 0 and a[0] != b[0]:
                crossed.append(float(a[2] - a[0] * (b[2] - a[2]) / (b[0] - a[0])))
        if crossed:
            free &= (heights < min(crossed)) | (heights > max(crossed))
    seen = heights[free & (np.abs(heights) < 0.0125)]
    return float(seen.max() * 1000), float(seen.min() * 1000)


def test_living_eyes_have_the_measures_of_anatomy() -> None:
    pytest.importorskip("anny")
    people = (1, 5, 9, 12, 17, 23)
    straight = [_turned(seed, LIVING) for seed in people]
    down = [_turned(seed, LIVING, (0.0, -50.0, -50.0 * np.tan(np.radians(30.0)))) for seed in people]
    upper, lower = np.mean([_opening_mm(vertices, eye) for vertices, _ in straight for eye in (0, 1)], axis=0)
    assert 3.8 < upper < 5.2 and -6.0 < lower < -4.4, "margin reflex distances"
    low_upper, low_lower = np.mean([_opening_mm(vertices, eye) for vertices, _ in down for eye in (0, 1)], axis=0)
    narrower = (upper - lower) - (low_upper - low_lower)
    # Read et al. 2006, "The morphology of the palpebral fissure in different directions of vertical gaze".
    assert 1.0 < narrower < 3.5, "the opening narrows with a gaze down"
    assert 3.5 < upper - low_upper < 6.0, "the upper lid follows the pupil, which sinks by 5.4 mm"


def test_nothing_but_the_eyes_changes() -> None:
    pytest.importorskip("anny")
    from trainer.synthetic.renderer import Renderer
    from trainer.synthetic.stills import render_stills

    renderer = Renderer()
    calm = Recipe(name="calm", webcam=0.0, glasses=0.0, sunglasses=0.0, hand=0.0, strands=0.0, auto_exposure=1e-9)
    seeds = range(700, 706)
    before = list(render_stills(renderer, seeds, calm))
    after = list(render_stills(renderer, seeds, replace(calm, own_eyes=1.0)))
    renderer.close()
    changed = []
    for one, other in zip(before, after, strict=True):
        for name in ("label", "gaze_yaw", "gaze_pitch", "head_yaw", "face_box"):
            assert one.record[name] == other.record[name]
        assert other.record["setting"]["eyes"]["white"] > 0 and "eyes" not in one.record["setting"]
        difference = np.abs(one.image_rgb.astype(int) - other.image_rgb).max(axis=2) > 12
        changed.append(difference.mean())
        left, top, right, bottom = one.record["face_box"]
        rows, columns = np.nonzero(difference)
        if len(rows):
            assert left - 8 < columns.min() and columns.max() < right + 8
            assert top - 8 < rows.min() and rows.max() < bottom + 8
    assert 0.0005 < np.mean(changed) < 0.1
