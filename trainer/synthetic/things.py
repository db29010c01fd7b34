"""Meshes of what students read, write on, hold and drink from: print, books, telephones, pens, mugs.

Each is a list of props at a place in the world. It knows no student and decides nothing about gaze.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trainer.synthetic.angles import Vector
from trainer.synthetic.renderer import Prop
from trainer.synthetic.shapes import Mesh, Points, tube
from trainer.synthetic.wardrobe import hsv


@dataclass(frozen=True, slots=True)
class Place:
    """Where a flat thing is: its middle and unit vectors to its right, its top and out of its face."""

    middle: Vector
    right: Vector
    top: Vector

    @property
    def out(self) -> Vector:
        """The direction its face looks in."""
        return np.cross(self.right, self.top)

    def at(self, points: Points) -> Points:
        """Points (N, 3) given along right, top and out, in the world."""
        placed: Points = self.middle + points @ np.stack([self.right, self.top, self.out])
        return placed


def facing(middle: Vector, toward: Vector, turn_rad: float = 0.0) -> Place:
    """A thing at `middle` whose face looks along `toward` and whose top is as high as it can be, then turned."""
    out = toward / np.linalg.norm(toward)
    right = np.cross(np.array([0.0, 0.0, 1.0]), out)
    right = right / np.linalg.norm(right)
    top = np.cross(out, right)
    c, s = math.cos(turn_rad), math.sin(turn_rad)
    return Place(middle, c * right + s * top, c * top - s * right)


def lying(middle: Vector, turn_rad: float = 0.0) -> Place:
    """A thing flat on the desk, its top away from the student, who looks along -y."""
    c, s = math.cos(turn_rad), math.sin(turn_rad)
    # The student's right hand lies towards -x.
    return Place(middle, np.array([-c, -s, 0.0]), np.array([s, -c, 0.0]))


def sheet(rng: np.random.Generator, place: Place, paper_rgb: Vector) -> list[Prop]:
    """A sheet with lines of print or writing, some with a picture on it."""
    half = (0.105, 0.148) if rng.random() < 0.7 else (0.075, 0.105)
    corners = np.array([[-half[0], -half[1], 0], [half[0], -half[1], 0], [half[0], half[1], 0], [-half[0], half[1], 0]])
    ink = hsv(rng.choice([0.62, 0.0]), rng.choice([0.0, 0.7]), rng.uniform(0.01, 0.12))
    return [_prop(place, corners, paper_rgb), Prop(_lines(rng, place, half, 0.0), ink, 0.02, casts_shadow=False)]


def book(rng: np.random.Generator, place: Place, paper_rgb: Vector) -> list[Prop]:
    """An open book or notebook: two bent pages with lines, a cover behind."""
    width, half = rng.uniform(0.12, 0.18), rng.uniform(0.085, 0.13)
    rise = rng.uniform(0.008, 0.03)
    cover = hsv(rng.random(), rng.random(), rng.random() ** 0.7)
    ink = np.full(3, rng.uniform(0.02, 0.15))
    across = np.array([0.0, 0.25, 0.6, 1.0])
    props = [Prop(_slab(place, width * 2.04, half * 2.06, 0.006, -0.006), cover, 0.2)]
    for side in (1.0, -1.0):
        height = rise * np.sin(across * math.pi * 0.9) + 0.004
        rows = [[[side * a * width, y, h] for a, h in zip(across, height, strict=True)] for y in (-half, half)]
        points = np.array(rows).reshape(-1, 3)
        step = np.arange(3)
        triangles = np.concatenate(
            [np.stack([step, step + 1, step + 5], 1), np.stack([step, step + 5, step + 4], 1)]
        ).astype(np.int32)
        props.append(Prop(Mesh(place.at(points), triangles), paper_rgb, 0.05, casts_shadow=False))
        page = Place(place.middle + place.right * (side * width / 2), place.right, place.top)
        props.append(Prop(_lines(rng, page, (width / 2, half), rise + 0.004), ink, 0.02, casts_shadow=False))
    return props


def phone(rng: np.random.Generator, place: Place) -> list[Prop]:
    """A telephone: its body, a glowing face, a lens on its back."""
    width, height = rng.uniform(0.066, 0.08), rng.uniform(0.14, 0.165)
    body = hsv(rng.random(), rng.random() ** 2, rng.choice([0.02, 0.05, 0.3, 0.7]))
    glow = np.array([0.7, 0.8, 0.95]) * rng.uniform(0.15, 1.0)
    lens = Place(place.middle + place.right * width * 0.25 + place.top * height * 0.36, place.right, place.top)
    corners = np.array([[-1.0, -1.0, 0], [1.0, -1.0, 0], [1.0, 1.0, 0], [-1.0, 1.0, 0]])
    screen = corners * [width * 0.46, height * 0.47, 0] + [0, 0, 0.0055]
    return [
        Prop(_slab(place, width, height, 0.009, -0.0045), body, 0.5),
        _prop(place, screen, glow),
        Prop(_slab(lens, width * 0.3, width * 0.32, 0.004, -0.007), np.full(3, 0.015), 0.6, casts_shadow=False),
    ]


def pen(rng: np.random.Generator, tip: Vector, tail: Vector) -> list[Prop]:
    """A pen from its tip to its other end."""
    colour = hsv(rng.random(), rng.random(), rng.random() ** 0.8)
    return [Prop(tube(np.stack([tip, (tip + tail) / 2, tail]), rng.uniform(0.0035, 0.005), closed=False), colour, 0.5)]


def mug(rng: np.random.Generator, foot: Vector) -> list[Prop]:
    """A mug that stands at `foot`, or a glass-like beaker: walls and a handle."""
    colour = hsv(rng.random(), rng.random(), rng.random() ** 0.5)
    radius, height = rng.uniform(0.035, 0.046), rng.uniform(0.085, 0.12)
    up = np.array([0.0, 0.0, 1.0])
    wall = tube(np.stack([foot, foot + up * height / 2, foot + up * height]), radius, closed=False, sides=16)
    turn = rng.uniform(0.0, 2 * math.pi)
    aside = np.array([math.cos(turn), math.sin(turn), 0.0])
    bend = np.linspace(-0.5, 0.5, 7) * math.pi
    handle = (
        foot + up * (height * (0.5 + 0.3 * np.sin(bend)))[:, None] + aside * (radius + 0.028 * np.cos(bend))[:, None]
    )
    return [Prop(wall, colour, 0.5), Prop(tube(handle, 0.005, closed=False), colour, 0.5)]


def _prop(place: Place, corners: Points, tint: Vector) -> Prop:
    mesh = Mesh(place.at(np.asarray(corners, dtype=np.float64)), np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32))
    return Prop(mesh, tint, 0.05, casts_shadow=False)


def _lines(rng: np.random.Generator, place: Place, half: tuple[float, float], height: float) -> Mesh:
    """Strokes over a page, just above it on both sides."""
    gap = rng.uniform(0.008, 0.016)
    heights = np.arange(half[1] * 0.86, -half[1] * rng.uniform(-0.3, 0.86), -gap)
    points: list[list[float]] = []
    triangles: list[list[int]] = []
    for y in heights:
        left, right = -half[0] * 0.84, half[0] * (0.84 if rng.random() < 0.75 else rng.uniform(-0.3, 0.8))
        first = len(points)
        thick = gap * rng.uniform(0.12, 0.22)
        points += [[left, y - thick, height], [right, y - thick, height], [right, y + thick, height]]
        points.append([left, y + thick, height])
        triangles += [[first, first + 1, first + 2], [first, first + 2, first + 3]]
    lifted = np.array(points) + np.array([0, 0, 0.002])
    return Mesh(place.at(lifted), np.array(triangles, dtype=np.int32))


def _slab(place: Place, width: float, height: float, thick: float, back: float) -> Mesh:
    """A box around the middle of a place, its back `back` metres out of the face."""
    corners = np.array([[x, y, z] for z in (0.0, 1.0) for y in (-0.5, 0.5) for x in (-0.5, 0.5)])
    points = corners * [width, height, thick] + [0, 0, back]
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    # Every side has its own corners, so that edges stay sharp.
    sides = np.array([points[list(quad)] for quad in quads]).reshape(-1, 3)
    first = np.arange(6)[:, None] * 4
    triangles = np.concatenate([first + np.array([0, 1, 2]), first + np.array([0, 2, 3])]).astype(np.int32)
    return Mesh(place.at(sides), triangles)
