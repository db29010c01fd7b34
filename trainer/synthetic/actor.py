"""One student with a fixed body, outfit, room, light and camera, rendered at any moment as their webcam shows them.

It knows how to draw a moment; what the student does over time comes from `behaviour`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.synthetic.angles import Matrix, Vector
from trainer.synthetic.behaviour import Moment
from trainer.synthetic.eyes import draw_eyes
from trainer.synthetic.gaze import LABELS, Desk, HeadPose, draw_desk, draw_target
from trainer.synthetic.people import Pose, draw_person, pose_people
from trainer.synthetic.recipe import Recipe
from trainer.synthetic.renderer import Renderer
from trainer.synthetic.room import draw_background, draw_room
from trainer.synthetic.scene import Frame, Scene
from trainer.synthetic.wardrobe import draw_outfit
from trainer.synthetic.webcam import draw_webcam

ACTOR = Recipe(
    name="actor",
    ambiguous=0.0,
    distance_m=(0.5, 0.8),
    camera_height_m=(-0.12, 0.1),
    side_camera=0.0,
    low_camera=0.0,
    eyes_only=0.15,
    sunglasses=0.0,
    mask=0.0,
    headphones=0.2,
    backlight=0.05,
    own_eyes=0.9,
    living_eyes=True,
)
"""Students of a lecture: a plain workplace, so that every state is unambiguous."""

_REST = HeadPose(0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture of a student."""

    image_rgb: NDArray[np.uint8]
    """(height, width, 3)"""
    label: str
    truth: Mapping[str, Any]
    """head_yaw, head_pitch, gaze_yaw, gaze_pitch in degrees, face_box in px."""


class StudentActor:
    """Everything about a student that does not change during a lecture. The seed alone decides it."""

    def __init__(
        self, seed: int, size: tuple[int, int] = (320, 180), recipe: Recipe = ACTOR, cell: int | None = None
    ) -> None:
        """`size` is (width, height) px of the pictures; `cell` picks the group (see `people.cell_of`)."""
        rng = np.random.default_rng(seed)
        self.seed, self.size = seed, size
        self.person = draw_person(rng, f"a{seed}", seed if cell is None else cell)
        self.outfit = draw_outfit(rng, self.person, recipe)
        self._eyes = draw_eyes(seed, recipe.own_eyes, living=recipe.living_eyes)
        self.outfit.uniforms.update(self._eyes.uniforms)
        self.desk = _roomy_desk(rng, recipe)
        self._room = draw_room(rng, self.desk, recipe)
        # A webcam turns its exposure down before a face burns out.
        self._room.uniforms["key_colour"] = np.minimum(self._room.uniforms["key_colour"], 1.1)
        self._background = draw_background(rng, size)
        self._webcam = draw_webcam(rng)
        self._arms = tuple(float(v) for v in rng.uniform((0.45, 0.2, 0.5) * 2, (0.8, 0.7, 1.0) * 2))
        body = pose_people([self.person], [Pose(_REST, self._arms)])[0]
        rest = Scene(self.person, self.outfit, self._room, self.desk, body)
        self._origin: Vector = rest.eyes
        self._view: Matrix = rest.view(np.array([0.0, 0.0, -0.03]), float(rng.normal(0.0, 0.03)))
        self._frame = _head_and_shoulders(rng, rest, self._view, size)

    def render(self, renderer: Renderer, moments: Sequence[Moment], first_index: int = 0) -> list[Shot]:
        """The pictures of these moments; `first_index` numbers them, which decides the camera's noise."""
        poses = [Pose(moment.head, self._arms, 0.4, moment.actions) for moment in moments]
        bodies = pose_people([self.person] * len(poses), poses)
        shots = []
        for k, (moment, body) in enumerate(zip(moments, bodies, strict=True)):
            scene = Scene(self.person, self.outfit, self._room, self.desk, body, self._origin)
            scene.turn_eyes(moment.gaze, self._eyes)
            paper = self._room.paper_place
            if moment.label == "paper" and paper is None:
                paper = moment.gaze
            picture = scene.draw(renderer, self._view, self._frame, self.size, self._background, paper=paper)
            image = self._webcam.shoot(np.random.default_rng((self.seed, first_index + k)), picture)
            shots.append(
                Shot(image, moment.label, scene.truth(self._view, self._frame, moment.gaze).scaled(*self.size))
            )
        return shots


def _roomy_desk(rng: np.random.Generator, recipe: Recipe) -> Desk:
    """A workplace with room for every label."""
    while True:
        desk = draw_desk(rng, recipe)
        if all(draw_target(rng, desk, label, recipe) for label in LABELS):
            return desk


def _head_and_shoulders(rng: np.random.Generator, scene: Scene, view: Matrix, size: tuple[int, int]) -> Frame:
    """The framing of a webcam: the face takes a third to a half of the height, a little above the middle."""
    low, high = scene.face_bounds(view)
    tall = float(high[1] - low[1])
    half_height = tall / rng.uniform(0.33, 0.48) / 2
    half_width = half_height * size[0] / size[1]
    x, y = (low + high) / 2
    return Frame(
        (float(x + rng.normal(0.0, 0.12) * tall), float(y - rng.uniform(0.05, 0.3) * tall)), (half_width, half_height)
    )
