"""Reading a recording on a thread of its own: ahead of whoever takes the frames, or at the pace of the clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from monitor.schema import Frame
from monitor.sources.buffer import FrameBuffer, Policy
from monitor.sources.recording import Recording
from monitor.sources.source import Closing, SourceCounts

_POLL_S = 0.5
"""How long a Ctrl-C may go unheard on systems where waiting for a lock cannot be interrupted."""


class ReadAhead(Closing):
    """A recording decoded one frame ahead, on another core; it waits for its taker and loses nothing."""

    live = False
    policy = Policy.WAIT

    def __init__(self, recording: Recording) -> None:
        """Take over the recording: closing this closes it."""
        self.uri = recording.uri
        self.duration_s: float | None = recording.duration_s
        self.started_at: datetime | None = recording.started_at
        self.counts = SourceCounts()
        self.faults = recording.faults
        self._recording = recording
        self._buffer = FrameBuffer(self.policy, self.counts)
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=type(self).__name__.lower(), daemon=True)

    def frames(self) -> Iterator[Frame]:
        """The samples in order, until the recording ends."""
        self._begin()
        self._thread.start()
        try:
            while True:
                frame = self._buffer.take(_POLL_S)
                if frame is not None:
                    yield frame
                elif self._buffer.ended:
                    return
        finally:
            self.close()

    def close(self) -> None:
        """End the thread and free the file."""
        self._buffer.close()
        if self._thread.ident is not None:
            self._thread.join()
        with self._closing:  # two threads may come here, and the file must not be freed twice
            self._recording.close()

    def _begin(self) -> None:
        """Called once, just before the first frame is decoded."""

    def _give(self, frame: Frame) -> None:
        self._buffer.put(frame)

    def _run(self) -> None:
        frames = self._recording.frames()
        try:
            for frame in frames:
                self._give(frame)
                if self._buffer.closed:
                    break
        except BaseException as error:  # whoever takes the frames is to hear of it
            self._buffer.close(error)
        finally:
            frames.close()
            self._buffer.close()


class Playback(ReadAhead):
    """A recording as if it were live: each sample comes at its time, and late takers lose the older ones.

    The clock starts when frames() is first asked, so that nothing is lost while a model loads.
    """

    live = True
    policy = Policy.NEWEST

    def __init__(self, recording: Recording, *, start_s: float = 0.0) -> None:
        """start_s: the media time the recording was opened at."""
        super().__init__(recording)
        self.started_at = None
        self._start_s = start_s
        self._begun_ns = 0

    def _begin(self) -> None:
        self._begun_ns = time.monotonic_ns() - round(self._start_s * 1e9)
        self.started_at = datetime.now(UTC) - timedelta(seconds=self._start_s)

    def _give(self, frame: Frame) -> None:
        wait_s = frame.pts_s - (time.monotonic_ns() - self._begun_ns) / 1e9
        if not self._buffer.wait_closed(max(0.0, wait_s)):
            self._buffer.put(replace(frame, captured_at=datetime.now(UTC), monotonic_ns=time.monotonic_ns()))
