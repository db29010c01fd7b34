"""Reads a recording's packets in file order, through whatever errors can be got over, and in groups of pictures.

This file decodes nothing and knows no sample rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeAlias

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from monitor.sources import h264
from monitor.sources.skipping import LONGEST_GROUP, REORDER_PACKETS

VideoPacket: TypeAlias = "Packet[VideoStream]"

_MAX_ERRORS_IN_A_ROW = 8
"""Errors of the container after which the rest of the file is given up."""


class PacketReader:
    """An iterator over the packets of one stream that ends, rather than raises, where the file does."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._container = container
        self._stream = stream
        self._packets = container.demux(stream)
        self.last_error: str | None = None
        """Why the container could not be read at some place, if it could not."""
        self.end_ticks: int | None = None
        """Where the latest picture read so far ends."""

    def __iter__(self) -> Iterator[VideoPacket]:
        return self

    def __next__(self) -> VideoPacket:
        for _ in range(_MAX_ERRORS_IN_A_ROW):
            try:
                packet = next(self._packets)
            except av.error.FFmpegError as error:
                self.last_error = (error.strerror or str(error)).lower()
                self._packets = self._container.demux(self._stream)
                continue
            except IndexError:  # a stream that begins in mid-file, as damage can make believe
                self._packets = self._container.demux(self._stream)
                continue
            if packet.size:  # the last one of all is empty: it only says that the file ends
                self._note_end(packet)
                return packet
        raise StopIteration

    def _note_end(self, packet: VideoPacket) -> None:
        if packet.pts is not None:
            end = packet.pts + (packet.duration or 0)
            self.end_ticks = end if self.end_ticks is None else max(self.end_ticks, end)

    def seek(self, ticks: int) -> list[VideoPacket] | None:
        """Go to a key frame shown at or before a moment.

        Returns:
            The first packets from there, which the reader has now passed; None where the file cannot be searched
            (then it must be opened again: where the reader stands is not known).
        """
        tick_s = self._stream.time_base
        if tick_s is None:
            return None
        for back_s in (0, 5, 30):
            try:
                self._container.seek(ticks - int(back_s / tick_s), stream=self._stream)
            except av.error.FFmpegError:
                return None
            self._packets = self._container.demux(self._stream)
            first = list(islice(self, REORDER_PACKETS))
            if first and starts_afresh(first[0]) and first[0].pts is not None and first[0].pts <= ticks:
                return first
        return None


def starts_afresh(packet: VideoPacket) -> bool:
    """Whether decoding can start at this packet and show every later frame whole."""
    codec = packet.stream.codec_context
    if codec.name != "h264" or not packet.is_keyframe:
        return packet.is_keyframe
    return h264.starts_afresh(bytes(packet), codec.extradata)


def groups(packets: Iterable[VideoPacket]) -> Iterator[tuple[list[VideoPacket], list[VideoPacket]]]:
    """Cut packets into groups of pictures.

    Yields:
        (group, ahead): from a key frame to before the next one, LONGEST_GROUP packets at most; and at least
        REORDER_PACKETS that follow it, fewer at the end of the file only.
    """
    source = iter(packets)
    pending: list[VideoPacket] = list(islice(source, 1))
    scanned = 1
    while pending:
        while scanned < min(len(pending), LONGEST_GROUP) and not starts_afresh(pending[scanned]):
            scanned += 1
        missing = scanned + REORDER_PACKETS - len(pending)
        more = list(islice(source, missing)) if missing > 0 else []
        pending += more
        if more and scanned < LONGEST_GROUP and not starts_afresh(pending[scanned]):
            continue
        yield pending[:scanned], pending[scanned:]
        pending = pending[scanned:]
        scanned = 1
