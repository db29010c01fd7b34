"""Small meshes made by rule: tubes, balls, plates and lenses. It knows nothing of what they stand for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""(N, 3) metres."""

Triangles = NDArray[np.int32]
"""(M, 3) indices of points."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """Points and the triangles over them."""

    points: Points
    triangles: Triangles

    def normals(self) -> Points:
        """Unit normals (N, 3), by the area of the triangles around each point."""
        corners = self.points[self.triangles]
        flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals = np.zeros_like(self.points)
        for k in range(3):
            np.add.at(normals, self.triangles[:, k], flat)
        unit: Points = normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12)
        return unit


def tube(path: Points, radius: float, *, closed: bool, sides: int = 6) -> Mesh:
    """A round tube along a path (N, 3)."""
    count = len(path)
    before = np.roll(path, 1, axis=0)
    after = np.roll(path, -1, axis=0)
    if not closed:
        before[0], after[-1] = path[0], path[-1]
    along = after - before
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-12
    across = np.cross(along, np.array([0.3, 0.5, 0.8]))
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    up = np.cross(along, across)
    turn = 2 * math.pi * np.arange(sides) / sides
    ring = np.cos(turn)[None, :, None] * across[:, None] + np.sin(turn)[None, :, None] * up[:, None]
    return Mesh((path[:, None] + radius * ring).reshape(-1, 3), _strips(count, sides, wrap=closed))


def ball(centre: Points, radius: float | tuple[float, float, float], sides: int = 12) -> Mesh:
    """A sphere, or an ellipsoid with one radius for each axis."""
    down, around = np.meshgrid(
        math.pi * np.arange(sides + 1) / sides, 2 * math.pi * np.arange(sides) / sides, indexing="ij"
    )
    unit = np.stack([np.sin(down) * np.cos(around), np.sin(down) * np.sin(around), np.cos(down)], -1)
    return Mesh((centre + np.asarray(radius) * unit).reshape(-1, 3), _strips(sides + 1, sides, wrap=False))


def plate(corners: Points) -> Mesh:
    """A flat quadrilateral from four corners in order."""
    return Mesh(np.asarray(corners, dtype=np.float64), np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32))


def disc(rim: Points) -> Mesh:
    """A fan over a closed rim (N, 3): a lens."""
    count = len(rim)
    points = np.vstack([rim.mean(0, keepdims=True), rim])
    step = np.arange(count)
    triangles = np.stack([np.zeros(count, dtype=np.int64), 1 + step, 1 + (step + 1) % count], 1)
    return Mesh(points, triangles.astype(np.int32))


def _strips(rows: int, columns: int, *, wrap: bool) -> Triangles:
    """Triangles of a grid of points whose columns close; its rows close too where `wrap`."""
    row, column = np.meshgrid(np.arange(rows if wrap else rows - 1), np.arange(columns), indexing="ij")
    below, beside = (row + 1) % rows, (column + 1) % columns
    a, b = row * columns + column, below * columns + column
    c, d = below * columns + beside, row * columns + beside
    return np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)]).astype(
        np.int32
    )
