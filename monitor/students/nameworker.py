"""Reads names on a thread of its own, so that a live monitor never waits for them.

One thread and one reader serve all galleries of the process, in turn. It knows students only as the labels under which
a reading is asked for.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

from monitor.schema import Image
from monitor.students.names import NameReading, shared_reader

_NICENESS = 10
_MOST_ASKED = 2
"""Requests of one gallery at a time: one in hand, one that waits."""


@dataclass(frozen=True, slots=True)
class Request:
    """Tiles of one frame to be read: copies, for the frame is gone when they are."""

    asked_s: float
    """Media time of the frame."""
    student_ids: Sequence[str]
    tiles: Sequence[Image]
    camera_off: Sequence[bool]


class NameWorker:
    """One gallery's place at the desk where names are read."""

    def __init__(self) -> None:
        self._asked: deque[tuple[Request, Future[list[NameReading | None]]]] = deque()

    def ask(self, request: Request) -> bool:
        """Hand in a request; False when one is waiting already: ask again at a later frame."""
        if len(self._asked) >= _MOST_ASKED:
            return False
        self._asked.append((request, _desk().submit(_read, request)))
        return True

    def collect(self) -> list[tuple[Request, list[NameReading | None]]]:
        """All that was read since the last call: each request with its readings.

        Raises:
            Exception: what a reading failed with, if one did.
        """
        collected = []
        while self._asked and self._asked[0][1].done():
            request, readings = self._asked.popleft()
            collected.append((request, readings.result()))
        return collected

    def close(self) -> None:
        """Drop what waits; what is in hand is read for nobody."""
        for _, readings in self._asked:
            readings.cancel()
        self._asked.clear()


@cache
def _desk() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="names", initializer=_give_way)


def _read(request: Request) -> list[NameReading | None]:
    return shared_reader().read(request.tiles, request.camera_off)


def _give_way() -> None:
    """Let this thread run after those that judge, where a system can tell threads apart: names may be a second late."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
