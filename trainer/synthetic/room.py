"""Where a person sits: light, the desk with what lies on it, and what is behind. It knows no person."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import radians
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.synthetic.angles import Vector, turn_z
from trainer.synthetic.gaze import Desk
from trainer.synthetic.recipe import Recipe
from trainer.synthetic.renderer import Prop
from trainer.synthetic.shapes import plate
from trainer.synthetic.wardrobe import hsv

Picture = NDArray[np.float32]
"""(height, width, 3) red, green, blue, 0 to 1, as shown on a screen."""


@dataclass(slots=True)
class Room:
    """Light and surroundings of one person."""

    uniforms: dict[str, Any]
    """The lights, for all materials."""
    brightness: float
    """How light the background stands, 0 to 1.3."""
    has_desk: bool
    desk_rgb: Vector
    paper_rgb: Vector
    paper_turn: float
    paper_place: Vector | None
    """Where paper lies although nobody looks at it, relative to the eyes; None where there is none."""
    setting: dict[str, Any] = field(default_factory=dict)


def draw_room(rng: np.random.Generator, desk: Desk, recipe: Recipe) -> Room:
    """Light from key, fill, sky and screen; desk and paper."""
    key = rng.uniform(0.3, 1.9)
    ambient = rng.uniform(0.15, 0.75)
    toward = turn_z(radians(rng.normal(0.0, 70.0))) @ np.array([0.0, -1.0, 0.0]) + np.array(
        [0.0, 0.0, rng.uniform(0.1, 1.8)]
    )
    backlit = rng.random() < recipe.backlight
    if backlit:
        toward[1] = abs(toward[1]) + 0.3
        ambient *= 0.6
    fill = np.array([rng.normal(), -abs(rng.normal()) - 0.05, rng.normal() * 0.5])
    screen = rng.choice([0.0, rng.uniform(0.0, 0.5), rng.uniform(0.3, 1.6)])
    uniforms = {
        "key_direction": toward / np.linalg.norm(toward),
        "key_colour": key * _tint(rng, 0.25),
        "fill_direction": fill / np.linalg.norm(fill),
        "fill_colour": rng.uniform(0.0, 0.5) * _tint(rng, 0.25),
        "sky_colour": ambient * _tint(rng, 0.15) * rng.uniform(0.7, 1.3),
        "ground_colour": ambient * _tint(rng, 0.15) * rng.uniform(0.3, 0.9),
        "screen_colour": screen * np.array([0.85, 0.95, 1.15]),
        "shadow_strength": rng.uniform(0.4, 1.0),
    }
    paper = None
    if rng.random() < 0.35:
        paper = np.array([rng.normal(0.0, 0.15), -rng.uniform(0.18, 0.42), desk.surface_z])
    return Room(
        uniforms=uniforms,
        brightness=float(np.clip(ambient * 1.2 + 0.4 * key, 0.25, 1.3)) * (1.2 if backlit else rng.uniform(0.6, 1.1)),
        has_desk=rng.random() < 0.8,
        desk_rgb=hsv(rng.uniform(0.03, 0.12), rng.uniform(0.0, 0.6), rng.uniform(0.1, 0.8)),
        paper_rgb=np.array([0.85, 0.85, 0.83]) * rng.uniform(0.8, 1.0),
        paper_turn=float(rng.normal(0.0, 0.3)),
        paper_place=paper,
        setting={
            "key": round(key, 3),
            "ambient": round(ambient, 3),
            "screen_light": round(float(screen), 3),
            "backlit": backlit,
        },
    )


def desk_props(room: Room, desk: Desk, eyes: Vector, paper: Vector | None) -> list[Prop]:
    """The desk and a sheet of paper at a place relative to the eyes."""
    if not room.has_desk:
        return []
    height = eyes[2] + desk.surface_z
    near, far = eyes[1] - 0.22, eyes[1] - 1.2
    corners = np.array([[-1.2, far, height], [1.2, far, height], [1.2, near, height], [-1.2, near, height]])
    corners[:, 0] += eyes[0]
    props = [Prop(plate(corners), room.desk_rgb, 0.1, casts_shadow=False)]
    if paper is not None:
        middle = np.array([eyes[0] + paper[0], eyes[1] + paper[1], height + 0.002])
        half = np.array([[-0.105, -0.15, 0], [0.105, -0.15, 0], [0.105, 0.15, 0], [-0.105, 0.15, 0]])
        props.append(Prop(plate(middle + half @ turn_z(room.paper_turn).T), room.paper_rgb, 0.05, casts_shadow=False))
    return props


def draw_background(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    """Random furniture, shelves, blinds, windows, mostly out of focus; size is (width, height) px."""
    width, height = size
    base = hsv(rng.random(), rng.uniform(0.0, 0.35), rng.uniform(0.2, 0.97))
    second = hsv(rng.random(), rng.uniform(0.0, 0.35), rng.uniform(0.05, 0.95))
    down, across = (np.mgrid[0:height, 0:width] / max(size)).astype(np.float32)
    turn = rng.uniform(0.0, 6.28)
    slope = np.clip((across - 0.5) * np.cos(turn) + (down - 0.5) * np.sin(turn) + 0.5, 0, 1)[..., None]
    mixed = base * (1 - slope) + second * slope if rng.random() < 0.6 else np.ones((height, width, 1)) * base
    picture = np.ascontiguousarray(mixed, dtype=np.float32)
    for _ in range(int(rng.integers(0, 14))):
        _furnish(rng, picture)
    if rng.random() < 0.3:
        stripes = down if rng.random() < 0.5 else across
        inside = (stripes * rng.integers(4, 18) + rng.random()) % 1 < rng.uniform(0.15, 0.6)
        picture[inside] = picture[inside] * rng.uniform(0.3, 0.9) + second * rng.uniform(0.0, 0.3)
    if rng.random() < 0.25:
        _window(rng, picture)
    coarse = rng.normal(0, 1, (8, 8, 1)) + 0.25 * rng.normal(0, 1, (8, 8, 3))
    picture += cv2.resize(coarse.astype(np.float32), size, interpolation=cv2.INTER_CUBIC) * rng.uniform(0.0, 0.1)
    if rng.random() < 0.75:
        sigma = rng.uniform(0.5, 6.0) * max(size) / 160
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), dtype=np.float32)
    return np.clip(picture, 0, 1)


def _tint(rng: np.random.Generator, spread: float) -> Vector:
    """Warm or cold white."""
    return np.array([1 + rng.normal(0, spread) * 0.6, 1.0, 1 + rng.normal(0, spread) * 0.8]).clip(0.4, 1.6)


def _furnish(rng: np.random.Generator, picture: Picture) -> None:
    side = max(picture.shape)
    colour = hsv(rng.random(), rng.random() ** 3, rng.random() ** 0.8).tolist()
    x, y = (int(v) for v in rng.uniform(-0.2, 1.1, 2) * side)
    width, height = (int(v) for v in (rng.random(2) ** 2 * 0.7 + 0.03) * side)
    kind = rng.random()
    if kind < 0.7:
        cv2.rectangle(picture, (x, y), (x + width, y + height), colour, -1)
    elif kind < 0.85:
        cv2.circle(picture, (x, y), int(width * 0.4) + 1, colour, -1)
    else:
        end = (int(x + width * 3 * (rng.random() - 0.5)), y + height * 3)
        cv2.line(picture, (x, y), end, colour, int(rng.integers(1, 8)))


def _window(rng: np.random.Generator, picture: Picture) -> None:
    side = max(picture.shape)
    x, y = int(rng.uniform(-0.1, 0.8) * side), int(rng.uniform(-0.2, 0.4) * side)
    far = (x + int(rng.uniform(0.2, 0.5) * side), y + int(rng.uniform(0.3, 0.7) * side))
    cv2.rectangle(picture, (x, y), far, (rng.uniform(0.8, 1.0),) * 3, -1)
    cv2.rectangle(picture, (x, y), far, (0.3, 0.3, 0.3), 3)
