"""Reads the pixels of a corpus: picture files, and stills out of clips. Knows no labels and no people."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from monitor.schema import Image
from monitor.sources.picture_file import decode_picture
from trainer.corpora.record import Item, Reading

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
"""Of picture files, in the order in which they are looked for."""
CLIP_SUFFIXES = (".avi", ".mp4", ".mov", ".mkv")
STILL_OFFSET_S = 0.5
"""Stills are taken in the middle of each second: the first frames of a clip are often black."""


def still_times(duration_s: float) -> list[float]:
    """When stills are taken out of a clip: once a second, at least once; 9.97 s are ten stills."""
    count = math.floor(duration_s - STILL_OFFSET_S) + 1
    return [second + STILL_OFFSET_S for second in range(count)] if count > 0 else [0.0]


def clip_seconds(path: Path) -> float | str:
    """How long a clip is by its header, or why it cannot be read."""
    if not path.is_file():
        return "no such clip"
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                return "no picture in the clip"
            stream = container.streams.video[0]
            if stream.duration is not None and stream.time_base is not None:
                return float(stream.duration * stream.time_base)
            if container.duration is not None:
                return container.duration / 1_000_000
    except (av.error.FFmpegError, OSError):
        return "not a readable clip"
    return "a clip without a length"


def read_files(items: Sequence[Item]) -> Iterator[Reading]:
    """One picture file an item."""
    for place, item in enumerate(items):
        yield place, read_file(Path(item.source))


def read_file(path: Path) -> Image | str:
    """A picture file as 8 bit red-green-blue, upright by its EXIF; or why it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError:
        return "no such picture"
    return decode(data) if data else "an empty file"


def decode(data: bytes) -> Image | str:
    """The bytes of a picture file as 8 bit red-green-blue, as the monitor reads them; or why they cannot be read."""
    image = decode_picture(data)
    return "not a readable picture" if image is None else np.ascontiguousarray(image[:, :, ::-1])


def read_clips(items: Sequence[Item]) -> Iterator[Reading]:
    """Stills out of clips; each clip is decoded once, however many of its stills are asked for."""
    by_clip: dict[str, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        by_clip[item.source].append(place)
    for source, places in by_clip.items():
        places.sort(key=lambda place: items[place].at_s or 0.0)
        yield from zip(places, _stills(Path(source), [items[place].at_s or 0.0 for place in places]), strict=True)


def _stills(path: Path, times_s: Sequence[float]) -> list[Image | str]:
    """The first frame at or after each time (ascending); where the clip breaks off, why."""
    found: list[Image | str] = []
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            start_s = float((stream.start_time or 0) * (stream.time_base or 0))
            rate = stream.average_rate or Fraction(30)
            for number, frame in enumerate(container.decode(stream)):
                at_s = frame.time - start_s if frame.time is not None else float(number / rate)
                while len(found) < len(times_s) and at_s >= times_s[len(found)] - 1e-6:
                    found.append(np.ascontiguousarray(frame.to_ndarray(format="rgb24")))
                if len(found) == len(times_s):
                    return found
        why = "the clip ends earlier than its header says"
    except (av.error.FFmpegError, OSError, IndexError):
        why = "not a readable clip"
    return found + [why] * (len(times_s) - len(found))
