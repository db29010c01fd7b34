"""A publisher on another WebRTC stack than ours: werift, on Node. It is labelled, and leaves in order.

Skipped without Node or without werift: `npm i werift` in any folder, then NODE_PATH=folder/node_modules.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from monitor.config import MonitorSettings
from monitor.live import LiveMonitor
from monitor.sources.webrtc.ingest import WebRtc
from monitor.sources.webrtc.settings import IngestSettings
from monitor.store.reader import StoreReader
from tests.galleries import person_picture

CLIENT = Path(__file__).with_name("monitor") / "werift_publisher.cjs"
ENCODERS = {
    "VP8": ("libvpx", {"deadline": "realtime", "cpu-used": "8"}),
    "H264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}),
}
FPS = 10
MOMENTS = 6
WITHIN_S = 90.0


def require_werift() -> str:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node on this machine: install Node.js, and werift by npm")
    if subprocess.run([node, "-e", "require('werift')"], capture_output=True, check=False).returncode != 0:
        pytest.skip("Node has no werift: npm i werift in any folder, then NODE_PATH=folder/node_modules")
    return node


@contextmanager
def sending(codec: str, port: int) -> Iterator[None]:
    """RTP packets of a person who sits still, to a port of this machine."""
    stop = threading.Event()

    def send() -> None:
        encoder, options = ENCODERS[codec]
        picture = np.asarray(cv2.resize(person_picture(0), (320, 240)), np.uint8)
        with av.open(f"rtp://127.0.0.1:{port}?pkt_size=1200", "w", format="rtp") as out:
            stream: Any = out.add_stream(encoder, rate=FPS, options=options | {"g": str(FPS)})
            stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 320, 240, "yuv420p", 400_000
            number = 0
            while not stop.wait(1 / FPS):
                frame = av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(format="yuv420p")
                frame.pts, frame.time_base = number, Fraction(1, FPS)
                out.mux(stream.encode(frame))
                number += 1

    thread = threading.Thread(target=send, name="sender")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(true: Callable[[], bool]) -> None:
    until_s = time.monotonic() + WITHIN_S
    while not true():
        assert time.monotonic() < until_s
        time.sleep(0.05)


@pytest.mark.parametrize("codec", sorted(ENCODERS))
def test_a_client_on_werift_is_labelled_and_leaves(tmp_path: Path, codec: str) -> None:
    node, rtp_port = require_werift(), free_udp_port()
    settings = MonitorSettings(rate=4.0, layout="single", ingest=IngestSettings(port=0))
    monitor = LiveMonitor("webrtc", settings, store=str(tmp_path / "live.db"))
    source = monitor._source
    assert isinstance(source, WebRtc)
    stored: list[float] = []
    monitor.on_stored = lambda latency_ms, waiting: stored.append(latency_ms)
    watching = threading.Thread(target=monitor.run)
    watching.start()
    command = [node, str(CLIENT), f"http://127.0.0.1:{source.port}/whip/werift", str(rtp_port), codec]
    client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert client.stdin is not None and client.stdout is not None
        with sending(codec, rtp_port):
            assert json.loads(client.stdout.readline())["status"] == 201
            assert json.loads(client.stdout.readline()) == {"state": "connected"}
            wait_until(lambda: len(stored) >= MOMENTS)
            client.stdin.close()
            assert json.loads(client.stdout.readline()) == {"left": 200}
        assert client.wait(WITHIN_S) == 0
        stream = source._streams.all()[0]
        assert (stream.session_id, stream.size_px) == (None, (320, 240))
    finally:
        client.kill()
        client.wait()
        for pipe in (client.stdin, client.stdout):
            if pipe is not None:
                pipe.close()
        source.close()
        watching.join(WITHIN_S)
        monitor.close()
    with StoreReader(tmp_path / "live.db") as reader:
        rows = list(reader.observations(monitor.lecture_id))
    assert {row.student_id for row in rows} == {"werift-s01"}
    assert all(row.label is not None for row in rows)
