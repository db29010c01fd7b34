"""Writes real recordings, whole and broken, for the tests: each frame carries its own number.

It builds on PyAV alone and knows nothing of the code under test.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

_BITS = 10
"""A frame's number is drawn as so many black or white bars."""


@dataclass(frozen=True, slots=True)
class Film:
    """What to write."""

    times_s: Sequence[float]
    """When each frame is shown."""
    codec: str = "libx264"
    size: tuple[int, int] = (160, 96)
    """Width, height."""
    pixels: str = "yuv420p"
    key_every: int = 12
    """Frames from one key frame to the next."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Of the encoder."""
    container_options: Mapping[str, str] = field(default_factory=dict)
    tick_s: Fraction = Fraction(1, 12800)
    rotation: int = 0
    """Degrees that a player turns the picture counterclockwise."""
    mirrored: bool = False
    pixel_aspect: Fraction | None = None
    """Width of a pixel over its height."""
    sound: str | None = None
    """Codec of a sine tone beside the picture, as long as the picture."""
    created: str | None = None
    """creation_time of the container."""


def steady(count: int, fps: float = 25.0, start_s: float = 0.0) -> list[float]:
    """Times of a recording with a constant frame rate."""
    return [start_s + i / fps for i in range(count)]


def numbered_picture(number: int, size: tuple[int, int]) -> Image:
    """Bars that spell the number in binary over the upper half, grey that grows with it below; BGR."""
    width, height = size
    image = np.full((height, width, 3), 60 + number % 128, np.uint8)
    for bit in range(_BITS):
        left, right = bit * width // _BITS, (bit + 1) * width // _BITS
        image[: height // 2, left:right] = 235 if number >> bit & 1 else 20
    return image


def number_in(image_bgr: Image) -> int:
    """The number that numbered_picture drew, after any compression."""
    height, width = image_bgr.shape[:2]
    grey = image_bgr[height // 8 : height * 3 // 8].mean(axis=(0, 2))
    centers = [(2 * bit + 1) * width // (2 * _BITS) for bit in range(_BITS)]
    return sum(1 << bit for bit, center in enumerate(centers) if grey[center] > 128)


def write_recording(path: Path, film: Film) -> Path:
    """Encode and mux a film; the suffix of the path chooses the container."""
    with av.open(str(path), "w", options=dict(film.container_options)) as container:
        if film.created is not None:
            container.metadata["creation_time"] = film.created
        # No fixed rate is true of a film with variable times; the encoder only sizes its buffers by it.
        stream: Any = container.add_stream(film.codec, rate=25, options=dict(film.options))
        stream.width, stream.height = film.size
        stream.pix_fmt = film.pixels
        stream.codec_context.time_base = film.tick_s
        stream.time_base = film.tick_s
        stream.codec_context.gop_size = film.key_every
        stream.codec_context.thread_count = 1
        if film.pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = film.pixel_aspect
        if film.rotation or film.mirrored:
            stream.set_display_rotation(film.rotation, film.mirrored)
        sound: Any = container.add_stream(film.sound, rate=48000) if film.sound else None
        for number, time_s in enumerate(film.times_s):
            frame = av.VideoFrame.from_ndarray(numbered_picture(number, film.size), format="bgr24")
            frame.pts = round(time_s / film.tick_s)
            frame.time_base = film.tick_s
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            _write_tone(container, sound, max(film.times_s))
    return path


def write_sound_only(path: Path, seconds: float = 1.0) -> Path:
    """A recording without a picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        _write_tone(container, stream, seconds)
    return path


def cut(path: Path, out: Path, keep: float) -> Path:
    """The first part of a file, as an interrupted download leaves it."""
    data = path.read_bytes()
    out.write_bytes(data[: int(len(data) * keep)])
    return out


def damage(path: Path, out: Path, start: float, end: float) -> Path:
    """A file with noise written over a part of it."""
    shutil.copyfile(path, out)
    size = path.stat().st_size
    noise = np.random.default_rng(7).integers(0, 256, int((end - start) * size), np.uint8)
    with out.open("r+b") as file:
        file.seek(int(start * size))
        file.write(noise.tobytes())
    return out


def _write_tone(container: Any, stream: Any, seconds: float) -> None:
    layout, rate = "stereo", 48000
    for start in range(0, int(seconds * rate), 1024):
        wave = np.sin(np.arange(start, start + 1024) * 440 * 2 * np.pi / rate).astype(np.float32) * 0.2
        frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
