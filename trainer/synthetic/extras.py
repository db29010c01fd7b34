"""What the later keys of a recipe add to a still: things and arms, backdrops, exposure, faults of the line.

It has a random generator of its own, made of the seed, so that everything else is drawn as without it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import radians
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.synthetic import backdrop
from trainer.synthetic.activity import Activity, Staged, arm_at_face, draw_activity, dress_arms, stage, with_fingers
from trainer.synthetic.angles import Matrix, Vector
from trainer.synthetic.arm import SIDES
from trainer.synthetic.exposure import expose
from trainer.synthetic.eyes import AVERAGE, Eyes, draw_eyes
from trainer.synthetic.gaze import HeadPose, Target
from trainer.synthetic.people import Pose
from trainer.synthetic.recipe import Recipe
from trainer.synthetic.room import Picture, draw_background
from trainer.synthetic.scene import Scene
from trainer.synthetic.strands import lock_of_hair
from trainer.synthetic.wardrobe import Outfit
from trainer.synthetic.webcam import compress_video, make_tiny, reach_past_tile

_STREAM = 7919
"""Second part of the seed of this generator."""


@dataclass(slots=True)
class Extras:
    """The choices for one picture, and what became of them."""

    rng: np.random.Generator
    activity: Activity
    backdrop: str
    is_cut: bool
    is_exposed: bool
    is_tiny: bool
    is_video: bool
    is_at_edge: bool
    rests: bool = False
    """Whether the head rests on a hand."""
    eyes: Eyes = AVERAGE
    staged: Staged = field(default_factory=Staged)
    setting: dict[str, Any] = field(default_factory=dict)
    """For the record of the picture."""

    def with_fingers(self, pose: Pose) -> Pose:
        """The pose with fingers bent for what they do."""
        return with_fingers(self.rng, pose, self.activity)

    def tilted(self, head: HeadPose) -> HeadPose:
        """The pose with the head tilted onto the hand it rests on; the eyes stay on their target."""
        if not self.rests:
            return head
        return replace(head, roll=SIDES[self.activity.side] * radians(abs(self.rng.normal(22.0, 9.0))))

    def hand_place(self, place: str) -> str:
        """Where a hand is held: at the cheek or the chin by those who rest on it, sometimes outside of the picture."""
        return str(self.rng.choice(["cheek", "chin", "none"], p=[0.55, 0.15, 0.3])) if self.rests else place

    def cut_shift(self, shift: Vector) -> Vector:
        """A shift of the frame (shares of the face's larger side) by which the picture's edge cuts the head."""
        if not self.is_cut:
            return shift
        aside, up = self.rng.uniform(-0.5, 0.5), self.rng.uniform(-0.42, 0.5)
        return np.array([aside, up]) if self.rng.random() < 0.5 else np.array([aside * 0.3, up])

    def stage(self, scene: Scene, target: Target, view: Matrix, hand_place: str) -> str:
        """Put things and arms into the scene, the arm of a hand at the face among them.

        Returns "arm" where that hand came with its arm, "hand" where it must be drawn without, "none" where there is
        none, or none that its arm could bring there.
        """
        if self.backdrop == "virtual":
            scene.room.has_desk = False  # a mask of people leaves desks out
        self.staged = stage(self.rng, scene, target, self.activity, view)
        hand = "none" if hand_place == "none" else "hand"
        if hand == "hand" and self.activity.arm_at_face:
            hand = "arm" if arm_at_face(self.rng, scene, hand_place, self.activity, self.staged) else "none"
        dress_arms(scene, self.staged)
        self.setting |= {
            "thing": self.staged.thing,
            "arms": "".join(self.staged.arms),
            "hand": hand,
            "backdrop": self.backdrop,
            "cut_head": self.is_cut,
            "tiny": self.is_tiny,
            "h264": self.is_video,
            "tile_edge": self.is_at_edge,
            "second_monitor": scene.desk.second is not None,
        }
        return hand

    def develop(
        self, drawn: Picture, background: Picture, brightness: float, face_box: tuple[float, float, float, float]
    ) -> Picture:
        """The cut-out student (height, width, 4) before what is behind, exposed and scaled as a webcam does."""
        room = np.clip(background * np.float32(brightness), 0, 1)
        height, width = drawn.shape[:2]
        other = draw_background(self.rng, (width, height)) if self.backdrop == "virtual" else room
        if self.is_exposed:
            # The camera exposes what is there; a virtual picture comes later and keeps its light.
            shown = drawn[..., :3] + room * (1 - drawn[..., 3:])
            shown, gain = expose(self.rng, shown, face_box)
            self.setting["gain"] = round(gain, 2)
            alpha = drawn[..., 3:]
            drawn = np.concatenate([shown * alpha, alpha], 2)
            room = shown
        picture = backdrop.put_behind(self.rng, self.backdrop, drawn, room, other)
        return make_tiny(self.rng, picture) if self.is_tiny else picture

    def transmit(self, image_rgb: NDArray[np.uint8], face_box: tuple[float, float, float, float]) -> NDArray[np.uint8]:
        """The picture after the line, cut out of a tile."""
        if self.is_video:
            image_rgb = compress_video(self.rng, image_rgb)
        return reach_past_tile(self.rng, image_rgb, face_box) if self.is_at_edge else image_rgb


def draw_extras(seed: int, outfit: Outfit, target: Target, recipe: Recipe) -> Extras:
    """The choices for the picture of this seed; adds a lock of hair to the outfit where it is due."""
    rng = np.random.default_rng((seed, _STREAM))
    shares = (recipe.cut_head, recipe.auto_exposure, recipe.tiny, recipe.h264, recipe.tile_edge, recipe.strands)
    draws = rng.random(len(shares))
    cut, exposed, tiny, video, at_edge, strands = (bool(d < share) for d, share in zip(draws, shares, strict=True))
    activity = draw_activity(rng, target, recipe)
    extras = Extras(rng, activity, backdrop.draw_kind(rng, recipe), cut, exposed, tiny, video, at_edge)
    lock = lock_of_hair(rng, outfit) if strands else None
    if lock is not None:
        outfit.parts.append(lock)
    extras.setting["strands"] = lock is not None
    if recipe.resting > 0:
        extras.rests = bool(rng.random() < recipe.resting)
        extras.setting["resting"] = extras.rests
    if recipe.own_eyes > 0 or recipe.living_eyes:
        extras.eyes = draw_eyes(seed, recipe.own_eyes, living=recipe.living_eyes)
        outfit.uniforms.update(extras.eyes.uniforms)
        extras.setting["eyes"] = extras.eyes.setting
    return extras
