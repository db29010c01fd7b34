"""Reads names on a thread of its own, so that a live monitor never waits for them. One request waits at most.

It knows students only as the labels under which a reading is asked for.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from monitor.schema import Image
from monitor.students.names import NameReader, NameReading


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
        try:
            reader = NameReader()
            while not self._stopping.is_set():
                request = self._requests.get()
                if request is None or self._stopping.is_set():
                    return
                self._results.put((request, reader.read(request.tiles, request.camera_off)))
        except BaseException as error:  # handed to the thread that collects
            self._error = error
