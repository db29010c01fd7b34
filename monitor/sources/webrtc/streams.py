"""The streams of a lecture: a name each, the newest picture of each, and who may go on with one.

A stream outlives its connections: a tab that was reloaded or a network that was cut goes on in the same one. This file
knows no network; pictures are put by the receiving thread and taken by the judging one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from av import VideoFrame

from monitor.errors import BusyError
from monitor.schema import Frame
from monitor.sources.sampling import index_at
from monitor.sources.source import SourceCounts

STREAM_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
"""What a stream may be called: it becomes part of its students' pseudonyms, and is written into logs."""
TICKET = re.compile(r"[A-Za-z0-9_-]{16,128}")
MOST_STREAMS = 256
"""In one run, ended ones included: a publisher gone wild must not fill the memory."""
ALIVE_S = 5.0
"""A stream that gave a picture within so long has its publisher."""
ABANDONED_S = 120.0
"""A ticket that was not shown again for so long, in silence, holds a name no more."""
LONGEST_SIDE_PX = 2560
"""Larger pictures are made smaller: nobody's head needs more."""


class StreamTakenError(BusyError):
    """The stream has a publisher, or belongs to somebody else."""


class TooManyStreamsError(BusyError):
    """No further stream is taken."""


@dataclass(slots=True)
class _Waiting:
    picture: VideoFrame
    index: int
    arrived_ns: int
    captured_at: datetime


class Stream:
    """One publisher's pictures, of which the newest is kept. Made by `Streams`, which lends its lock."""

    def __init__(self, stream_id: str, changed: threading.Condition, total: SourceCounts, *, rate: float) -> None:
        self.stream_id = stream_id
        self.counts = SourceCounts()
        self.received = 0
        """Pictures that came in, sampled or not."""
        self.size_px = (0, 0)
        """Width and height of the newest picture."""
        self.judged_ns = 0
        """time.monotonic_ns() when a picture was last handed over; 0: never."""
        self.arrived_ns = 0
        """time.monotonic_ns() of the newest picture; 0: none yet."""
        self.session_id: str | None = None
        """The connection that feeds it; None while there is none."""
        self.last_session_id: str | None = None
        """The connection that feeds it or fed it last."""
        self.ticket_sha256: bytes | None = None
        """Of the secret that its publisher keeps; None: whoever knows the name may go on."""
        self._changed = changed
        self._total = total
        self._rate = rate
        self._waiting: _Waiting | None = None
        self._taken_index = -1

    def put(self, picture: VideoFrame, pts_s: float, arrived_ns: int) -> None:
        """Keep a picture as the newest; one of a period that was handed over is forgotten at once."""
        index = index_at(pts_s, self._rate)
        with self._changed:
            self.received += 1
            self.arrived_ns = arrived_ns
            self.size_px = (picture.width, picture.height)
            if index <= self._taken_index:
                return
            overtaken = self._waiting is not None and index > self._waiting.index
            if self._waiting is None or overtaken:
                for counts in (self.counts, self._total):
                    counts.captured += 1
                    counts.dropped += overtaken
            news = self._waiting is None or overtaken
            self._waiting = _Waiting(picture, index, arrived_ns, datetime.now(UTC))
            if news:
                self._changed.notify_all()

    def take(self, index: int, pts_s: float) -> Frame | None:
        """The newest picture as a frame of a sample; no other of that sample is given. None: there is none.

        Converts pixels: call it on the judging thread.
        """
        with self._changed:
            waiting, self._waiting = self._waiting, None
            if waiting is None:
                return None
            self._taken_index = max(index, waiting.index)
            for counts in (self.counts, self._total):
                counts.delivered += 1
            self.judged_ns = time.monotonic_ns()
        image_bgr = np.asarray(_bounded(waiting.picture).to_ndarray(format="bgr24"), np.uint8)
        return Frame(index, pts_s, image_bgr, waiting.captured_at, waiting.arrived_ns, self.stream_id)

    def begin(self, session_id: str) -> None:
        """From now on this connection feeds it."""
        with self._changed:
            self.session_id = self.last_session_id = session_id

    def release(self, session_id: str) -> None:
        """Its publisher left in order: whoever comes next under this name goes on with it.

        Nothing happens where another connection took over since.
        """
        with self._changed:
            if session_id == self.last_session_id:
                self.session_id = self.ticket_sha256 = None

    @property
    def waiting_index(self) -> int | None:
        """Sample of the picture that waits; None where none does. Ask with the lock held."""
        return None if self._waiting is None else self._waiting.index

    def alive(self, now_ns: int) -> bool:
        """Whether a picture came in of late."""
        return self.arrived_ns > 0 and now_ns - self.arrived_ns < ALIVE_S * 1e9


class Streams:
    """All streams of a run. May be called from several threads.

    Args:
        rate: samples per second of each stream.
    """

    def __init__(self, *, rate: float) -> None:
        self.counts = SourceCounts()
        """Over all streams: captured = dropped + delivered + at most one waiting per stream."""
        self.changed = threading.Condition()
        """Notified when a stream that had nothing to give has a picture."""
        self._rate = rate
        self._streams: dict[str, Stream] = {}

    def all(self) -> list[Stream]:
        """In the order in which they first came."""
        with self.changed:
            return list(self._streams.values())

    def claim(self, name: str | None, ticket: str | None) -> Stream:
        """The stream that a publisher may feed, made where there is none of that name.

        Args:
            name: as STREAM_ID; None gives the next free number.
            ticket: a secret of the publisher's own. Whoever shows it again goes on at once; without one a name can be
                taken over only when its publisher has gone silent.

        Raises:
            StreamTakenError: another publisher has it.
            TooManyStreamsError: MOST_STREAMS are known.
        """
        digest = hashlib.sha256(ticket.encode()).digest() if ticket else None
        with self.changed:
            stream = self._streams.get(name) if name else None
            if stream is None:
                return self._new(name, digest)
            if not self._may_go_on(stream, digest):
                raise StreamTakenError(f"the stream {stream.stream_id} has another publisher. Choose another name")
            stream.ticket_sha256 = digest
            return stream

    @staticmethod
    def _may_go_on(stream: Stream, digest: bytes | None) -> bool:
        now_ns = time.monotonic_ns()
        if stream.ticket_sha256 is None:
            return stream.session_id is None or not stream.alive(now_ns)
        if digest is not None and hmac.compare_digest(stream.ticket_sha256, digest):
            return True
        return stream.session_id is None and now_ns - stream.arrived_ns > ABANDONED_S * 1e9

    def _new(self, name: str | None, digest: bytes | None) -> Stream:
        if len(self._streams) >= MOST_STREAMS:
            raise TooManyStreamsError(f"{MOST_STREAMS} streams were published already. Start the monitor again")
        if name is None:
            numbers = range(1, len(self._streams) + 2)
            name = next(f"stream-{n}" for n in numbers if f"stream-{n}" not in self._streams)
        stream = Stream(name, self.changed, self.counts, rate=self._rate)
        stream.ticket_sha256 = digest
        self._streams[name] = stream
        return stream


def _bounded(picture: VideoFrame) -> VideoFrame:
    longest = max(picture.width, picture.height)
    if longest <= LONGEST_SIDE_PX:
        return picture
    scale = LONGEST_SIDE_PX / longest
    return picture.reformat(
        width=max(2, round(picture.width * scale)), height=max(2, round(picture.height * scale)), format="bgr24"
    )
