"""What a cheap camera and a video call do to a picture: blur, noise, gamma, tint, scaling, JPEG."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.synthetic.room import Picture


@dataclass(frozen=True, slots=True)
class Webcam:
    """One camera with faults that stay the same from picture to picture, but for the noise."""

    gamma: float
    gain: float
    tint: tuple[float, float, float]
    noise: float
    sharpness: float
    """Share of the size at which it really sees."""
    quality: int
    """Of the JPEG, 1 to 100."""

    def shoot(self, rng: np.random.Generator, picture: Picture) -> NDArray[np.uint8]:
        """The picture (height, width, 3) as this camera delivers it, uint8 RGB, the same size."""
        height, width = picture.shape[:2]
        if self.sharpness < 1:
            small = (max(8, int(width * self.sharpness)), max(8, int(height * self.sharpness)))
            picture = np.asarray(cv2.resize(picture, small, interpolation=cv2.INTER_AREA), dtype=np.float32)
            picture = np.asarray(cv2.resize(picture, (width, height)), dtype=np.float32)
        picture = np.clip(picture, 0, 1) ** self.gamma * self.gain * np.array(self.tint, dtype=np.float32)
        picture = picture + rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(self.noise)
        return np.ascontiguousarray(_jpeg((np.clip(picture, 0, 1) * 255).astype(np.uint8), self.quality))


def draw_webcam(rng: np.random.Generator) -> Webcam:
    """An ordinary webcam in an ordinary call."""
    red, green, blue = (float(v) for v in 1 + rng.normal(0, 0.04, 3))
    return Webcam(
        gamma=float(rng.uniform(0.75, 1.2)),
        gain=float(rng.uniform(0.9, 1.15)),
        tint=(red, green, blue),
        noise=float(rng.choice([0.0, 0.005, 0.015])),
        sharpness=float(rng.uniform(0.55, 1.0)),
        quality=int(rng.integers(60, 95)),
    )


def photograph(
    rng: np.random.Generator,
    picture: Picture,
    side_px: int,
    strength: float = 1.0,
    gamma_range: tuple[float, float] = (0.7, 1.5),
) -> NDArray[np.uint8]:
    """The square picture as a webcam delivers it, (side, side, 3) uint8 RGB; strength 0 only scales it."""
    if rng.random() < 0.25 * strength:
        picture = _motion_blur(rng, picture)
    picture = _resize(picture, side_px, cv2.INTER_AREA)
    if rng.random() < 0.45 * strength:
        share = rng.uniform(0.3 if strength > 1 else 0.4, 0.9)
        small = _resize(picture, max(24, int(side_px * share)), cv2.INTER_AREA)
        picture = _resize(small, side_px, int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC])))
    gamma, gain, tint = rng.uniform(*gamma_range), rng.uniform(0.75, 1.2), 1 + rng.normal(0, 0.06, 3)
    noise = rng.choice([0.0, 0.01, 0.02, 0.05]) * strength
    if strength > 0:
        picture = (np.clip(picture, 0, 1) ** gamma * gain * tint).astype(np.float32)
        picture = picture + rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(noise)
    pixels = (np.clip(picture, 0, 1) * 255).astype(np.uint8)
    if rng.random() < 0.8 * strength:
        pixels = _jpeg(pixels, int(rng.integers(25, 95) / max(1.0, strength**0.5)))
    return np.ascontiguousarray(pixels)


def make_tiny(rng: np.random.Generator, picture: Picture) -> Picture:
    """The picture as if it had been 40 to 64 px large: a tile of a big gallery, or of a bad line."""
    side = picture.shape[0]
    small = _resize(picture, int(rng.integers(40, 65)), cv2.INTER_AREA)
    return _resize(
        small, side, int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST], p=[0.6, 0.3, 0.1]))
    )


def compress_video(rng: np.random.Generator, pixels_rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture (height, width, 3; both even) as the last of a few frames of H.264 with few bits."""
    height, width = pixels_rgb.shape[:2]
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = width, height, "yuv420p", Fraction(1, 15)
    crf = str(int(rng.integers(27, 42)))
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": crf, "threads": "1"}
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    shift = int(rng.integers(-2, 3))
    packets = []
    for moved in (np.roll(pixels_rgb, shift, axis=1), pixels_rgb):
        packets += encoder.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(moved), format="rgb24"))
    packets += encoder.encode(None)
    frames = [frame for packet in packets for frame in decoder.decode(packet)] + decoder.decode(None)
    return np.ascontiguousarray(frames[-1].to_ndarray(format="rgb24"))


def reach_past_tile(
    rng: np.random.Generator, pixels_rgb: NDArray[np.uint8], box: tuple[float, float, float, float]
) -> NDArray[np.uint8]:
    """The crop of a student who sits at a tile's edge, which may cut the head: the edge pixels are repeated.

    The box of the face is x1, y1, x2, y2 in shares of the picture; at most a quarter of it is lost.
    """
    side = len(pixels_rgb)
    quarters = int(rng.choice([0, 1, 2, 3], p=[0.4, 0.2, 0.2, 0.2]))  # above, and the other sides, turned to the top
    nearest = (box[1], 1 - box[2], 1 - box[3], box[0])[quarters]
    far = (box[3] - box[1], box[2] - box[0])[quarters % 2]
    edge = int(np.clip(rng.uniform(0.0, max(0.03, nearest + 0.25 * far)) * side, 1, 0.45 * side))
    turned = np.rot90(pixels_rgb, quarters).copy()
    turned[:edge] = turned[edge]
    return np.ascontiguousarray(np.rot90(turned, -quarters))


def _resize(picture: Picture, side_px: int, method: int) -> Picture:
    return np.asarray(cv2.resize(picture, (side_px, side_px), interpolation=method), dtype=np.float32)


def _motion_blur(rng: np.random.Generator, picture: Picture) -> Picture:
    length = int(rng.integers(3, 9))
    kernel = np.zeros((length, length), dtype=np.float32)
    cv2.line(kernel, (0, int(rng.integers(length))), (length - 1, int(rng.integers(length))), 1.0, 1)
    return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum()), dtype=np.float32)


def _jpeg(pixels_rgb: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    swapped = np.ascontiguousarray(pixels_rgb[..., ::-1])
    coded = cv2.imencode(".jpg", swapped, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), dtype=np.uint8)[..., ::-1]
