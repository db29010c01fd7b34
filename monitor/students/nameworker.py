"""Reads names on a thread of its own, so that a live monitor never waits for them. One request waits at most.

Galleries have a thread each and take turns with one reader. It knows students only as the labels under which a reading
is asked for.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from monitor.schema import Image
from monitor.students.names import NameReading, shared_reader

_TURN = threading.Lock()
"""One gallery is read at a time: names are in no hurry, and two at once would take twice the memory."""
_NICENESS = 10


@dataclass(frozen=True, slots=True)
class Request:
    """Tiles of one frame to be read: copies, for the frame is gone when they are."""

    asked_s: float
    """Media time of the frame."""
    student_ids: Sequence[str]
    tiles: Sequence[Image]
    camera_off: Sequence[bool]


class NameWorker:
    """A reader behind a queue of one."""

    def __init__(self) -> None:
        self._requests: queue.Queue[Request | None] = queue.Queue(maxsize=1)
        self._results: queue.SimpleQueue[tuple[Request, list[NameReading | None]]] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="names", daemon=True)
        self._thread.start()

    def ask(self, request: Request) -> bool:
        """Hand in a request; False when one is waiting already: ask again at a later frame."""
        try:
            self._requests.put_nowait(request)
        except queue.Full:
            return False
        return True

    def collect(self) -> list[tuple[Request, list[NameReading | None]]]:
        """All that was read since the last call: each request with its readings.

        Raises:
            Exception: what stopped the thread, if anything did.
        """
        if self._error is not None:
            raise self._error
        collected = []
        while True:
            try:
                collected.append(self._results.get_nowait())
            except queue.Empty:
                return collected

    def close(self) -> None:
        """Stop after the request in hand; a waiting one is dropped."""
        self._stopping.set()
        with contextlib.suppress(queue.Full):
            self._requests.put_nowait(None)
        self._thread.join(timeout=10)

    def _work(self) -> None:
        _give_way()
        try:
            while (request := self._requests.get()) is not None:
                with _TURN:
                    if self._stopping.is_set():
                        return
                    readings = shared_reader().read(request.tiles, request.camera_off)
                self._results.put((request, readings))
        except BaseException as error:  # handed to the thread that collects
            self._error = error


def _give_way() -> None:
    """Let this thread run after those that judge, where a system can tell threads apart: names may be a second late."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
