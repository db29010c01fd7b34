"""Pictures without heads: rooms, textures, flat cards, skin-coloured things; what the head finder must keep quiet on.

Made by rule from a seed. It knows no student and no network.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""(height, width, 3) blue-green-red."""

_SKIN_BGR = np.array([[150, 180, 225], [120, 150, 205], [90, 120, 180], [60, 85, 140], [40, 55, 95], [25, 35, 60]])


def draw_clutter(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    """One picture of anything but a head; size is (width, height) px."""
    kind = rng.choice(["leaves", "cloud", "wall", "card", "shelf"], p=[0.3, 0.2, 0.25, 0.1, 0.15])
    picture = {"leaves": _leaves, "cloud": _cloud, "wall": _wall, "card": _card, "shelf": _shelf}[str(kind)](rng, size)
    if kind != "card":
        for _ in range(int(rng.integers(0, 5))):
            _thing(rng, picture)
    if rng.random() < 0.5:
        picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.4, 3.0))).astype(np.uint8)
    return picture


def draw_initials(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    """A tile with the camera off: a plain ground, a disc or square of another colour, letters; or the name alone."""
    width, height = size
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = rng.integers(15, 70) + rng.integers(-8, 9, 3)
    middle = (width // 2, height // 2)
    ink = (int(rng.integers(200, 256)),) * 3
    side = int(height * rng.uniform(0.3, 0.6))
    if rng.random() < 0.75:
        colour = [int(v) for v in rng.integers(30, 220, 3)]
        if rng.random() < 0.25:
            colour = [int(v) for v in _skin(rng)]
        if rng.random() < 0.7:
            cv2.circle(picture, middle, side // 2, colour, -1, cv2.LINE_AA)
        else:
            corner = (middle[0] - side // 2, middle[1] - side // 2)
            cv2.rectangle(picture, corner, (corner[0] + side, corner[1] + side), colour, -1)
        letters = _letters(rng, int(rng.integers(1, 3)))
        put_text(picture, letters, middle, side * 0.45, ink)
    else:
        put_text(picture, _letters(rng, int(rng.integers(4, 14))), middle, height * 0.14, ink)
    return picture


def put_text(picture: Picture, text: str, middle: tuple[int, int], tall_px: float, colour: tuple[int, ...]) -> None:
    """Letters centred on a point, in place."""
    scale = tall_px / 22.0
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    origin = (round(middle[0] - width / 2), round(middle[1] + height / 2))
    cv2.putText(picture, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, max(1, round(scale * 2)), cv2.LINE_AA)


def _letters(rng: np.random.Generator, count: int) -> str:
    return "".join(chr(int(c)) for c in rng.integers(65, 91, count))


def _colour(rng: np.random.Generator) -> list[int]:
    """Any colour, mostly pale, wood or skin among them."""
    if rng.random() < 0.2:
        return [int(v) for v in _skin(rng)]
    hsv = np.uint8([[[rng.integers(0, 180), 255 * rng.random() ** 2, 255 * rng.random() ** 0.7]]])  # type: ignore[arg-type]
    return [int(v) for v in cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0]]


def _skin(rng: np.random.Generator) -> NDArray[np.float64]:
    tone = _SKIN_BGR[int(rng.integers(len(_SKIN_BGR)))] * rng.uniform(0.6, 1.25)
    skin: NDArray[np.float64] = np.clip(tone + rng.normal(0, 8, 3), 0, 255)
    return skin


def _leaves(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    """Things over things, sizes as in nature: many small, few large."""
    width, height = size
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = _colour(rng)
    for _ in range(int(rng.integers(20, 140))):
        radius = height * 0.5 * min(1.0, 0.04 / max(0.04, rng.random()) + 0.02)
        _blob(rng, picture, (rng.random() * width, rng.random() * height), radius)
    return picture


def _blob(rng: np.random.Generator, picture: Picture, at: tuple[float, float], radius: float) -> None:
    colour, middle = _colour(rng), (int(at[0]), int(at[1]))
    kind = rng.random()
    if kind < 0.4:
        axes = (max(1, int(radius * rng.uniform(0.4, 1.0))), max(1, int(radius * rng.uniform(0.4, 1.0))))
        cv2.ellipse(picture, middle, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    elif kind < 0.8:
        box = cv2.boxPoints((at, (radius * rng.uniform(0.5, 3), radius * rng.uniform(0.5, 2)), rng.normal(0, 20)))
        cv2.fillPoly(picture, [box.astype(np.int32)], colour, cv2.LINE_AA)
    else:
        points = np.array(at) + rng.normal(0, radius, (int(rng.integers(3, 7)), 2))
        cv2.fillPoly(picture, [points.astype(np.int32)], colour, cv2.LINE_AA)


def _cloud(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    """Noise of all scales between two or three colours."""
    width, height = size
    layer = np.zeros((height, width, 3), np.float32)
    for k in range(1, 7):
        grain = rng.normal(0, 1, (2**k + 1, 2**k + 1, 3 if rng.random() < 0.3 else 1)).astype(np.float32)
        layer += cv2.resize(grain, size, interpolation=cv2.INTER_CUBIC).reshape(height, width, -1) * 0.65**k
    share = 1 / (1 + np.exp(-layer * rng.uniform(1, 4)))
    picture = np.array(_colour(rng), np.float64) * share + np.array(_colour(rng)) * (1 - share)
    clouds: Picture = np.clip(picture, 0, 255).astype(np.uint8)
    return clouds


def _wall(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    """A wall with light falling off, perhaps a corner, a door, a window."""
    width, height = size
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    light = 1 + rng.uniform(-0.4, 0.4) * (across / width - 0.5) + rng.uniform(-0.4, 0.4) * (down / height - 0.5)
    picture: Picture = np.clip(np.array(_colour(rng)) * light[..., None], 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(0, 4))):
        x, y = int(rng.uniform(-0.2, 1) * width), int(rng.uniform(-0.2, 1) * height)
        far = (x + int(rng.uniform(0.05, 0.6) * width), y + int(rng.uniform(0.1, 1.0) * height))
        cv2.rectangle(picture, (x, y), far, _colour(rng), -1 if rng.random() < 0.7 else int(rng.integers(1, 5)))
    return picture


def _shelf(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    """Rows of upright things."""
    width, height = size
    picture = _wall(rng, size)
    y = int(rng.uniform(-0.2, 0.2) * height)
    while y < height:
        tall = int(height * rng.uniform(0.1, 0.35)) + 2
        x = 0
        while x < width:
            wide = int(width * rng.uniform(0.01, 0.08)) + 1
            top = y + int(tall * rng.uniform(0, 0.4))
            if rng.random() < 0.85:
                cv2.rectangle(picture, (x, top), (x + wide, y + tall), _colour(rng), -1)
            x += wide
        cv2.rectangle(picture, (0, y + tall), (width, y + tall + max(1, height // 40)), _colour(rng), -1)
        y += tall + max(1, height // 40)
    return picture


def _card(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    return draw_initials(rng, size)


def _thing(rng: np.random.Generator, picture: Picture) -> None:
    """A shaded ball or bottle, of skin's colour half the time, perhaps with a dark cap: no eyes, no head."""
    height, width = picture.shape[:2]
    tall = height * rng.uniform(0.08, 0.6)
    wide = tall * rng.uniform(0.2, 1.6)
    x, y = rng.uniform(-0.1, 1.1) * width, rng.uniform(-0.1, 1.1) * height
    colour = _skin(rng) if rng.random() < 0.4 else np.array(_colour(rng), np.float64)
    steps = 5
    for k in range(steps):
        share = 1 - k / steps
        lit = np.clip(colour * (0.6 + 0.5 * k / steps), 0, 255).tolist()
        middle = (int(x + k * wide * 0.03), int(y - k * tall * 0.03))
        axes = (max(1, int(wide / 2 * share)), max(1, int(tall / 2 * share)))
        if rng.random() < 0.7:
            cv2.ellipse(picture, middle, axes, 0, 0, 360, lit, -1, cv2.LINE_AA)
        else:
            far = (middle[0] + axes[0], middle[1] + axes[1])
            cv2.rectangle(picture, (middle[0] - axes[0], middle[1] - axes[1]), far, lit, -1)
