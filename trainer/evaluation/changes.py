"""Small changes to a picture that leave its label as it was: what a webcam, a codec or a lamp does.

Pure: pictures in, pictures out, the same for the same seed. It does not know what is asked about them.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.uint8]
"""(N, S, S, 3), red-green-blue."""


def brighter(images_rgb: Pictures, seed: int = 0) -> Pictures:
    """A quarter more light."""
    return _bytes(images_rgb * np.float32(1.25))


def darker(images_rgb: Pictures, seed: int = 0) -> Pictures:
    """A third less light."""
    return _bytes(images_rgb * np.float32(0.67))


def grey(images_rgb: Pictures, seed: int = 0) -> Pictures:
    """No colour."""
    light = _bytes(images_rgb.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32))
    return np.repeat(light[..., None], 3, axis=3)


def shifted(images_rgb: Pictures, seed: int = 0) -> Pictures:
    """Moved by up to a twentieth of its side, each picture its own way; edges repeat."""
    side = images_rgb.shape[1]
    most = max(1, round(side / 20))
    moves = np.random.default_rng(seed).integers(-most, most + 1, (len(images_rgb), 2))
    padded = np.pad(images_rgb, ((0, 0), (most, most), (most, most), (0, 0)), mode="edge")
    return np.stack(
        [one[most + y : most + y + side, most + x : most + x + side] for one, (y, x) in zip(padded, moves, strict=True)]
    )


def closer(images_rgb: Pictures, seed: int = 0) -> Pictures:
    """The middle nine tenths, enlarged."""
    side = images_rgb.shape[1]
    edge = max(1, round(side * 0.05))
    return _each(images_rgb, lambda one: cv2.resize(one[edge:-edge, edge:-edge], (side, side)))


def blurred(images_rgb: Pictures, seed: int = 0) -> Pictures:
    """Slightly out of focus."""
    sigma = max(0.6, images_rgb.shape[1] / 128)
    return _each(images_rgb, lambda one: cv2.GaussianBlur(one, (0, 0), sigma))


def noisy(images_rgb: Pictures, seed: int = 0) -> Pictures:
    """Sensor noise of 8 of 255."""
    noise = np.random.default_rng(seed).normal(0.0, 8.0, images_rgb.shape).astype(np.float32)
    return _bytes(images_rgb + noise)


def compressed(images_rgb: Pictures, seed: int = 0) -> Pictures:
    """JPEG of quality 40, as a poor connection leaves it."""
    return _each(images_rgb, _through_jpeg)


CHANGES: dict[str, Callable[[Pictures, int], Pictures]] = {
    "brighter": brighter,
    "darker": darker,
    "grey": grey,
    "shifted": shifted,
    "closer": closer,
    "blurred": blurred,
    "noisy": noisy,
    "compressed": compressed,
}
"""All of them, by name."""


def _bytes(values: NDArray[np.floating]) -> Pictures:
    whole: Pictures = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return whole


def _each(images_rgb: Pictures, change: Callable[[Pictures], Pictures]) -> Pictures:
    changed: list[Pictures] = [change(one) for one in images_rgb]
    return np.stack(changed) if changed else images_rgb.copy()


def _through_jpeg(image_rgb: Pictures) -> Pictures:
    done, data = cv2.imencode(".jpg", image_rgb[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 40])
    if not done:
        raise ValueError(f"a picture of shape {image_rgb.shape} does not go into a JPEG")
    read_bgr = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.ascontiguousarray(read_bgr[:, :, ::-1])
