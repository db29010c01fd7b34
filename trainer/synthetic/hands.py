"""A hand at the face: on the mouth, the cheek, over the eyes, under the chin. The hand is the body's own, moved."""

from __future__ import annotations

import numpy as np

from trainer.synthetic.angles import Vector
from trainer.synthetic.mesh import topology
from trainer.synthetic.people import Body
from trainer.synthetic.shapes import Mesh

PLACES = ("mouth", "cheek", "chin", "eyes")
_SHARES = (0.27, 0.33, 0.33, 0.07)


def draw_place(rng: np.random.Generator) -> str:
    """Where a hand is held."""
    return str(rng.choice(PLACES, p=_SHARES))


def hand_at_face(rng: np.random.Generator, body: Body, place: str) -> Mesh:
    """The left hand as a mesh in the head frame of `wardrobe`, for eyes 62 mm apart.

    It is turned at random within what a wrist from below could reach: fingers up, aside or curled.
    """
    mesh = topology()
    wrist = body.left_wrist
    points = (body.vertices[mesh.hand_vertices] - wrist[:3, 3]) @ wrist[:3, :3]
    points = points - points.mean(0) * 0.8
    points = points @ _turn(rng).T
    side = float(rng.choice([-1.0, 1.0]))
    centre = {
        "mouth": np.array([rng.normal(0, 0.01), -0.06, -0.062]),
        "cheek": np.array([side * 0.075, -0.02, -0.055]),
        "chin": np.array([rng.normal(0, 0.02), -0.035, -0.12]),
        "eyes": np.array([rng.normal(0, 0.02), -0.06, 0.0]),
    }[place]
    if place in ("mouth", "eyes"):
        # In front of the face, not through it.
        points[:, 1] -= max(0.0, float(points[:, 1].max()) - 0.025)
    return Mesh(points + centre, mesh.hand.triangles)


def _turn(rng: np.random.Generator) -> Vector:
    """A random rotation: the Q of a random matrix, made proper."""
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    if np.linalg.det(turn) < 0:
        turn[:, 0] *= -1
    return np.asarray(turn)
