"""Opens a recording's container, and says in words what is wrong with a file that is none.

This file decodes nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from monitor.errors import SourceError

# Formats that are one file with pictures or sound in it. Playlists (HLS, concat) and the like stay out: they would
# make a "recording" read other files, or the network.
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,mxf,h264,hevc,ivf,obu,"
    "gif,wav,mp3,aac,flac,caf,aiff,amr,opus"
)
_EXPECTED = "a recording with a picture (mp4, mov, mkv or webm)"
CODECS = ("h264", "hevc", "vp8", "vp9", "av1")
_EARLIEST_YEAR = 1990
"""Before it, a creation time is a clock that was never set (1904 and 1970 are zero in two file formats)."""


def open_container(path: Path) -> InputContainer:
    """Open a recording that has at least one video stream.

    Raises:
        SourceError: no such file, or not a recording with a picture: names the file, what was found, what to do.
    """
    if not path.exists():
        raise SourceError(f"{path}: no such file. Expected {_EXPECTED}; check the path and the spelling.")
    try:
        if path.stat().st_size == 0:
            raise SourceError(
                f"{path}: zero length. Expected {_EXPECTED}, found an empty file; download or copy it again."
            )
        options = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
        container = av.open(str(path.resolve()), container_options=options, metadata_errors="replace")
    except (av.error.FFmpegError, OSError) as error:
        raise SourceError(_refusal(path, error)) from error
    if not _pictures(container):
        unknown = [stream for stream in container.streams.video if stream.codec_context is None]
        if unknown:
            container.close()
            raise SourceError(
                f"{path}: pictures in a coding that this PyAV cannot decode. Expected H.264, HEVC, VP8, VP9 or AV1, "
                "or the file is cut within its header; convert it: ffmpeg -i IN -c:v libx264 OUT.mp4"
            )
        found = ", ".join(sorted({stream.type for stream in container.streams})) or "no stream at all"
        container.close()
        raise SourceError(
            f"{path}: no picture in it. Expected {_EXPECTED}, found {found} only; in Zoom, take the recording "
            "with video rather than the audio-only file."
        )
    return container


def decoders() -> dict[str, bool]:
    """The codings that recordings of lectures come in, and whether each can be decoded here."""
    return {codec: codec in av.codecs_available and _decodes(codec) for codec in CODECS}


def _decodes(codec: str) -> bool:
    try:
        return bool(av.Codec(codec, "r").is_decoder)
    except ValueError:
        return False


def main_video(container: InputContainer) -> VideoStream:
    """The stream to watch: the default one, else the largest; never a cover picture."""
    return max(
        _pictures(container),
        key=lambda stream: (bool(stream.disposition & stream.disposition.default), stream.width * stream.height),
    )


def duration_s(container: InputContainer, stream: VideoStream, origin: int) -> float | None:
    """Length of the pictures in seconds from `origin` (ticks of the first one), as the header promises it."""
    if "matroska" in container.format.name:  # counts from 0, not from the first picture
        end_s = _tagged_end_s(stream)
        if end_s is None and container.duration is not None:
            end_s = container.duration / av.time_base
        return None if end_s is None else max(0.0, end_s - float(origin * (stream.time_base or 0)))
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration is not None else None


def _tagged_end_s(stream: VideoStream) -> float | None:
    """Where a Matroska stream ends by its own tag, "00:01:30.040000000"."""
    try:
        hours, minutes, seconds = stream.metadata["DURATION"].split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except (KeyError, ValueError):
        return None


def started_at(container: InputContainer, stream: VideoStream) -> datetime | None:
    """UTC of the recording's start from its creation time, or None where there is none that can be true."""
    text = stream.metadata.get("creation_time") or container.metadata.get("creation_time")
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.replace(" ", "T", 1))
    except ValueError:
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment if moment.year >= _EARLIEST_YEAR else None


def _pictures(container: InputContainer) -> list[VideoStream]:
    attached: Any = av.stream.Disposition.attached_pic
    return [
        stream
        for stream in container.streams.video
        if stream.codec_context is not None and not stream.disposition & attached
    ]


def _refusal(path: Path, error: Exception) -> str:
    """What a person should read about a file that could not be opened."""
    if isinstance(error, PermissionError):
        return f"{path}: not readable by you. Expected {_EXPECTED}; check the file's permissions."
    head = _head(path)
    if _is_mp4(head) and not _has_moov(path):
        return (
            f"{path}: cut short, its index is missing (no moov atom). Expected {_EXPECTED}, found only the first part "
            "of an mp4. Download or copy it again; a recording broken by a crash may be mended with the program that "
            "made it, or with untrunc."
        )
    if _is_text(head):
        return f"{path}: not a recording. Expected {_EXPECTED}, found a text file; give the recording itself."
    if head.startswith((b"\xff\xd8\xff", b"\x89PNG")):
        return (
            f"{path}: a picture, not a recording. Expected {_EXPECTED}; label it with `classroom label`, or give the "
            "folder it lies in."
        )
    reason = str(getattr(error, "strerror", None) or error).lower()
    return (
        f"{path}: cannot be read as a recording. Expected {_EXPECTED}, found something else ({reason}). Play it to see "
        "whether it is whole, download it again, or remux it: ffmpeg -i IN -c copy OUT.mp4"
    )


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4096)
    except OSError:
        return b""


def _is_mp4(head: bytes) -> bool:
    return head[4:8] in (b"ftyp", b"mdat", b"wide", b"free")


def _has_moov(path: Path) -> bool:
    """Walk the top-level atoms of an mp4: each starts with its size and its name."""
    end = path.stat().st_size
    at = 0
    with path.open("rb") as file:
        while at + 8 <= end:
            file.seek(at)
            header = file.read(16)
            size, name = int.from_bytes(header[:4], "big"), header[4:8]
            if name == b"moov":
                return at + size <= end
            if size == 1:
                size = int.from_bytes(header[8:16], "big")
            if size < 8:
                return False
            at += size
    return False


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4  # a letter cut in two at the end
    return True
