"""What a source of frames is, and the one way to open it.

This file knows no codec and no camera: each kind of source has its own file, imported only when it is opened.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from monitor.errors import SourceError
from monitor.schema import Frame

if TYPE_CHECKING:
    from monitor.sources.webrtc.settings import IngestSettings

WEBCAM_PREFIX = "webcam:"
SCREEN = "screen"
WEBRTC = "webrtc"
DEMO = "demo"
MAX_RATE = 60.0


@dataclass(slots=True)
class SourceCounts:
    """How many samples a source took, lost and handed over: captured = dropped + delivered + at most one waiting."""

    captured: int = 0
    """Samples for which there was a picture. Pictures between two samples do not count."""
    dropped: int = 0
    """Samples overtaken by a newer one before anybody took them; always 0 where files wait."""
    delivered: int = 0
    """Samples handed over by frames()."""


class Source(Protocol):
    """Frames of a recording, a camera or a folder, sampled at one rate; a context manager.

    A frame's index is k where k / rate is the last sample time at or before its pts_s: the same frame has the same
    index whether the source was read from its start or from start_s. Indices grow, and may leave gaps.
    """

    uri: str
    """What was opened, as the user gave it."""
    live: bool
    """True where time does not wait: frames come at the pace of the clock, and late takers lose the older ones."""
    started_at: datetime | None
    """UTC of media time 0, or None where it is not known."""
    duration_s: float | None
    """Length of the whole recording in seconds, or None where it is not known."""
    counts: SourceCounts
    faults: list[str]
    """What could not be read and why, one sentence each, for the report; grows while frames() runs."""

    def frames(self) -> Iterator[Frame]:
        """The samples in order, once. Leaving the loop early is fine; close() frees the rest."""

    def close(self) -> None:
        """Free the file or the camera and end the threads; may be called twice, and from another thread."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@runtime_checkable
class ManyStreams(Protocol):
    """A source with several streams, any number of which may have something to give."""

    @property
    def notices(self) -> list[str]:
        """Where to publish, for the person who started it. May hold a secret: never stored, never logged."""

    @property
    def state(self) -> str:
        """How it goes, for the dashboard."""

    def samples(self) -> Iterator[Iterable[Frame]]:
        """One sample after the other: a frame of each stream, all with one index; an empty one about each second."""


def samples(source: Source) -> Iterator[Iterator[Frame]]:
    """A source's samples: one frame each, or of a source with several streams one of each that has one."""
    if isinstance(source, ManyStreams):
        yield from map(iter, source.samples())
    else:
        for frame in source.frames():
            yield iter((frame,))


class Closing(ABC):
    """Makes a context manager of anything with close()."""

    @abstractmethod
    def close(self) -> None:
        """Free what is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_source(
    uri: str,
    *,
    rate: float = 1.0,
    start_s: float = 0.0,
    realtime: bool = False,
    ingest: IngestSettings | None = None,
) -> Source:
    """Open a recording, a folder of pictures, a webcam, a screen, the door for publishers or the shipped lecture.

    Args:
        uri: path of a recording or of a folder of pictures; "webcam:0", "webcam:/dev/video2"; "screen", "screen:2",
            "screen:X,Y,WIDTH,HEIGHT"; "webrtc"; "demo".
        rate: samples per second of media time, above 0 and at most 60.
        start_s: media time to start at. Frames with pts_s >= start_s come, the very ones of a run from the start.
            A camera cannot go back: its media time is 0 when it is opened, whatever is asked here.
        realtime: play a recording at the pace of the clock, as if it were live. Cameras and "demo" always do.
        ingest: where publishers connect, for "webrtc"; None is this machine alone.

    Raises:
        SourceError: no such file or device, or nothing in it that can be read; says what was found and what to do.
        BusyError: the camera or the port is taken by another program.
    """
    if not 0.0 < rate <= MAX_RATE:
        raise SourceError(f"rate must be above 0 and at most {MAX_RATE:g} samples per second, found {rate:g}")
    if start_s < 0.0:
        raise SourceError(f"start_s must be 0 or more, found {start_s:g}")
    if uri == DEMO:
        from monitor.sources.demo import open_demo

        return open_demo(rate=rate, start_s=start_s)
    if uri.startswith(WEBCAM_PREFIX):
        from monitor.sources.webcam import Webcam

        return Webcam(uri.removeprefix(WEBCAM_PREFIX), rate=rate)
    if uri == SCREEN or uri.startswith(f"{SCREEN}:"):
        from monitor.sources.screen import Screen

        return Screen(uri, rate=rate)
    if uri == WEBRTC:
        from monitor.sources.webrtc.ingest import WebRtc
        from monitor.sources.webrtc.settings import IngestSettings

        return WebRtc(uri, ingest or IngestSettings(), rate=rate)
    return _open_path(uri, rate=rate, start_s=start_s, realtime=realtime)


def _open_path(uri: str, *, rate: float, start_s: float, realtime: bool) -> Source:
    path = Path(uri).expanduser()
    if path.is_dir():
        from monitor.sources.stills import Stills

        return Stills(path, uri=uri, rate=rate, start_s=start_s)
    from monitor.sources.playback import Playback, ReadAhead
    from monitor.sources.recording import Recording

    if realtime:
        return Playback(Recording(path, uri=uri, rate=rate, start_s=start_s, threads=1), start_s=start_s)
    return ReadAhead(Recording(path, uri=uri, rate=rate, start_s=start_s))
