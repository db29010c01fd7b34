"""Where a student looks: the target first, then head and eyes, and the label from the geometry alone.

All points are relative to the middle between the student's eyes. It draws no picture and knows no person.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import radians

import numpy as np

from trainer.synthetic.angles import Vector, direction, turn_z, yaw_pitch
from trainer.synthetic.recipe import Recipe

LABELS = ("screen", "paper", "wander")
"""The labels of the rubric `attention`, in its order."""

MARGIN_RAD = radians(4.5)
"""A gaze nearer than this to a direction with another label is ambiguous."""

CAMERA_CONE_RAD = radians(6.0)
"""Eyes this near to the lens look at the screen."""

SCREEN_EDGE_RAD = radians(2.0)
"""Nobody sees the difference between a gaze at the rim of the screen and one just outside it."""

TALLEST_M = 0.4
"""Height of the tallest screen: wider ones are only wider."""

KEYBOARD_RAD = radians(4.5)
"""The strip below the screen that still counts as screen."""

PAPER_PITCH_RAD = (radians(20.0), radians(80.0))
PAPER_REACH_M = (0.06, 0.75)
PAPER_YAW_RAD = radians(42.0)

EYE_YAW_RAD = radians(40.0)
EYE_UP_RAD = radians(26.0)
EYE_DOWN_RAD = radians(42.0)


@dataclass(frozen=True, slots=True)
class Panel:
    """A flat screen: its middle, unit vectors along it (right in the camera's picture, down), and its size."""

    middle: Vector
    right: Vector
    down: Vector
    width_m: float
    height_m: float


@dataclass(frozen=True, slots=True)
class Desk:
    """The workplace: camera, screen and desk plane."""

    camera: Vector
    """Position of the lens."""
    screen: Vector
    """Middle of the screen."""
    right: Vector
    """Unit vector along the screen, to the right in the camera's picture."""
    down: Vector
    """Unit vector down along the screen."""
    width_m: float
    height_m: float
    surface_z: float
    """Height of the desk plane; negative: below the eyes."""
    second: Panel | None = None
    """A second monitor beside the first."""

    @property
    def panels(self) -> tuple[Panel, ...]:
        """The screens, the one with the camera first."""
        first = Panel(self.screen, self.right, self.down, self.width_m, self.height_m)
        return (first,) if self.second is None else (first, self.second)

    def point_on_second(self, across: float, along: float) -> Vector:
        """A point of the second monitor, which must be there; see `point_on_screen`."""
        panel = self.panels[1]
        point: Vector = panel.middle + panel.right * (across * panel.width_m) + panel.down * (along * panel.height_m)
        return point

    def point_on_screen(self, across: float, along: float) -> Vector:
        """A point of the screen; both coordinates run from -0.5 to 0.5, down and right positive."""
        point: Vector = self.screen + self.right * (across * self.width_m) + self.down * (along * self.height_m)
        return point


@dataclass(frozen=True, slots=True)
class Target:
    """What the eyes are on."""

    point: Vector
    label: str
    kind: str
    """How it was drawn: `screen`, `second_screen`, `camera`, `paper`, `aside`, `far_aside`, `up`, `low_aside`."""
    ambiguous: bool


@dataclass(frozen=True, slots=True)
class HeadPose:
    """How the body turns towards a target; radians, in the body's frame."""

    yaw: float
    pitch: float
    roll: float
    torso_yaw: float
    lean: float
    """Forward lean of the trunk."""

    def eye_pitch(self, target: Vector) -> float:
        """What the eyes must add to look at the target; positive down. It drives the lids."""
        return yaw_pitch(target)[1] - self.pitch - self.lean


def draw_desk(rng: np.random.Generator, recipe: Recipe) -> Desk:
    """A workplace: laptop or monitor, camera above it, low, or at its side."""
    while True:
        distance = rng.uniform(*recipe.distance_m)
        azimuth = radians(rng.normal(0.0, recipe.azimuth_deg))
        height = rng.uniform(*recipe.camera_height_m)
        camera = np.array([math.sin(azimuth) * distance, -math.cos(azimuth) * distance, height])
        width = rng.uniform(*recipe.screen_width_m)
        tall = min(width * rng.uniform(0.52, 0.66), TALLEST_M)
        tilt = radians(rng.uniform(-5.0, 22.0))
        right = np.array([math.cos(azimuth), math.sin(azimuth), 0.0])
        down = np.array([-math.sin(azimuth) * math.sin(tilt), math.cos(azimuth) * math.sin(tilt), -math.cos(tilt)])
        aside = rng.uniform(-0.04, 0.04)
        if rng.random() < recipe.side_camera:
            aside = rng.choice([-1.0, 1.0]) * rng.uniform(*recipe.side_camera_m)
        below = tall * 0.5 + 0.015
        if rng.random() < recipe.low_camera:
            # A lens under the picture, as some laptops have it, or a telephone leaned on something.
            below = -tall * 0.5 - 0.015
        screen = camera + down * below + right * aside
        surface = float((screen + down * (tall * 0.5 + 0.02))[2]) - rng.uniform(0.0, 0.14)
        if -0.62 < surface < -0.22:
            desk = Desk(camera, screen, right, down, width, tall, surface)
            if recipe.second_monitor > 0 and rng.random() < recipe.second_monitor:
                return replace(desk, second=_draw_second(rng, desk))
            return desk


def _draw_second(rng: np.random.Generator, desk: Desk) -> Panel:
    """A monitor at the side of the first one, turned a little towards the student."""
    side = float(rng.choice([-1.0, 1.0]))
    width = rng.uniform(0.34, 0.6)
    tall = width * rng.uniform(0.52, 0.62)
    turn = turn_z(side * radians(rng.uniform(5.0, 35.0)))
    right, down = turn @ desk.right, turn @ desk.down
    gap = rng.uniform(0.01, 0.06)
    rim = desk.screen + desk.right * (side * (desk.width_m / 2 + gap)) + desk.down * desk.height_m / 2
    middle = rim + right * (side * width / 2) - down * (tall / 2)
    return Panel(middle, right, down, width, tall)


def label_of(desk: Desk, gaze: Vector) -> str:
    """The label of a gaze direction: what its ray meets first, screen, the paper's part of the desk, or neither."""
    if _sees_screen(desk, gaze):
        return "screen"
    return "paper" if _sees_paper(desk, gaze) else "wander"


def is_ambiguous(desk: Desk, gaze: Vector, margin_rad: float = MARGIN_RAD) -> bool:
    """Whether a gaze only `margin_rad` away, in any of twelve directions, would have another label."""
    yaw, pitch = yaw_pitch(gaze)
    label = label_of(desk, gaze)
    for step in range(12):
        turn = step * math.pi / 6
        side = margin_rad * math.cos(turn) / max(0.2, math.cos(pitch))
        if label_of(desk, direction(yaw + side, pitch + margin_rad * math.sin(turn))) != label:
            return True
    return False


def draw_target(rng: np.random.Generator, desk: Desk, label: str, recipe: Recipe) -> Target | None:
    """A target with this label, or None where this workplace leaves no room for one.

    Ambiguous targets are only let through in the share of draws that the recipe allows.
    """
    allow_ambiguous = rng.random() < recipe.ambiguous
    for _ in range(60):
        point, kind = _propose(rng, desk, label)
        if label_of(desk, point) != label:
            continue
        ambiguous = is_ambiguous(desk, point) or _tells_nothing(desk, point, label, recipe)
        if not ambiguous or allow_ambiguous:
            return Target(point, label, kind, ambiguous)
    return None


def tells_nothing(label: str, aside_deg: float, down_deg: float, recipe: Recipe) -> bool:
    """Whether a picture with this gaze could as well have been taken at a desk where the label is another one.

    `aside_deg` and `down_deg` are measured from the camera's direction; negative is up.
    """
    if label == "screen":
        return down_deg > recipe.screen_down_deg or abs(aside_deg) > recipe.screen_aside_deg
    if label == "paper":
        return down_deg < recipe.paper_down_deg
    return abs(aside_deg) < recipe.wander_aside_deg and -down_deg < recipe.wander_up_deg


def _tells_nothing(desk: Desk, gaze: Vector, label: str, recipe: Recipe) -> bool:
    aside, down = (math.degrees(a - b) for a, b in zip(yaw_pitch(gaze), yaw_pitch(desk.camera), strict=True))
    return tells_nothing(label, aside, down, recipe)


def draw_head(rng: np.random.Generator, target: Target, recipe: Recipe) -> HeadPose:
    """How much of the way to the target the head goes; the eyes do the rest, within what eyes can do."""
    yaw, pitch = yaw_pitch(target.point)
    eyes_only = rng.random() < recipe.eyes_only
    head_yaw = yaw * _yaw_share(rng, target, yaw, eyes_only)
    if recipe.head_yaw_noise_deg > 0:
        head_yaw += radians(rng.normal(0.0, recipe.head_yaw_noise_deg))
    head_yaw = float(np.clip(head_yaw, max(-1.55, yaw - EYE_YAW_RAD + 0.05), min(1.55, yaw + EYE_YAW_RAD - 0.05)))
    torso = 0.0
    if abs(yaw) > radians(40):
        torso = math.copysign(min(abs(yaw) - radians(30), radians(40)), yaw) * rng.uniform(0.0, 0.8)
    head_pitch = pitch * _pitch_share(rng, target, pitch, eyes_only) + radians(
        rng.normal(0.0, recipe.head_pitch_noise_deg)
    )
    head_pitch = float(np.clip(head_pitch, pitch - EYE_DOWN_RAD + 0.06, pitch + EYE_UP_RAD - 0.06))
    lean = radians(abs(rng.normal(8.0, 8.0) if target.label == "paper" else rng.normal(0.0, 6.0)))
    if rng.random() < recipe.lean_back:
        lean = -radians(abs(rng.normal(0.0, recipe.lean_back_deg)))
    if eyes_only:
        lean *= 0.3
    roll = radians(rng.normal(0.0, 6.0 if rng.random() < 0.8 else 15.0))
    return HeadPose(head_yaw - torso * 0.8, head_pitch - lean * 0.8, roll, torso * 0.8, lean)


def eye_angles(head: Vector, eye: Vector, target: Vector) -> tuple[float, float]:
    """Yaw and pitch of one eye in its head, for the head as it really stands (3 x 3), clamped to what eyes can do."""
    yaw, pitch = yaw_pitch(head.T @ (target - eye))
    return float(np.clip(yaw, -EYE_YAW_RAD, EYE_YAW_RAD)), float(np.clip(pitch, -EYE_UP_RAD, EYE_DOWN_RAD))


def draw_label(rng: np.random.Generator, shares: Sequence[float]) -> str:
    """A label by the class shares of a recipe."""
    return LABELS[int(rng.choice(3, p=np.asarray(shares) / sum(shares)))]


def _sees_screen(desk: Desk, gaze: Vector) -> bool:
    unit = gaze / np.linalg.norm(gaze)
    if float(unit @ desk.camera) / float(np.linalg.norm(desk.camera)) > math.cos(CAMERA_CONE_RAD):
        return True
    return any(_hits(panel, unit) for panel in desk.panels)


def _hits(panel: Panel, unit: Vector) -> bool:
    facing = np.cross(panel.right, panel.down)
    along = float(unit @ facing)
    if abs(along) < 1e-6:
        return False
    reach = float(panel.middle @ facing) / along
    if reach <= 0:
        return False
    offset = unit * reach - panel.middle
    edge = SCREEN_EDGE_RAD * reach
    across, below = abs(float(offset @ panel.right)), float(offset @ panel.down)
    if across > panel.width_m / 2 + edge:
        return False
    return -panel.height_m / 2 - edge <= below <= panel.height_m / 2 + KEYBOARD_RAD * reach


def _sees_paper(desk: Desk, gaze: Vector) -> bool:
    yaw, pitch = yaw_pitch(gaze)
    if not PAPER_PITCH_RAD[0] <= pitch <= PAPER_PITCH_RAD[1]:
        return False
    if abs(yaw - yaw_pitch(desk.screen)[0]) > PAPER_YAW_RAD:
        return False
    reach = -desk.surface_z / math.tan(pitch)
    return PAPER_REACH_M[0] <= reach <= PAPER_REACH_M[1]


def _propose(rng: np.random.Generator, desk: Desk, label: str) -> tuple[Vector, str]:
    if label == "screen":
        if rng.random() < 0.2:
            return desk.camera.copy(), "camera"
        if desk.second is not None and rng.random() < 0.5:
            return desk.point_on_second(rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5)), "second_screen"
        return desk.point_on_screen(rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5)), "screen"
    if label == "paper":
        return _propose_paper(rng, desk), "paper"
    return _propose_wander(rng, desk)


def _propose_paper(rng: np.random.Generator, desk: Desk) -> Vector:
    """A point of the desk: mostly in front, in one draw of three towards a side."""
    yaw = yaw_pitch(desk.screen)[0]
    yaw += radians(rng.uniform(-38.0, 38.0)) if rng.random() < 0.35 else radians(rng.normal(0.0, 10.0))
    pitch = radians(rng.uniform(24.0, 72.0))
    reach = -desk.surface_z / math.tan(pitch)
    return np.array([math.sin(yaw) * reach, -math.cos(yaw) * reach, desk.surface_z])


def _propose_wander(rng: np.random.Generator, desk: Desk) -> tuple[Vector, str]:
    """A direction aside, far aside, up, or down beside the desk."""
    kind = str(rng.choice(["aside", "far_aside", "up", "low_aside"], p=[0.38, 0.38, 0.16, 0.08]))
    side = rng.choice([-1.0, 1.0])
    yaw_deg, pitch_deg = {
        "aside": (side * rng.uniform(20, 45), rng.normal(2, 11)),
        "far_aside": (side * rng.uniform(45, 105), rng.normal(4, 14)),
        "up": (rng.uniform(-50, 50), -rng.uniform(20, 58)),
        "low_aside": (side * rng.uniform(46, 90), rng.uniform(20, 45)),
    }[kind]
    camera_yaw, camera_pitch = yaw_pitch(desk.camera)
    pitch = radians(pitch_deg) + (camera_pitch if kind != "low_aside" else 0.0)
    return direction(camera_yaw + radians(yaw_deg), pitch) * rng.uniform(0.8, 2.5), kind


def _yaw_share(rng: np.random.Generator, target: Target, yaw: float, eyes_only: bool) -> float:
    if abs(yaw) < radians(15):
        return rng.uniform(0.1, 0.9)
    if eyes_only and target.label == "wander":
        return rng.uniform(0.0, 0.35)
    return rng.uniform(0.45, 0.95)


def _pitch_share(rng: np.random.Generator, target: Target, pitch: float, eyes_only: bool) -> float:
    if pitch <= 0:
        return rng.uniform(0.4, 0.95)
    if target.label == "paper":
        # The lesson of the probe: paper with little head pitch and lowered lids.
        return rng.uniform(0.05, 0.45) if eyes_only or rng.random() < 0.2 else rng.uniform(0.4, 0.9)
    return rng.uniform(0.1, 0.85)
