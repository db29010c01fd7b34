"""What video calls put behind a student: a picture or the blurred room, with a mask that is cut badly.

Works on finished pictures and their alpha; it knows no scene.
"""

from __future__ import annotations

import cv2
import numpy as np

from trainer.synthetic.recipe import Recipe
from trainer.synthetic.room import Picture

KINDS = ("room", "virtual", "portrait")


def draw_kind(rng: np.random.Generator, recipe: Recipe) -> str:
    """The real room, a virtual background, or the room blurred behind the student."""
    draw = rng.random()
    if draw < recipe.virtual_background:
        return "virtual"
    return "portrait" if draw < recipe.virtual_background + recipe.portrait_blur else "room"


def put_behind(rng: np.random.Generator, kind: str, drawn: Picture, room: Picture, other: Picture) -> Picture:
    """The student (height, width, 4; premultiplied) before the room, then cut out of it again and put before `other`.

    The mask of a video call is coarse and wrong at its rim: a fringe of the room stays, or hair is cut off.
    """
    alpha = drawn[..., 3:]
    real = drawn[..., :3] + room * (1 - alpha)
    if kind == "room":
        return np.asarray(np.clip(real, 0, 1), dtype=np.float32)
    side = max(real.shape[:2])
    if kind == "portrait":
        other = np.asarray(cv2.GaussianBlur(real, (0, 0), rng.uniform(0.03, 0.08) * side), dtype=np.float32)
    mask = _bad_mask(rng, alpha[..., 0])[..., None]
    return np.asarray(np.clip(real * mask + other * (1 - mask), 0, 1), dtype=np.float32)


def _bad_mask(rng: np.random.Generator, alpha: Picture) -> Picture:
    """The student's outline as a small, fast network sees it: low resolution, lumps, too wide or too narrow."""
    height, width = alpha.shape
    coarse = int(rng.integers(28, 72))
    small = np.asarray(cv2.resize(alpha, (coarse, coarse), interpolation=cv2.INTER_AREA), dtype=np.float32)
    soft = cv2.GaussianBlur(small, (0, 0), rng.uniform(0.5, 1.8))
    lumps = cv2.resize(rng.normal(0.0, 1.0, (9, 9)).astype(np.float32), (coarse, coarse), interpolation=cv2.INTER_CUBIC)
    level = 0.5 + rng.uniform(-0.32, 0.2) + lumps * np.float32(rng.uniform(0.0, 0.16))
    level = np.clip(level, 0.1, 0.9)
    hard = np.clip((soft - level) * rng.uniform(3.0, 9.0) + 0.5, 0, 1).astype(np.float32)
    mask = np.asarray(cv2.resize(hard, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    return np.clip(mask, 0, 1)
