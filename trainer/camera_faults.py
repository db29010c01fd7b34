"""What cameras and calls do to a picture: light, tint, grey, blur, few pixels, noise, JPEG. It knows no heads."""

from __future__ import annotations

import cv2
import numpy as np

from trainer.clutter import Picture


def spoil(rng: np.random.Generator, image: Picture) -> Picture:
    """What cameras and calls do: light, tint, grey, blur, few pixels, noise, JPEG."""
    height, width = image.shape[:2]
    if rng.random() < 0.4:
        share = rng.uniform(0.5, 0.9)
        small = cv2.resize(image, (int(width * share), int(height * share)), interpolation=cv2.INTER_AREA)
        image = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    if rng.random() < 0.15:
        length = int(rng.integers(2, 5))
        kernel = np.zeros((length, length), np.float32)
        cv2.line(kernel, (0, int(rng.integers(length))), (length - 1, int(rng.integers(length))), 1.0, 1)
        image = cv2.filter2D(image, -1, kernel / kernel.sum()).astype(np.uint8)
    levels = np.arange(256, dtype=np.float32) / 255
    gamma, gain, lift = np.exp(rng.normal(0, 0.25)), rng.uniform(0.7, 1.25), rng.normal(0, 0.02)
    tint = 1 + rng.normal(0, 0.08, 3)
    curve = np.clip((levels[:, None] ** gamma * gain * tint + lift) * 255, 0, 255).astype(np.uint8)
    image = cv2.LUT(image, curve.reshape(256, 1, 3)).astype(np.uint8)
    if rng.random() < 0.2:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR).astype(np.uint8)
    if rng.random() < 0.4:
        noise = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(rng.uniform(1, 8))
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 95))])[1]
        image = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return image
