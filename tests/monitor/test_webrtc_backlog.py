"""Pictures that come faster than they are decoded: old ones go, memory stays, and what is decoded is whole."""

import asyncio
import queue
import threading
import time
from fractions import Fraction
from itertools import count
from typing import Any

import av
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCRtpSender, RTCSessionDescription
from aiortc.codecs import get_decoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import VideoStreamTrack
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from monitor.sources.webrtc.backlog import MOST_WAITING, Backlog, bound
from monitor.sources.webrtc.session import Session
from monitor.sources.webrtc.streams import Streams
from tests.monitor.publishers import CLOCK, client_loop

CODECS = {"VP8": ("libvpx", {"deadline": "realtime"}), "H264": ("libx264", {"tune": "zerolatency", "preset": "fast"})}
EACH_KEY = 30


def coded(name: str, pictures: int, size_px: tuple[int, int]) -> list[Any]:
    """A pattern that walks, with a key picture each second."""
    library, options = CODECS[name]
    encoder: Any = av.CodecContext.create(library, "w")
    encoder.width, encoder.height = size_px
    encoder.pix_fmt, encoder.time_base, encoder.framerate = "yuv420p", Fraction(1, 30), Fraction(30)
    encoder.gop_size, encoder.bit_rate, encoder.options = EACH_KEY, 1_000_000, {**options, "g": str(EACH_KEY)}
    coarse = np.random.default_rng(0).integers(0, 255, (size_px[1] // 40, size_px[0] // 40, 3), np.uint8)
    pattern = coarse.repeat(40, axis=0).repeat(40, axis=1)
    packets: list[Any] = []
    for number in range(pictures):
        frame = av.VideoFrame.from_ndarray(np.roll(pattern, number * 3, axis=1), format="rgb24").reformat(
            format="yuv420p"
        )
        frame.pts, frame.time_base = number, Fraction(1, 30)
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return packets


@pytest.mark.parametrize("name", CODECS)
def test_a_full_backlog_is_emptied_and_begins_again_at_a_key_picture(name: str) -> None:
    lost = threading.Event()
    backlog = Backlog(lost)
    codec = RTCRtpCodecParameters(mimeType=f"video/{name}", clockRate=CLOCK, payloadType=96)
    packets = coded(name, 2 * EACH_KEY + MOST_WAITING, (160, 120))
    for number, packet in enumerate(packets):
        backlog.put((codec, JitterFrame(bytes(packet), number * 3000)))
        assert backlog.qsize() <= MOST_WAITING
    assert lost.is_set(), "a key picture is asked for"
    backlog.put(None)
    decoder = get_decoder(codec)
    decoded: list[int] = []
    while (task := backlog.get_nowait()) is not None:
        decoded += [int(frame.pts or 0) // 3000 for frame in decoder.decode(task[1])]
    # 0 to 19 fill it, 20 empties it, 30 is the next key picture; 50 empties it again, and from 60 on all fits.
    assert decoded == list(range(2 * EACH_KEY, len(packets)))
    assert backlog.skipped + len(decoded) == len(packets)


def test_a_backlog_that_is_read_loses_nothing() -> None:
    lost = threading.Event()
    backlog = Backlog(lost)
    codec = RTCRtpCodecParameters(mimeType="video/VP8", clockRate=CLOCK, payloadType=96)
    for packet in coded("VP8", 2 * EACH_KEY, (160, 120)):
        backlog.put((codec, JitterFrame(bytes(packet), 0)))
        backlog.get_nowait()
    assert backlog.skipped == 0
    assert not lost.is_set()


class Flood(VideoStreamTrack):
    """Coded pictures as fast as they can be sent."""

    def __init__(self, packets: list[Any]) -> None:
        super().__init__()
        self._packets = packets
        self._numbers = count()

    async def recv(self) -> Any:
        number = next(self._numbers)
        if number % 2 == 0:
            await asyncio.sleep(0.002)
        packet = self._packets[number % len(self._packets)]
        packet.pts = packet.dts = number
        return packet


class Slow:
    """aiortc's own decoder on a machine that gets through 20 pictures a second, whatever machine this is."""

    def __init__(self, codec: RTCRtpCodecParameters) -> None:
        self._decoder = get_decoder(codec)

    def decode(self, picture: JitterFrame) -> list[Any]:
        time.sleep(0.05)
        return list(self._decoder.decode(picture))


def test_a_flood_does_not_fill_the_memory_and_the_newest_picture_stays_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiortc.rtcrtpreceiver.get_decoder", Slow)
    stream = Streams(rate=1.0).claim("flood", None)
    waiting: list[int] = []
    with client_loop() as loop:
        session, publisher = loop.run(connected(stream, Flood(coded("H264", 60, (1920, 1080)))))
        for _ in range(40):
            time.sleep(0.1)
            waiting += [backlog.qsize() for backlog in session.backlogs]
        arrived_s = (time.monotonic_ns() - stream.arrived_ns) / 1e9
        skipped = session.backlogs[0].skipped
        loop.run(publisher.close())
        loop.run(session.close())
    assert max(waiting) <= MOST_WAITING
    assert skipped > MOST_WAITING, "more came than could be decoded"
    assert stream.received > 0
    assert arrived_s < 3.0, "pictures go on coming out"


async def connected(stream: Any, track: VideoStreamTrack) -> tuple[Session, RTCPeerConnection]:
    session = Session(stream, [], media_s=time.monotonic, ended=lambda _: None)
    publisher = RTCPeerConnection(RTCConfiguration([]))
    sender = publisher.addTransceiver(track, direction="sendonly")
    sender.setCodecPreferences(
        [one for one in RTCRtpSender.getCapabilities("video").codecs if one.mimeType == "video/H264"]
    )
    await publisher.setLocalDescription(await publisher.createOffer())
    answer = await session.answer(publisher.localDescription.sdp)
    await publisher.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    return session, publisher


def test_aiortc_still_has_what_is_bounded() -> None:
    async def receiver() -> RTCRtpReceiver:
        connection = RTCPeerConnection(RTCConfiguration([]))
        found = connection.addTransceiver("video").receiver
        await connection.close()
        return found

    with client_loop() as loop:
        found = loop.run(receiver())
    before = vars(found)
    assert isinstance(before["_RTCRtpReceiver__decoder_queue"], queue.Queue)
    assert isinstance(before["_RTCRtpReceiver__decoder_error"], threading.Event)
    backlog = bound(found)
    assert vars(found)["_RTCRtpReceiver__decoder_queue"] is backlog
