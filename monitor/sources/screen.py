"""A monitor, or a part of the screen, as a source: a picture is taken when one is asked for, so it is never old."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import mss
import numpy as np

from monitor.errors import SourceError
from monitor.schema import Frame, Image
from monitor.sources.sampling import index_at
from monitor.sources.source import SCREEN, Closing, SourceCounts

Region = dict[str, int]
"""left, top, width, height in pixels of the whole desktop, as mss has it."""

_MOST_FAULTS = 100


class Screen(Closing):
    """A monitor by number, or a region by its corner and size. Media time 0 is the moment it was opened.

    Args:
        uri: "screen" (the first monitor), "screen:2", or "screen:X,Y,WIDTH,HEIGHT" for the place of a window.
        rate: samples per second.

    Raises:
        SourceError: no such monitor, a region that cannot be meant, or a desktop that lets nobody look.
    """

    live = True
    duration_s: float | None = None

    def __init__(self, uri: str, *, rate: float = 1.0) -> None:
        self.uri = uri
        self.counts = SourceCounts()
        self.faults: list[str] = []
        self._rate = rate
        self._closed = threading.Event()
        with _grabber() as grabber:
            self._region = find_region(uri.removeprefix(SCREEN).removeprefix(":"), list(grabber.monitors))
            _grab(grabber, self._region)
        self.started_at: datetime | None = datetime.now(UTC)
        self._opened_ns = time.monotonic_ns()

    def frames(self) -> Iterator[Frame]:
        """A new picture for each period, until close(). Periods that pass while the last is judged are left out."""
        index = -1
        with _grabber() as grabber:  # some systems let only the thread that opened it grab
            while not self._wait_for(index + 1):
                now_ns = time.monotonic_ns()
                pts_s = (now_ns - self._opened_ns) / 1e9
                index = max(index + 1, index_at(pts_s, self._rate))
                try:
                    image_bgr = _grab(grabber, self._region)
                except SourceError as error:  # a locked screen comes back
                    if len(self.faults) < _MOST_FAULTS:
                        self.faults.append(f"at {pts_s:.1f} s: {error}")
                    continue
                self.counts.captured += 1
                self.counts.delivered += 1
                yield Frame(index, pts_s, image_bgr, datetime.now(UTC), now_ns)

    def close(self) -> None:
        """No more pictures."""
        self._closed.set()

    def _wait_for(self, index: int) -> bool:
        """Sleep until a sample's time; whether the source was closed."""
        due_s = index / self._rate - (time.monotonic_ns() - self._opened_ns) / 1e9
        return self._closed.wait(max(0.0, due_s))


def find_region(text: str, monitors: list[Region]) -> Region:
    """What part of the desktop is meant.

    Args:
        text: what follows "screen:"; empty is the first monitor.
        monitors: the whole desktop, then each monitor.

    Raises:
        SourceError: not there.
    """
    if not text or text.isdigit():
        number = int(text or "1")
        if not 1 <= number < len(monitors):
            raise SourceError(f"screen:{number}: there is no such monitor; found {_listed(monitors)}")
        return monitors[number]
    corners = re.fullmatch(r"(-?\d{1,5}),(-?\d{1,5}),(\d{1,5}),(\d{1,5})", text)
    if corners is None:
        raise SourceError(f"screen:{text}: expected a monitor's number, or X,Y,WIDTH,HEIGHT in pixels")
    left, top, width, height = map(int, corners.groups())
    desktop = monitors[0]
    inside = (
        desktop["left"] <= left
        and desktop["top"] <= top
        and left + width <= desktop["left"] + desktop["width"]
        and top + height <= desktop["top"] + desktop["height"]
    )
    if width < 1 or height < 1 or not inside:
        raise SourceError(
            f"screen:{text}: not on the desktop, which has {desktop['width']} x {desktop['height']} pixels from "
            f"{desktop['left']},{desktop['top']}"
        )
    return {"left": left, "top": top, "width": width, "height": height}


def _listed(monitors: list[Region]) -> str:
    return ", ".join(f"screen:{n} ({m['width']} x {m['height']})" for n, m in enumerate(monitors) if n) or "none"


def _grabber() -> Any:
    try:
        return mss.mss()
    except Exception as error:  # each system fails in its own way
        raise _refused(error) from error


def _grab(grabber: Any, region: Region) -> Image:
    try:
        return np.ascontiguousarray(np.asarray(grabber.grab(region), np.uint8)[:, :, :3])
    except Exception as error:
        raise _refused(error) from error


def _refused(error: Exception) -> SourceError:
    return SourceError(
        f"screen: the desktop cannot be looked at ({error}). On Wayland, or where screen recording is not allowed, "
        "share the window from the browser: classroom live --source webrtc"
    )
