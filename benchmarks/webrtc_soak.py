"""Many minutes of publishing, with a slow judge or many cameras: does anything grow, starve or fall behind?

The publishers run in a process of their own and send a film that was encoded once, so that what is measured is the
monitor. The figures come from the store, as the dashboard has them.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import threading
import time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import av
import cv2
import numpy as np
import psutil
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription

from monitor.config import MonitorSettings
from monitor.live import LiveMonitor
from monitor.schema import Box
from monitor.sources.webrtc.settings import IngestSettings
from monitor.store.reader import StoreReader

WARM_UP_S = 60.0
"""Before memory is looked at: libraries are loaded and buffers are filled by then."""
LOOK_EVERY_S = 5.0
FILM_S = 20
CLOCK = 90_000
"""Ticks a second of RTP video (RFC 3551 section 5)."""
ONE_STUDENT = Box(1012, 292, 1252, 428)
"""A tile of the real gallery recording, as one student's camera."""


def soak(folder: Path, seconds: float, slow_s: float, publishers: int, recording: Path) -> dict[str, Any]:
    """Publish for so long and take the figures.

    Args:
        folder: for films and the store.
        seconds: how long.
        slow_s: how much longer each look takes than it needs.
        publishers: one sends the gallery at 720p30; more send one student of it at 360p15 each.
        recording: what they send.
    """
    height, fps = (720, 30) if publishers == 1 else (360, 15)
    film = folder / "film.ts"
    write_stream(recording, film, height=height, fps=fps, part=None if publishers == 1 else ONE_STUDENT)
    monitor = LiveMonitor("webrtc", MonitorSettings(ingest=IngestSettings(port=0)), store=str(folder / "soak.db"))
    monitor.on_stored = lambda latency_ms, waiting: time.sleep(slow_s)
    thread = threading.Thread(target=monitor.run, name="monitor")
    thread.start()
    port = monitor.notices[0].rpartition(":")[2]
    command = [sys.executable, "-m", "benchmarks.webrtc_soak", str(film), f"http://127.0.0.1:{port}", str(publishers)]
    sending = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        resident_mb = _resident_mb(seconds)
    finally:
        sending.kill()
        sending.wait()
        monitor._source.close()
        thread.join(60 + slow_s)
        monitor.close()
    return _figures(folder / "soak.db", monitor, resident_mb)


def write_stream(recording: Path, film: Path, *, height: int, fps: int, part: Box | None) -> None:
    """The first seconds of a recording as H.264 without B-frames, with a key frame each second: ready to be sent."""
    with av.open(str(recording)) as source, av.open(str(film), "w", format="mpegts") as out:
        options = {"preset": "veryfast", "tune": "zerolatency", "profile": "baseline", "crf": "26", "g": str(fps)}
        stream = out.add_stream("libx264", rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = height * 16 // 9, height, "yuv420p"
        number = 0
        for frame in source.decode(source.streams.video[0]):
            while number / fps <= float(frame.time or 0.0) and number < FILM_S * fps:
                picture = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
                picture = picture if part is None else part.cut(picture)
                small = cv2.resize(picture, (stream.width, stream.height), interpolation=cv2.INTER_AREA)
                coded = av.VideoFrame.from_ndarray(np.asarray(small, np.uint8), format="bgr24")
                coded.pts, coded.time_base = number, Fraction(1, fps)
                out.mux(stream.encode(coded.reformat(format="yuv420p")))
                number += 1
            if number >= FILM_S * fps:
                break
        out.mux(stream.encode(None))


def _resident_mb(seconds: float) -> list[float]:
    """Memory of this process, every few seconds after the warm-up."""
    process = psutil.Process()
    began_s = time.monotonic()
    found = []
    while (elapsed_s := time.monotonic() - began_s) < seconds:
        time.sleep(LOOK_EVERY_S)
        if elapsed_s >= min(WARM_UP_S, seconds / 4):
            found.append(process.memory_info().rss / 2**20)
    return found


def growth(resident_mb: list[float]) -> float | None:
    """The median of the last fifth over that of the first: each look takes some 45 MB for a moment."""
    if not resident_mb:
        return None
    fifth = max(1, len(resident_mb) // 5)
    return round(median(resident_mb[-fifth:]) - median(resident_mb[:fifth]), 1)


def _figures(store: Path, monitor: LiveMonitor, resident_mb: list[float]) -> dict[str, Any]:
    with StoreReader(store) as reader:
        rows = list(reader.observations(monitor.lecture_id))
    ages_s = [(row.committed_at - row.captured_at).total_seconds() for row in rows if row.captured_at]
    streams: dict[str, list[float]] = {}
    for row in rows:
        streams.setdefault(row.student_id.rpartition("-")[0], []).append(row.pts_s)
    rates = {
        stream: round((len(set(at)) - 1) / (max(at) - min(at)), 2) for stream, at in streams.items() if len(set(at)) > 1
    }
    moments = sorted({row.pts_s for row in rows})
    gaps_s = [later - earlier for earlier, later in pairwise(moments)]
    counts = monitor.counts
    return {
        "rss_growth_mb": growth(resident_mb),
        "rss_mb": round(resident_mb[-1], 1) if resident_mb else None,
        "rss_peak_mb": round(max(resident_mb), 1) if resident_mb else None,
        "age_max_s": round(max(ages_s, default=0.0) + max(gaps_s, default=0.0), 2),
        "labelled_hz": rates,
        "labelled_hz_min": min(rates.values(), default=0.0),
        "captured": counts.captured,
        "dropped": counts.dropped,
        "delivered": counts.delivered,
        "moments": len(moments),
    }


class FilmTrack(MediaStreamTrack):
    """The pictures of a film as they are encoded, over and over, each at its time.

    aiortc's own player keeps to the time in the first round only; after it, it sends as fast as it can.
    """

    kind = "video"

    def __init__(self, film: str) -> None:
        super().__init__()
        with av.open(film) as source:
            stream = source.streams.video[0]
            self._packets = [packet for packet in source.demux(stream) if packet.size]
            self._fps = float(stream.average_rate or 0)
        self._number = 0
        self._began_s = time.monotonic()

    async def recv(self) -> Any:
        """The next packet, when it is due."""
        number, self._number = self._number, self._number + 1
        await asyncio.sleep(max(0.0, self._began_s + number / self._fps - time.monotonic()))
        packet = self._packets[number % len(self._packets)]
        packet.pts = packet.dts = round(number * CLOCK / self._fps)
        packet.time_base = Fraction(1, CLOCK)
        return packet


async def publish(film: str, base_url: str, number: int) -> None:
    connection = RTCPeerConnection(RTCConfiguration([]))
    sender = connection.addTransceiver(FilmTrack(film), direction="sendonly")
    codecs = RTCRtpSender.getCapabilities("video").codecs
    sender.setCodecPreferences([codec for codec in codecs if codec.mimeType == "video/H264"])
    await connection.setLocalDescription(await connection.createOffer())
    async with (
        aiohttp.ClientSession() as client,
        client.post(
            f"{base_url}/whip/cam{number:02d}",
            data=connection.localDescription.sdp,
            headers={"Content-Type": "application/sdp"},
        ) as answer,
    ):
        await connection.setRemoteDescription(RTCSessionDescription(await answer.text(), "answer"))


async def publish_all(film: str, base_url: str, publishers: int) -> None:
    for number in range(publishers):
        await publish(film, base_url, number)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The publishers' process of the soak.")
    parser.add_argument("film")
    parser.add_argument("base_url")
    parser.add_argument("publishers", type=int)
    chosen = parser.parse_args()
    asyncio.run(publish_all(chosen.film, chosen.base_url, chosen.publishers))
