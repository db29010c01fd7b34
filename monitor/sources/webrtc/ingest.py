"""The source that publishers fill: the newest picture of each stream, sample by sample, all streams in turn.

Pictures are converted here, on the thread that judges them. What is spoken on the network is not known here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain

from monitor.schema import Frame
from monitor.sources.sampling import index_at
from monitor.sources.source import Closing, SourceCounts
from monitor.sources.webrtc.certificate import addresses, tls_context
from monitor.sources.webrtc.server import IngestServer
from monitor.sources.webrtc.settings import IngestSettings
from monitor.sources.webrtc.streams import Stream, Streams
from monitor.sources.webrtc.tokens import with_token

_POLL_S = 0.5
"""How long a Ctrl-C may go unheard on systems where waiting for a lock cannot be interrupted."""
_PATIENCE = 0.25
"""Share of a sample period to wait for streams that are alive and have nothing new yet."""
_LONGEST_PATIENCE_S = 0.1
_IDLE_S = 1.0
_MOST_FAULTS = 100


class WebRtc(Closing):
    """Many publishers, one source. Media time 0 is the moment it was opened.

    A sample holds one frame of every stream that has a new one, all with the same index and media time: so none
    starves, however slow the judging is.

    Args:
        uri: as the user gave it.
        settings: where to listen, and who may publish.
        rate: samples per second.

    Raises:
        BusyError: the port is taken.
        BadInputError: a certificate that cannot be used.
    """

    live = True
    duration_s: float | None = None

    def __init__(self, uri: str, settings: IngestSettings, *, rate: float = 1.0) -> None:
        self.uri = uri
        self.faults: list[str] = []
        self.settings = with_token(settings)
        self._rate = rate
        self._streams = Streams(rate=rate)
        self.counts: SourceCounts = self._streams.counts
        self._closed = threading.Event()
        self._last_index = -1
        self.started_at: datetime | None = datetime.now(UTC)
        self._opened_ns = time.monotonic_ns()
        tls = tls_context(self.settings, self.settings.folder)
        self._server = IngestServer(self.settings, self._streams, rate=rate, media_s=self._media_s, tls=tls)
        self.notices = invitations(self.settings, self.port)
        """Where to publish; holds the token."""

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.port

    @property
    def state(self) -> str:
        """Who shares, in words."""
        now_ns = time.monotonic_ns()
        alive = sum(stream.alive(now_ns) for stream in self._streams.all())
        if alive == 0:
            return "waiting for somebody to share"
        return "one stream is shared" if alive == 1 else f"{alive} streams are shared"

    def samples(self) -> Iterator[Iterable[Frame]]:
        """One sample after the other: a frame of each stream that has a new one, each taken when its turn comes.

        An empty sample about each second says that there is nothing.
        """
        try:
            while (streams := self._next_sample()) is not None:
                frames = self._frames_of(streams)
                yield frames
        finally:
            self.close()

    def frames(self) -> Iterator[Frame]:
        """All frames, one stream after the other; several may share an index."""
        return chain.from_iterable(self.samples())

    def close(self) -> None:
        """End the server and all connections."""
        self._closed.set()
        with self._streams.changed:
            self._streams.changed.notify_all()
        self._server.close()

    def _next_sample(self) -> list[Stream] | None:
        """Streams with a new picture, as soon as there is one; none after a while; None when closed."""
        changed = self._streams.changed
        idle_until_s = time.monotonic() + _IDLE_S
        with changed:
            while not self._closed.is_set():
                if self._is_due():
                    changed.wait_for(self._all_waiting, min(_LONGEST_PATIENCE_S, _PATIENCE / self._rate))
                    return self._waiting()
                if not changed.wait(self._pause_s()) and time.monotonic() > idle_until_s:
                    return []
        return None

    def _is_due(self) -> bool:
        """Whether a new period has begun and there is a picture; what comes later in a period waits for the next."""
        return bool(self._waiting()) and index_at(self._media_s(), self._rate) > self._last_index

    def _pause_s(self) -> float:
        if not self._waiting():
            return _POLL_S
        return min(_POLL_S, max(0.001, (self._last_index + 1) / self._rate - self._media_s()))

    def _waiting(self) -> list[Stream]:
        return [stream for stream in self._streams.all() if stream.waiting_index is not None]

    def _all_waiting(self) -> bool:
        now_ns = time.monotonic_ns()
        lively = [stream for stream in self._streams.all() if stream.alive(now_ns)]
        return self._closed.is_set() or all(stream.waiting_index is not None for stream in lively)

    def _frames_of(self, streams: list[Stream]) -> Iterator[Frame]:
        if not streams:
            return
        pts_s = self._media_s()
        index = max(self._last_index + 1, index_at(pts_s, self._rate))
        self._last_index = index
        for stream in streams:
            try:
                frame = stream.take(index, pts_s)
            except Exception as error:  # a picture in a form that cannot be converted must not end the lecture
                self._fault(f"stream {stream.stream_id}: a picture at {pts_s:.1f} s cannot be read ({error})")
                continue
            if frame is not None:
                yield frame

    def _fault(self, text: str) -> None:
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(text)

    def _media_s(self) -> float:
        return (time.monotonic_ns() - self._opened_ns) / 1e9


def invitations(settings: IngestSettings, port: int) -> list[str]:
    """What to tell the person who started it: where to publish."""
    base = f"{'https' if settings.tls else 'http'}://"
    hosts = [settings.host]
    if settings.host in ("", "0.0.0.0", "::"):
        hosts = addresses() or ["127.0.0.1"]
    shown = [f"[{host}]" if ":" in host else host for host in hosts]
    # Behind the # the token stays in the browser: it is in no request and in no log.
    fragment = f"/#token={settings.token}" if settings.token else ""
    lines = [f"Share a window, a screen or a camera: {base}{host}:{port}{fragment}" for host in shown]
    token = ", with the token as bearer token" if settings.token else ""
    return [*lines, f"OBS and other WHIP clients: {base}{shown[0]}:{port}/whip/obs{token}"]
