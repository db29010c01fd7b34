"""A live camera: a thread of its own takes every picture, the newest is kept, and a lost camera is waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from monitor.errors import ClassroomError
from monitor.schema import Frame
from monitor.sources.buffer import FrameBuffer, Policy
from monitor.sources.cameras import Capture, busy, open_camera
from monitor.sources.sampling import index_at
from monitor.sources.source import WEBCAM_PREFIX, Closing, SourceCounts

_FAILURES_BEFORE_LOST = 5
"""Drivers miss a picture now and then; so many in a row mean that the camera is gone."""
_FAILURE_PAUSE_S = 0.1
_LOST_AFTER_S = 2.0
"""A driver may itself wait ten seconds for a picture: one such failure is enough."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 8.0
"""Between two tries to reconnect: doubled each time."""
_POLL_S = 0.5
"""How long a Ctrl-C may go unheard on systems where waiting for a lock cannot be interrupted."""
_JOIN_S = 5.0
"""A driver that hangs must not hang the program."""


class Webcam(Closing):
    """A camera by index, path or name. Media time 0 is the moment it was opened.

    One sample per period at most: a picture of the period that has begun, the newest there is when it is taken. A
    camera unplugged in mid-lecture is a fault, and is tried again until it is back or the source is closed.
    """

    live = True
    duration_s: float | None = None

    def __init__(
        self,
        device: str,
        *,
        rate: float = 1.0,
        open_capture: Callable[[str], Capture] = open_camera,
    ) -> None:
        """Open the camera and take a first picture.

        Args:
            device: index ("0"), path ("/dev/video2") or name.
            rate: samples per second.
            open_capture: opens the device; raises a ClassroomError where it cannot.

        Raises:
            SourceError: no such camera.
            BusyError: it is there but gives no picture.
        """
        self.uri = WEBCAM_PREFIX + device
        self.counts = SourceCounts()
        self.faults: list[str] = []
        self._device = device
        self._rate = rate
        self._open_capture = open_capture
        self._capture: Capture | None = open_capture(device)
        if not self._grabs(self._capture):
            self._release()
            raise busy(device)
        self.started_at: datetime | None = datetime.now(UTC)
        self._opened_ns = time.monotonic_ns()
        self._buffer = FrameBuffer(Policy.NEWEST, self.counts)
        self._asked = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webcam", daemon=True)
        self._thread.start()

    def frames(self) -> Iterator[Frame]:
        """The newest picture of each period, until close()."""
        self._asked.set()
        try:
            while True:
                frame = self._buffer.take(_POLL_S)
                if frame is not None:
                    yield frame
                elif self._buffer.closed:
                    return
        finally:
            self.close()

    def close(self) -> None:
        """End the thread and give the camera back."""
        self._buffer.close()
        if self._thread is not threading.current_thread():
            self._thread.join(_JOIN_S)

    def _run(self) -> None:
        """Take pictures until closed. Before frames() is asked they are thrown away, so that none is stale."""
        try:
            while not self._buffer.closed:
                if self._capture is not None and self._grabs(self._capture):
                    self._offer(self._capture)
                else:
                    self._reconnect()
        except Exception as error:  # whoever takes the frames is to hear of it
            self._buffer.close(error)
        finally:
            self._release()

    def _offer(self, capture: Capture) -> None:
        now_ns = time.monotonic_ns()
        pts_s = (now_ns - self._opened_ns) / 1e9
        index = index_at(pts_s, self._rate)
        if not self._asked.is_set() or not self._buffer.wants(index):
            return
        found, image_bgr = capture.retrieve()
        if found and image_bgr is not None:
            self._buffer.put(Frame(index, pts_s, image_bgr, datetime.now(UTC), now_ns))

    def _grabs(self, capture: Capture) -> bool:
        given_up = time.monotonic() + _LOST_AFTER_S
        for _ in range(_FAILURES_BEFORE_LOST):
            if capture.grab():
                return True
            if time.monotonic() > given_up:
                break
            time.sleep(_FAILURE_PAUSE_S)
        return False

    def _reconnect(self) -> None:
        """Try again, ever less often, and keep one line in faults about it."""
        self._release()
        lost_s = self._now_s()
        self.faults.append(f"camera {self._device} lost at {lost_s:.1f} s, not back yet")
        wait_s = _FIRST_WAIT_S
        while not self._buffer.wait_closed(wait_s):
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
            try:
                self._capture = self._open_capture(self._device)
            except ClassroomError:
                continue
            if self._grabs(self._capture):
                self.faults[-1] = f"camera {self._device} lost at {lost_s:.1f} s, back at {self._now_s():.1f} s"
                return
            self._release()

    def _now_s(self) -> float:
        return (time.monotonic_ns() - self._opened_ns) / 1e9

    def _release(self) -> None:
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.release()
