"""The hand-over between the thread that takes pictures and the loop that judges them, with a named policy.

This file knows no camera and no clock.
"""

from __future__ import annotations

import threading
from enum import StrEnum

from monitor.schema import Frame
from monitor.sources.source import SourceCounts


class Policy(StrEnum):
    """What happens to a new frame while the last one still waits."""

    WAIT = "wait"
    """The giver waits: nothing is lost. For files."""
    NEWEST = "newest"
    """The new frame takes the place of the old one, which is counted as dropped. For live sources."""


class FrameBuffer:
    """Holds at most one frame; any number of threads may call it."""

    def __init__(self, policy: Policy, counts: SourceCounts) -> None:
        self.policy = policy
        self._counts = counts
        self._waiting: Frame | None = None
        self._last_taken = -1
        self._closed = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def wants(self, index: int) -> bool:
        """Whether a picture of this sample would still be of use: False once it was handed over, or after close()."""
        with self._changed:
            return not self._closed and index > self._last_taken

    def put(self, frame: Frame) -> bool:
        """Offer a frame; its sample must not be older than the waiting one's.

        A second picture of the sample that still waits takes its place uncounted: the same sample, only fresher.

        Returns:
            False when the buffer is closed or the sample was handed over already; the frame is then forgotten.
        """
        with self._changed:
            fresher = self._waiting is not None and self._waiting.index == frame.index
            while self.policy is Policy.WAIT and self._waiting is not None and not fresher and not self._closed:
                self._changed.wait()
            if self._closed or frame.index <= self._last_taken:
                return False
            if not fresher:
                self._counts.captured += 1
                self._counts.dropped += self._waiting is not None
            self._waiting = frame
            self._changed.notify_all()
            return True

    def take(self, timeout_s: float | None = None) -> Frame | None:
        """The waiting frame, as soon as there is one.

        Returns:
            None when the buffer was closed and is empty, or after timeout_s.

        Raises:
            BaseException: what close() was given, once the frames before it are taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is not None or self._closed, timeout_s)
            frame, self._waiting = self._waiting, None
            if frame is not None:
                self._last_taken = frame.index
                self._counts.delivered += 1
                self._changed.notify_all()
            elif self._error is not None:
                error, self._error = self._error, None
                raise error
            return frame

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        with self._changed:
            return self._closed

    @property
    def ended(self) -> bool:
        """Whether close() was called and nothing is left to take."""
        with self._changed:
            return self._closed and self._waiting is None and self._error is None

    def wait_closed(self, timeout_s: float) -> bool:
        """Sleep, but wake at once when the buffer is closed; says whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed, timeout_s)

    def close(self, error: BaseException | None = None) -> None:
        """No more frames: the waiting one can still be taken, then take() returns None or raises the error."""
        with self._changed:
            if not self._closed:
                self._error = error
            self._closed = True
            self._changed.notify_all()
