"""A recording, sampled by presentation time: packets in, the frames of the samples out, as few as possible decoded."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path

import av
from av.video.frame import VideoFrame

from monitor.errors import SourceError
from monitor.schema import Frame
from monitor.sources.container import duration_s, main_video, open_container, started_at
from monitor.sources.damage import Damage
from monitor.sources.display import Display
from monitor.sources.packets import PacketReader, VideoPacket, groups, starts_afresh
from monitor.sources.sampling import SampleGrid
from monitor.sources.skipping import REORDER_PACKETS, SkipPlan, Stamp
from monitor.sources.source import Closing, SourceCounts

_MAX_THREADS = 4
_SPARES_UNREFERENCED = {"h264"}
"""Decoders that know before decoding whether any frame refers to this one, and mean it (H.264: nal_ref_idc = 0)."""
_PROGRESSIVE = 1
"""FFmpeg's AV_FIELD_PROGRESSIVE: in interlaced H.264 one field of a frame may be referred to, the other not."""
_UNTIMED = {"avi"}
"""Containers that keep no presentation time of their own: the times of packets do not tell the order of frames."""
_END_TOLERANCE_S = 1.0
"""How much earlier than promised a recording may end without being called cut short."""


class Recording(Closing):
    """A recording on disk; it waits for its reader and loses nothing.

    Sample k is the first frame with pts_s >= k / rate, where pts_s is 0 at the first frame. A frame is delivered
    once: where the timestamps leave a gap longer than a sample period, the frame after the gap stands for the last
    sample time at or before it, and the samples inside the gap do not exist (the indices skip them).
    """

    live = False

    def __init__(
        self, path: Path, *, uri: str | None = None, rate: float = 1.0, start_s: float = 0.0, threads: int | None = None
    ) -> None:
        """Open, and read as far as the first frame's time.

        Args:
            path: the file.
            uri: what the user called it.
            rate: samples per second.
            start_s: media time to start at.
            threads: of the decoder; None takes up to four.

        Raises:
            SourceError: see open_container; also where the file holds not one frame.
        """
        self.uri = uri if uri is not None else str(path)
        self.path = path
        self.counts = SourceCounts()
        self.faults: list[str] = []
        self._rate = rate
        self._start_s = start_s
        self._threads = threads if threads is not None else min(_MAX_THREADS, os.cpu_count() or 1)
        self._open()

    def _open(self) -> None:
        self._container = open_container(self.path)
        try:
            self._stream = main_video(self._container)
            self._prepare()
        except BaseException:
            self._container.close()
            raise

    def _prepare(self) -> None:
        stream = self._stream
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = self._threads
        self._reader = PacketReader(self._container, stream)
        self._first = list(islice(self._reader, REORDER_PACKETS))
        if not self._first:
            raise SourceError(
                f"{self.path}: not one frame in it. Expected a recording with a picture, found a header without "
                "pictures; download or copy it again."
            )
        times = [packet.pts for packet in self._first if packet.pts is not None and not packet.is_discard]
        self._grid = SampleGrid.of(self._rate, stream.time_base or Fraction(1, 1000), min(times, default=0))
        self._first_index = self._grid.index(self._grid.ticks_at(self._start_s))
        self._display = Display(stream.sample_aspect_ratio)
        self._damage = Damage(self._grid, delay=self._threads)
        self.duration_s = duration_s(self._container, stream, self._grid.origin)
        self.started_at: datetime | None = started_at(self._container, stream)

    def frames(self) -> Generator[Frame, None, None]:
        """The samples in order; what could not be read is in `faults` afterwards."""
        if self._start_s > 0:
            self._seek()
        last = self._first_index - 1
        try:
            for frame, ticks in self._whole(self._decoded()):
                if self._grid.index(ticks) <= last:
                    continue
                last = self._grid.index(ticks)
                if self._grid.seconds(ticks) >= self._start_s:
                    self._damage.sampled(ticks)
                    self.counts.captured += 1
                    self.counts.delivered += 1
                    yield self._sample(frame, ticks)
            self._note_end()
        finally:
            self.faults.extend(self._damage.sentences())

    def close(self) -> None:
        """Free the file; frames() must have been left."""
        self._container.close()

    def _sample(self, frame: VideoFrame, ticks: int) -> Frame:
        pts_s = self._grid.seconds(ticks)
        return Frame(
            index=self._grid.index(ticks),
            pts_s=pts_s,
            image_bgr=self._display.bgr(frame),
            captured_at=self.started_at + timedelta(seconds=pts_s) if self.started_at else None,
            monotonic_ns=time.monotonic_ns(),
        )

    def _seek(self) -> None:
        """Go to the key frame before the first sample wanted; where that fails, everything before it is passed over."""
        found = self._reader.seek(self._grid.ticks_before(self._first_index))
        if found is not None:
            self._first = found
        else:
            self._container.close()
            self._open()

    def _whole(self, frames: Iterator[VideoFrame]) -> Iterator[tuple[VideoFrame, int]]:
        """Leave out what is damaged or has no time; gives each frame's ticks with it."""
        for frame in frames:
            ticks = frame.pts if frame.pts is not None else frame.dts
            if ticks is None:
                continue
            if frame.is_corrupt or self._damage.suspects(ticks):
                self._damage.lost(ticks)
            else:
                yield frame, ticks

    def _decoded(self) -> Iterator[VideoFrame]:
        """Whole frames in the order of presentation: the samples, and those that had to be decoded for them."""
        codec = self._stream.codec_context
        spare = codec.name in _SPARES_UNREFERENCED and codec.field_order == _PROGRESSIVE
        plan = SkipPlan(lambda ticks: max(self._grid.index(ticks), self._first_index - 1))
        passing = False
        for group, ahead in groups(chain(self._first, self._reader)):
            parts = plan.plan(self._stamps(group), self._stamps(ahead))
            for packet, part in zip(group, parts, strict=True):
                if part.decode:
                    codec.skip_frame = "NONREF" if spare and not part.sampled else "DEFAULT"
                    yield from self._decode(packet)
                elif not passing:
                    yield from self._drain()
                passing = not part.decode
        yield from self._drain()

    def _stamps(self, packets: list[VideoPacket]) -> list[Stamp]:
        """Of these packets only the first can be the start of a group."""
        timed = self._container.format.name not in _UNTIMED
        return [
            Stamp(packet.pts if timed else None, i == 0 and starts_afresh(packet)) for i, packet in enumerate(packets)
        ]

    def _decode(self, packet: VideoPacket | None) -> list[VideoFrame]:
        if packet is not None:
            self._damage.decoding(packet.pts, afresh=starts_afresh(packet))
        try:
            return self._stream.decode(packet)
        except av.error.EOFError:
            return []
        except av.error.FFmpegError:
            self._damage.failed()
            return []

    def _drain(self) -> Iterator[VideoFrame]:
        """Take what the decoder still holds, and make it ready to start afresh at a key frame."""
        yield from self._decode(None)
        self._stream.codec_context.flush_buffers()

    def _note_end(self) -> None:
        end_s = self._grid.seconds(self._reader.end_ticks) if self._reader.end_ticks is not None else None
        if self.duration_s is None or end_s is None:
            if self._reader.last_error:
                self.faults.append(f"cut short: reading ended in an error: {self._reader.last_error}")
        elif end_s < self.duration_s - _END_TOLERANCE_S:
            reason = self._reader.last_error or "the file ends there; download or copy it again"
            self.faults.append(f"cut short: read {end_s:.1f} of {self.duration_s:.1f} s: {reason}")
