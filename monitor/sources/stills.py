"""A folder of pictures as a recording: one sample each, in the natural order of their names."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from monitor.errors import SourceError
from monitor.schema import Frame
from monitor.sources.picture_file import read_picture
from monitor.sources.sampling import index_at
from monitor.sources.source import Closing, SourceCounts

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


class Stills(Closing):
    """Picture k has index k and media time k / rate; one that cannot be read leaves a gap and a fault."""

    live = False
    started_at: datetime | None = None

    def __init__(self, folder: Path, *, uri: str | None = None, rate: float = 1.0, start_s: float = 0.0) -> None:
        """List the pictures.

        Raises:
            SourceError: no picture in the folder.
        """
        self.uri = uri if uri is not None else str(folder)
        self.counts = SourceCounts()
        self.faults: list[str] = []
        self._rate = rate
        self._start_s = start_s
        self._closed = False
        self._paths = sorted((path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES), key=natural_key)
        if not self._paths:
            raise SourceError(
                f"{folder}: no picture in this folder. Expected files ending in {', '.join(sorted(SUFFIXES))}, found "
                f"{sum(1 for _ in folder.iterdir())} other entries; give a folder with pictures, or one recording."
            )
        self.duration_s: float | None = len(self._paths) / rate

    def frames(self) -> Iterator[Frame]:
        """The pictures that can be read, in order."""
        first = index_at(self._start_s, self._rate)
        for index, path in enumerate(self._paths[first:], start=first):
            pts_s = index / self._rate
            if pts_s < self._start_s or self._closed:
                continue
            image = read_picture(path)
            if image is None:
                self.faults.append(f"{path.name}: not a readable picture, passed over")
                continue
            self.counts.captured += 1
            self.counts.delivered += 1
            yield Frame(index, pts_s, image, None, time.monotonic_ns())

    def close(self) -> None:
        """No more pictures after the current one."""
        self._closed = True


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Sorts frame_2 before frame_10, whatever the case."""
    parts = re.split(r"([0-9]+)", path.name.lower())
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts]
