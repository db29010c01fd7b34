"""One publisher's connection: an answer to its offer, its newest picture kept, all the rest thrown away as it comes.

Runs on the server's event loop, where nothing is ever decoded or judged: aiortc decodes on threads of its own. It knows
no HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence

from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from monitor.sources.webrtc.backlog import Backlog, bound
from monitor.sources.webrtc.sdp import MOST_CANDIDATES, Fragment, UnsuitableOfferError, ufrag_of
from monitor.sources.webrtc.settings import IceServer
from monitor.sources.webrtc.streams import Stream

CONNECT_WITHIN_S = 30.0
"""An answer that nobody follows up is forgotten after this."""
LONGEST_SESSION_S = 12 * 3600.0
"""Nobody teaches longer; a forgotten tab does."""
ANSWER_WITHIN_S = 10.0
"""A STUN or TURN server that is down must not hold an answer back for ever."""

logger = logging.getLogger("monitor.webrtc")


class Session:
    """A connection that feeds a stream.

    Args:
        stream: gets the newest picture of the first video track.
        ice_servers: STUN and TURN; empty for host addresses alone.
        media_s: seconds of media time now.
        ended: called once, when the connection is over for whatever reason.
    """

    def __init__(
        self,
        stream: Stream,
        ice_servers: Sequence[IceServer],
        *,
        media_s: Callable[[], float],
        ended: Callable[[Session], None],
    ) -> None:
        self.session_id = secrets.token_urlsafe(16)
        self.stream = stream
        self.etag = f'"{secrets.token_hex(8)}"'
        """Names the ICE session; a new one would have another, but aiortc cannot restart ICE."""
        self.backlogs: list[Backlog] = []
        """What waits to be decoded, by video track."""
        self._media_s = media_s
        self._ended = ended
        self._candidates = 0
        self._remote_ufrag: str | None = None
        self._began_s = time.monotonic()
        self._has_video = False
        self._closed = False
        self._drains: set[asyncio.Task[None]] = set()
        # An empty list is no STUN at all; None would be a server on the internet.
        servers = [RTCIceServer(s.url, s.username, s.password) for s in ice_servers]
        self._connection = RTCPeerConnection(
            RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._connection.on("track", self._on_track)
        self._connection.on("connectionstatechange", self._on_state)

    @property
    def state(self) -> str:
        """connecting, connected or ended."""
        if self._closed or self._connection.connectionState in ("failed", "closed"):
            return "ended"
        return "connected" if self._connection.connectionState == "connected" else "connecting"

    @property
    def overdue(self) -> bool:
        """Whether it never came about, or lasts too long."""
        age_s = time.monotonic() - self._began_s
        return age_s > LONGEST_SESSION_S or (age_s > CONNECT_WITHIN_S and self.state == "connecting")

    async def answer(self, offer: str) -> str:
        """The answer to an offer, with all our candidates in it.

        Raises:
            UnsuitableOfferError: no codec in common, or something else that aiortc cannot agree to.
        """
        self._remote_ufrag = ufrag_of(offer)
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await self._connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
                answer = await self._connection.createAnswer()
                await self._connection.setLocalDescription(answer)
        except TimeoutError:
            raise UnsuitableOfferError("no address was found in time; check --ice-server") from None
        except Exception as error:  # aiortc raises whatever it trips over in a foreign offer
            logger.debug("session %s: offer not agreed to", self.session_id, exc_info=True)
            raise UnsuitableOfferError(f"the offer cannot be agreed to ({type(error).__name__})") from error
        return self._connection.localDescription.sdp

    def same_ice(self, fragment: Fragment) -> bool:
        """Whether a fragment belongs to the ICE session that there is; another would be a restart."""
        return fragment.ufrag is None or fragment.ufrag == self._remote_ufrag

    async def add(self, fragment: Fragment) -> None:
        """Take trickled candidates; those that cannot be used, or are too many, are silently left out (RFC 9725)."""
        for candidate in fragment.candidates:
            self._candidates += 1
            if self._candidates <= MOST_CANDIDATES and candidate.protocol.lower() == "udp":
                await self._connection.addIceCandidate(candidate)
        if fragment.complete:
            await self._connection.addIceCandidate(None)

    async def close(self) -> None:
        """End the connection and its tracks; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._ended(self)
        await self._connection.close()
        for task in self._drains:
            task.cancel()

    def _on_track(self, track: MediaStreamTrack) -> None:
        reads = track.kind == "video" and not self._has_video
        self._has_video |= reads
        if track.kind == "video":
            receiver = next(one for one in self._connection.getReceivers() if one.track is track)
            self.backlogs += [bound(receiver)]
        # A track nobody reads would pile up in aiortc's queue without bound.
        task = asyncio.create_task(self._drain(track, self.stream if reads else None))
        self._drains.add(task)
        task.add_done_callback(self._drains.discard)

    async def _drain(self, track: MediaStreamTrack, stream: Stream | None) -> None:
        try:
            while True:
                picture = await track.recv()
                if stream is not None and isinstance(picture, VideoFrame) and not self._closed:
                    stream.put(picture, self._media_s(), time.monotonic_ns())
        except MediaStreamError:
            logger.info("session %s: %s track ended", self.session_id, track.kind)

    async def _on_state(self) -> None:
        state = self._connection.connectionState
        logger.info("session %s of stream %s: %s", self.session_id, self.stream.stream_id, state)
        if state in ("failed", "closed"):
            await self.close()
