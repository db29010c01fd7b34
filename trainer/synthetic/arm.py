"""The body's own arms, bent so that a hand is where it is wanted: two bones to a wrist, then the hand turned.

It moves vertices of a posed body and knows no things, faces or light.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.synthetic.angles import Matrix, Vector
from trainer.synthetic.mesh import BODY_VERTICES, arm_triangles
from trainer.synthetic.people import Body, anny_model
from trainer.synthetic.shapes import Mesh

SIDES = {"L": 1.0, "R": -1.0}
"""The student's left arm lies towards +x."""

_SLACK_M = 0.05
"""How far a shoulder gives when an arm stretches."""


@dataclass(frozen=True, slots=True)
class Limb:
    """One arm of the mesh, the same for everybody."""

    vertices: NDArray[np.int64]
    """(N,) of the body, sleeves of the helper shape included."""
    weights: NDArray[np.float64]
    """(N, 3) how much of each follows upper arm, forearm and hand."""
    skin: NDArray[np.int64]
    """(T, 3) triangles of skin that the passes over the body leave out, over the body's vertices."""
    sleeve: NDArray[np.int64]
    """(T, 3) the same for the sleeve."""
    sleeve_vertices: NDArray[np.int64]
    """(M,) all vertices of the sleeve below the elbow."""


@dataclass(frozen=True, slots=True)
class Grip:
    """A hand in the world: where the wrist is, where the fingers point, where the palm faces (unit vectors)."""

    wrist: Vector
    fingers: Vector
    palm: Vector

    def point(self, along_m: float, palm_m: float) -> Vector:
        """A point so far towards the finger tips and out of the palm."""
        place: Vector = self.wrist + self.fingers * along_m + self.palm * palm_m
        return place


def grip(wrist: Vector, fingers: Vector, palm: Vector) -> Grip:
    """A grip with its two directions made square and of unit length; the fingers win."""
    fingers = fingers / np.linalg.norm(fingers)
    palm = palm - fingers * float(palm @ fingers)
    return Grip(wrist, fingers, palm / np.linalg.norm(palm))


def reach_of(body: Body, side: str, wrist: Vector) -> float:
    """How much of the arm's length the way to a wrist takes; above 1 it cannot be reached."""
    shoulder, elbow, old, _, _, _ = _joints(body, side)
    length = np.linalg.norm(elbow - shoulder) + np.linalg.norm(old - elbow)
    return float((np.linalg.norm(wrist - shoulder) - _SLACK_M) / length)


def move_arm(body: Body, side: str, hold: Grip, elbow_hint: Vector) -> bool:
    """Move an arm ("L" or "R") of the body in place so that its hand is as `hold` says; False if out of reach.

    The elbow bends towards `elbow_hint`, a direction in the world.
    """
    shoulder, elbow, wrist, index, middle, little = _joints(body, side)
    upper, fore = float(np.linalg.norm(elbow - shoulder)), float(np.linalg.norm(wrist - elbow))
    way = hold.wrist - shoulder
    distance = float(np.linalg.norm(way))
    if distance > upper + fore + _SLACK_M or distance < 0.3 * upper:
        return False
    along = way / distance
    start = hold.wrist - along * min(distance, 0.995 * (upper + fore))
    distance = float(np.linalg.norm(hold.wrist - start))
    foot = float(np.clip((distance**2 + upper**2 - fore**2) / (2 * distance), -upper, upper))
    hint = elbow_hint - along * float(elbow_hint @ along)
    hint = hint / (np.linalg.norm(hint) + 1e-9)
    new_elbow = start + along * foot + hint * np.sqrt(max(0.0, upper**2 - foot**2))
    old_plane, new_plane = (
        np.cross(elbow - shoulder, wrist - elbow),
        np.cross(new_elbow - start, hold.wrist - new_elbow),
    )
    palm = np.cross(middle - wrist, index - little) * SIDES[side]
    moves = (
        (_turn((elbow - shoulder, old_plane), (new_elbow - start, new_plane)), shoulder, start),
        (_turn((wrist - elbow, old_plane), (hold.wrist - new_elbow, new_plane)), elbow, new_elbow),
        (_turn((middle - wrist, palm), (hold.fingers, hold.palm)), wrist, hold.wrist),
    )
    limb = limbs()[side]
    points = body.vertices[limb.vertices]
    shift = np.zeros_like(points)
    for k, (turn, old, new) in enumerate(moves):
        shift += limb.weights[:, k, None] * ((points - old) @ turn.T + new - points)
    body.vertices[limb.vertices] = points + shift
    return True


def bare_forearm(body: Body, side: str) -> None:
    """Short sleeves: what covers the forearm is drawn in under the skin."""
    chosen = limbs()[side].sleeve_vertices
    points = body.vertices[chosen]
    middle = points.mean(0)
    axis = np.linalg.svd(points - middle, full_matrices=False)[2][0]
    body.vertices[chosen] = middle + ((points - middle) @ axis)[:, None] * axis


def arm_meshes(body: Body, side: str) -> tuple[Mesh, Mesh]:
    """Skin and sleeve of the part of an arm that the passes over the body do not draw."""
    limb = limbs()[side]
    return _part(body, limb.skin, 0.0), _part(body, limb.sleeve, 0.003)


@cache
def limbs() -> dict[str, Limb]:
    """Both arms, read once from anny's skinning weights."""
    model = anny_model()
    table = _segment_table(model)
    index = model.vertex_bone_indices.numpy()
    share = model.vertex_bone_weights.numpy().astype(np.float64)
    found = {}
    for side, sign in SIDES.items():
        segments = np.stack([(share * (table[side] == k)[index]).sum(1) for k in (1, 2, 3)], 1)
        vertices = np.flatnonzero(segments.sum(1) > 1e-4)
        skin, sleeve = arm_triangles(sign)
        below_elbow = np.flatnonzero(segments[:, 1] + segments[:, 2] > 0.4)
        found[side] = Limb(vertices, segments[vertices], skin, sleeve, below_elbow[below_elbow >= BODY_VERTICES])
    return found


def _segment_table(model: Any) -> dict[str, NDArray[np.int64]]:
    """For each side and bone: 1 upper arm, 2 forearm, 3 hand, 0 anything else."""
    kinds = (("upperarm", 1), ("lowerarm", 2), ("wrist", 3), ("metacarpal", 3), ("finger", 3))
    return {
        side: np.array(
            [
                next((k for name, k in kinds if label.startswith(name)), 0) if label.endswith(f".{side}") else 0
                for label in model.bone_labels
            ]
        )
        for side in SIDES
    }


def _joints(body: Body, side: str) -> tuple[Vector, ...]:
    """Shoulder, elbow, wrist, and the first joints of index, middle and little finger."""
    names = ("upperarm01", "lowerarm01", "wrist", "finger2-1", "finger3-1", "finger5-1")
    return tuple(body.joints[f"{name}.{side}"] for name in names)


def _turn(old: tuple[Vector, Vector], new: tuple[Vector, Vector]) -> Matrix:
    """The rotation that takes one pair of directions to another."""
    return _frame(*new) @ _frame(*old).T


def _frame(first: Vector, second: Vector) -> Matrix:
    x = first / (np.linalg.norm(first) + 1e-12)
    z = second - x * float(second @ x)
    z = z / (np.linalg.norm(z) + 1e-12)
    return np.stack([x, np.cross(z, x), z], 1)


def _part(body: Body, triangles: NDArray[np.int64], push_m: float) -> Mesh:
    used, indices = np.unique(triangles, return_inverse=True)
    mesh = Mesh(body.vertices[used], indices.reshape(-1, 3).astype(np.int32))
    return Mesh(mesh.points + mesh.normals() * push_m, mesh.triangles) if push_m else mesh
