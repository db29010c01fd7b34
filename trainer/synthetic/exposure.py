"""What a webcam does to light on its own: it meters the face and turns its gain up or down, noise included."""

from __future__ import annotations

import numpy as np

from trainer.synthetic.room import Picture

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_MOST_GAIN = 14.0


def face_luma(picture: Picture, box: tuple[float, float, float, float]) -> float:
    """Mean luma, 0 to 1, of the middle of a face; the box is x1, y1, x2, y2 in shares of the picture."""
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = box
    inset_x, inset_y = 0.2 * (x2 - x1), 0.2 * (y2 - y1)
    columns = slice(max(0, int((x1 + inset_x) * width)), max(1, int((x2 - inset_x) * width)))
    rows = slice(max(0, int((y1 + inset_y) * height)), max(1, int((y2 - inset_y) * height)))
    part = picture[rows, columns]
    return float((part @ _LUMA).mean()) if part.size else float((picture @ _LUMA).mean())


def expose(rng: np.random.Generator, picture: Picture, box: tuple[float, float, float, float]) -> tuple[Picture, float]:
    """The picture with the face's mean luma brought near a plausible one, and the gain in linear light."""
    luma = max(face_luma(picture, box), 0.01)
    least, most = rng.uniform(0.27, 0.42), rng.uniform(0.6, 0.75)
    gain = float(np.clip((np.clip(luma, least, most) / luma) ** 2.2, 0.3, _MOST_GAIN))
    if abs(gain - 1) < 0.02:
        return picture, 1.0
    light = np.clip(picture, 0, 1) ** np.float32(2.2)
    if gain > 1:
        light = light + rng.standard_normal(light.shape, dtype=np.float32) * np.float32(rng.uniform(0.0, 0.0016))
    light = np.maximum(light * np.float32(gain), 0)
    knee = np.float32(0.7)
    light = np.where(light > knee, knee + (1 - knee) * (1 - np.exp(-(light - knee) / (1 - knee))), light)
    return np.asarray(light ** np.float32(1 / 2.2), dtype=np.float32), gain
