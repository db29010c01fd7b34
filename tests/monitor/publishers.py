"""The other end in tests: a WHIP client on aiortc with pictures made here, and a thread for its event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator, Mapping
from fractions import Fraction
from typing import Any, TypeVar

import aiohttp
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from av import VideoFrame

from monitor.schema import Image

T = TypeVar("T")
CLOCK = 90000


class Film(VideoStreamTrack):
    """A flat picture of one grey at a steady pace."""

    def __init__(self, grey: int, *, fps: float = 15.0, size_px: tuple[int, int] = (160, 120)) -> None:
        super().__init__()
        self.grey = grey
        self._fps = fps
        self._size_px = size_px
        self._number = 0
        self._began_s: float | None = None

    def picture(self, number: int) -> Image:
        width, height = self._size_px
        return np.full((height, width, 3), self.grey, np.uint8)

    async def recv(self) -> VideoFrame:
        loop = asyncio.get_running_loop()
        self._began_s = loop.time() if self._began_s is None else self._began_s
        await asyncio.sleep(max(0.0, self._began_s + self._number / self._fps - loop.time()))
        frame = VideoFrame.from_ndarray(self.picture(self._number), format="bgr24")
        frame.pts, frame.time_base = int(self._number * CLOCK / self._fps), Fraction(1, CLOCK)
        self._number += 1
        return frame


class Loop:
    """An event loop on a thread, for the client's side."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="publishers", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], timeout_s: float = 60.0) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)
        self._loop.close()


@contextlib.contextmanager
def client_loop() -> Iterator[Loop]:
    loop = Loop()
    try:
        yield loop
    finally:
        loop.close()


class Publisher:
    """Publishes tracks to a WHIP endpoint, and tells what it was answered."""

    def __init__(self, base_url: str, path: str = "/whip", headers: dict[str, str] | None = None) -> None:
        self.base_url = base_url
        self.path = path
        self.headers = headers or {}
        self.connection: RTCPeerConnection | None = None
        self.session = ""
        self.answered: Mapping[str, str] = {}

    async def publish(self, *tracks: Any) -> int:
        """Offer, answer, connect; returns the status of the POST."""
        self.connection = RTCPeerConnection(RTCConfiguration([]))
        for track in tracks:
            self.connection.addTransceiver(track, direction="sendonly")
        await self.connection.setLocalDescription(await self.connection.createOffer())
        status, body = await self.post(self.connection.localDescription.sdp)
        if status == 201:
            await self.connection.setRemoteDescription(RTCSessionDescription(body, "answer"))
        else:
            await self.connection.close()
        return status

    async def post(self, sdp: str) -> tuple[int, str]:
        headers = {"Content-Type": "application/sdp", **self.headers}
        status, self.answered, body = await request("POST", self.base_url + self.path, headers, sdp.encode())
        self.session = self.answered.get("Location", "")
        return status, body.decode()

    async def leave(self) -> int:
        status, _, _ = await request("DELETE", self.base_url + self.session, self.headers)
        await self.vanish()
        return status

    async def vanish(self) -> None:
        """As a network that is cut: the server is not told by HTTP."""
        if self.connection is not None:
            await self.connection.close()


async def request(
    method: str, url: str, headers: dict[str, str] | None = None, body: bytes | None = None
) -> tuple[int, Mapping[str, str], bytes]:
    """One HTTP request: status, headers (however they are spelled), body."""
    timeout = aiohttp.ClientTimeout(total=30)
    async with (
        aiohttp.ClientSession(timeout=timeout) as client,
        client.request(method, url, headers=headers, data=body, ssl=False) as answer,
    ):
        return answer.status, answer.headers, await answer.read()
