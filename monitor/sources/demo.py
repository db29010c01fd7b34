"""Playing a recording at the pace of the clock, and the lecture that ships with the package."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

from monitor.errors import SourceError
from monitor.schema import Frame
from monitor.sources.buffer import FrameBuffer, Policy
from monitor.sources.recording import Recording
from monitor.sources.source import DEMO, Closing, SourceCounts

DEMO_ASSET = "assets/demo.mp4"


class Playback(Closing):
    """A recording as if it were live: each sample comes at its time, and late takers lose the older ones.

    The clock starts when frames() is first asked, so that nothing is lost while a model loads.
    """

    live = True

    def __init__(self, recording: Recording, *, start_s: float = 0.0, uri: str | None = None) -> None:
        """Take over the recording: closing this closes it."""
        self.uri = uri if uri is not None else recording.uri
        self.duration_s = recording.duration_s
        self.started_at: datetime | None = None
        self.counts = SourceCounts()
        self.faults = recording.faults
        self._recording = recording
        self._start_s = start_s
        self._buffer = FrameBuffer(Policy.NEWEST, self.counts)
        self._thread = threading.Thread(target=self._play, name="playback", daemon=True)

    def frames(self) -> Iterator[Frame]:
        """The newest sample, as soon as it is due, until the recording ends."""
        self.started_at = datetime.now(UTC) - timedelta(seconds=self._start_s)
        self._thread.start()
        try:
            while (frame := self._buffer.take()) is not None:
                yield frame
        finally:
            self.close()

    def close(self) -> None:
        """End the thread and free the file."""
        self._buffer.close()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()
        self._recording.close()

    def _play(self) -> None:
        begin_ns = time.monotonic_ns() - round(self._start_s * 1e9)
        frames = self._recording.frames()
        try:
            for frame in frames:
                wait_s = frame.pts_s - (time.monotonic_ns() - begin_ns) / 1e9
                if self._buffer.wait_closed(max(0.0, wait_s)):
                    break
                now = replace(frame, captured_at=datetime.now(UTC), monotonic_ns=time.monotonic_ns())
                self._buffer.put(now)
        except BaseException as error:  # whoever takes the frames is to hear of it
            self._buffer.close(error)
        finally:
            frames.close()
            self._buffer.close()


def open_demo(*, rate: float, start_s: float) -> Playback:
    """The shipped lecture, played in real time; it ends with the recording.

    Raises:
        SourceError: the package was installed without it.
    """
    path = Path(str(resources.files("monitor") / DEMO_ASSET))
    if not path.is_file():
        raise SourceError(f"{path}: the demo lecture is missing from the package. Install classroom-monitor again.")
    return Playback(Recording(path, uri=DEMO, rate=rate, start_s=start_s, threads=1), start_s=start_s)
