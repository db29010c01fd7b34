"""Puts one moment together: a person, clothes, room and gaze become a drawing, a picture and its exact truth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import degrees, radians
from typing import Any

import numpy as np

from trainer.synthetic.angles import Matrix, Vector, look_at, perspective, project, seen_from, turn_x, turn_z, window
from trainer.synthetic.eyes import AVERAGE, Eyes
from trainer.synthetic.gaze import Desk, HeadPose, Target, eye_angles
from trainer.synthetic.lids import move_lids
from trainer.synthetic.mesh import EYES, topology
from trainer.synthetic.people import Body, Person
from trainer.synthetic.renderer import Drawing, Prop, Renderer
from trainer.synthetic.room import Picture, Room, desk_props
from trainer.synthetic.shapes import Mesh
from trainer.synthetic.wardrobe import EYE_HALF_M, Outfit

_FOV_RAD = radians(60.0)


@dataclass(frozen=True, slots=True)
class Frame:
    """Which part of the camera's view is kept, in its normalised coordinates (-1 to 1, y up)."""

    centre: tuple[float, float]
    half: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Truth:
    """What is really so in a picture; angles in degrees relative to the camera's axis, + right, + down."""

    head_yaw: float
    head_pitch: float
    gaze_yaw: float
    gaze_pitch: float
    face_box: tuple[float, float, float, float]
    """x1, y1, x2, y2 in shares of the picture's width and height; may reach out of it."""

    def scaled(self, width: int, height: int) -> Mapping[str, Any]:
        """The truth with the face box in pixels, rounded, ready for JSON."""
        x1, y1, x2, y2 = self.face_box
        box = [x1 * width, y1 * height, x2 * width, y2 * height]
        names = ("head_yaw", "head_pitch", "gaze_yaw", "gaze_pitch")
        return {**{name: round(getattr(self, name), 2) for name in names}, "face_box": [round(v, 1) for v in box]}


class Scene:
    """One body in its place: eyes turned to the target, camera set; ready to be framed and drawn."""

    def __init__(
        self, person: Person, outfit: Outfit, room: Room, desk: Desk, body: Body, origin: Vector | None = None
    ) -> None:
        """`origin` is the point that desk and targets are relative to, where it is not the eyes of this moment."""
        self.person, self.outfit, self.room, self.desk, self.body = person, outfit, room, desk, body
        left, right = body.eye_centres()
        self.eyes: Vector = (left + right) / 2
        self.origin: Vector = self.eyes if origin is None else origin
        self.camera: Vector = self.origin + desk.camera
        self.scale = float(np.linalg.norm(left - right)) / (2 * EYE_HALF_M)
        self._iris: Mapping[str, float] = {}

    def turn_eyes(self, target: Vector, eyes: Eyes = AVERAGE) -> None:
        """Turn both eyes, and their lids, to a target relative to the origin, as far as eyes go."""
        head, vertices = self.body.head, self.body.vertices
        for index, eye in enumerate(EYES):
            centre = vertices[eye].mean(0)
            radius_m = float(np.linalg.norm(vertices[eye] - centre, axis=1).mean())
            yaw, pitch = eye_angles(head, centre, self.origin + target)
            outwards = eyes.outwards_rad if index == 0 else -eyes.outwards_rad
            across, along = eyes.on_mesh(yaw + outwards, radius_m), eyes.on_mesh(pitch + eyes.down_rad, radius_m)
            turn = head @ turn_z(across) @ turn_x(along) @ head.T
            vertices[eye] = (vertices[eye] - centre) @ turn.T + centre
            move_lids(vertices, index, centre, head, eyes.on_mesh(pitch, radius_m), eyes)
            self._iris = eyes.iris_on_mesh(self.outfit.uniforms, radius_m)

    def view(self, aim: Vector | None = None, roll_rad: float = 0.0) -> Matrix:
        """The 4 x 4 matrix of the camera, aimed at a point relative to the origin."""
        up = np.array([math.sin(roll_rad), 0.0, math.cos(roll_rad)])
        point = self.origin + (np.zeros(3) if aim is None else aim)
        matrix: Matrix = perspective(_FOV_RAD) @ look_at(self.camera, point, up)
        return matrix

    def face_bounds(self, view: Matrix) -> tuple[Vector, Vector]:
        """Lower and upper corner of the face, in the camera's normalised coordinates."""
        points = project(view, self.body.vertices[topology().face_front])
        return points.min(0), points.max(0)

    def frame_face(self, view: Matrix, scale: float, shift: tuple[float, float] = (0.0, 0.0)) -> Frame:
        """A square whose side is `scale` times the face's larger side, shifted by shares of that side."""
        low, high = self.face_bounds(view)
        side = float(max(high - low))
        x, y = (low + high) / 2 + np.array(shift) * side
        return Frame((float(x), float(y)), (side * scale / 2, side * scale / 2))

    def draw(
        self,
        renderer: Renderer,
        view: Matrix,
        frame: Frame,
        size: tuple[int, int],
        background: Picture,
        *,
        paper: Vector | None = None,
        hand: Mesh | None = None,
    ) -> Picture:
        """The picture, (height, width, 3) before the webcam; size is (width, height)."""
        drawn = self.cut_out(renderer, view, frame, size, paper=paper, hand=hand)
        behind = np.clip(background * np.float32(self.room.brightness), 0, 1)
        picture: Picture = np.clip(drawn[..., :3] + behind * (1 - drawn[..., 3:]), 0, 1)
        return picture

    def cut_out(
        self,
        renderer: Renderer,
        view: Matrix,
        frame: Frame,
        size: tuple[int, int],
        *,
        paper: Vector | None = None,
        hand: Mesh | None = None,
        more: Sequence[Prop] = (),
    ) -> Picture:
        """The student without background, (height, width, 4), 0 to 1, colours premultiplied; size (width, height).

        `more` are props in the world.
        """
        props = [self._on_head(part) for part in self.outfit.parts]
        if hand is not None:
            props.append(self._on_head(Prop(hand, self.person.skin_rgb * 0.95, 0.2, skin_like=1.0)))
        props += [*desk_props(self.room, self.desk, self.origin, paper), *more]
        middle = self.desk.screen + self.origin
        drawing = Drawing(
            vertices=self.body.vertices,
            passes=self.outfit.passes,
            props=props,
            uniforms={**self.outfit.uniforms, **self._iris, **self.room.uniforms, "screen_place": middle},
            camera=self.camera,
            view_projection=window(view, frame.centre, frame.half),
            centre=self.eyes,
        )
        return renderer.draw(drawing, size).astype(np.float32) / np.float32(255)

    def truth(self, view: Matrix, frame: Frame, target: Vector) -> Truth:
        """Angles and face box. The gaze is where the target really is, the head how it really stands."""
        lens = self.camera - self.eyes
        head_yaw, head_pitch = seen_from(lens, self.body.head @ np.array([0.0, -1.0, 0.0]))
        gaze_yaw, gaze_pitch = seen_from(lens, self.origin + target - self.eyes)
        low, high = self.face_bounds(view)
        (x1, y1), (x2, y2) = ((corner - frame.centre) / frame.half for corner in (low, high))
        box = (float(0.5 + x1 / 2), float(0.5 - y2 / 2), float(0.5 + x2 / 2), float(0.5 - y1 / 2))
        angles = (degrees(head_yaw), degrees(head_pitch), degrees(gaze_yaw), degrees(gaze_pitch))
        return Truth(*angles, box)

    def _on_head(self, part: Prop) -> Prop:
        points = part.mesh.points * self.scale @ self.body.head.T + self.eyes
        return replace(part, mesh=Mesh(points, part.mesh.triangles))


def settings(desk: Desk, head: HeadPose, target: Target) -> dict[str, Any]:
    """Numbers of the set-up, for the record of a picture."""
    return {
        "target": target.kind,
        "camera_distance_m": round(float(np.linalg.norm(desk.camera)), 3),
        "camera_height_m": round(float(desk.camera[2]), 3),
        "screen_below_camera_m": round(float(desk.camera[2] - desk.screen[2]), 3),
        "desk_m": round(desk.surface_z, 3),
        "screen_m": [round(desk.width_m, 3), round(desk.height_m, 3)],
        "torso_yaw": round(degrees(head.torso_yaw), 1),
        "lean": round(degrees(head.lean), 1),
        "roll": round(degrees(head.roll), 1),
    }
