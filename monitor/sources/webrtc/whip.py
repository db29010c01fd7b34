"""WHIP (RFC 9725) over aiohttp: offers in, answers out.

Knows no pixels; who may and what is sound is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable

from aiohttp import web

from monitor.sources.webrtc.sdp import OfferError, UnsuitableOfferError, read_fragment, read_offer
from monitor.sources.webrtc.session import Session
from monitor.sources.webrtc.settings import IngestSettings
from monitor.sources.webrtc.streams import STREAM_ID, TICKET, Stream, Streams, StreamTakenError, TooManyStreamsError

OFFER_TYPE = "application/sdp"
FRAGMENT_TYPE = "application/trickle-ice-sdpfrag"
TICKET_HEADER = "Classroom-Ticket"
STREAM_HEADER = "Classroom-Stream"
BODY_WITHIN_S = 10.0
RETRY_AFTER_S = 5
_PAST_SESSIONS_KEPT = 256

logger = logging.getLogger("monitor.webrtc")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Whip:
    """The endpoint /whip and /whip/NAME, and a session resource for each publisher.

    Args:
        settings: how many publishers, which ICE servers.
        streams: where the pictures go.
        media_s: seconds of media time now.
    """

    def __init__(self, settings: IngestSettings, streams: Streams, media_s: Callable[[], float]) -> None:
        self._settings = settings
        self._streams = streams
        self._media_s = media_s
        self._sessions: dict[str, Session] = {}
        self._replaced: deque[str] = deque(maxlen=_PAST_SESSIONS_KEPT)
        self._ended: OrderedDict[str, Stream] = OrderedDict()
        """Of connections that ended without a DELETE, which may still come."""
        self._closing: set[asyncio.Task[None]] = set()

    def routes(self) -> list[web.AbstractRouteDef]:
        """What the server listens to. Paths name streams and sessions in memory, never a file."""
        routes: list[web.AbstractRouteDef] = []
        for path in ("/whip", "/whip/{name}"):
            routes += [web.post(path, self.publish), web.options(path, _options("POST", OFFER_TYPE))]
        session = "/session/{session}"
        routes += [web.patch(session, self.trickle), web.delete(session, self.leave)]
        routes += [web.options(session, _options("PATCH, DELETE", FRAGMENT_TYPE))]
        return routes

    def session(self, request: web.Request) -> Session:
        """The session that a path names.

        Raises:
            web.HTTPNotFound: there is none.
            web.HTTPGone: another one took its place.
        """
        session_id = request.match_info["session"]
        found = self._sessions.get(session_id)
        if found is None and session_id in self._replaced:
            raise web.HTTPGone(text="The same publisher goes on in another session.")
        if found is None:
            raise web.HTTPNotFound(text="There is no such session; it may have ended. Publish again.")
        return found

    async def publish(self, request: web.Request) -> web.Response:
        """POST an offer: 201 with the answer, where the session is, and the name of its ICE session."""
        _require_type(request, OFFER_TYPE)
        name, ticket = _name(request), _ticket(request)
        try:
            offer = read_offer(await _body(request))
        except UnsuitableOfferError as error:
            raise web.HTTPUnprocessableEntity(text=str(error)) from error
        except OfferError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        session = await self._begin(name, ticket)
        try:
            answer = await session.answer(offer)
        except UnsuitableOfferError as error:
            await session.close()
            raise web.HTTPUnprocessableEntity(text=str(error)) from error
        except BaseException:
            await session.close()
            raise
        logger.info("session %s publishes stream %s", session.session_id, session.stream.stream_id)
        headers = {
            "Location": f"/session/{session.session_id}",
            "ETag": session.etag,
            "Accept-Patch": FRAGMENT_TYPE,
            STREAM_HEADER: session.stream.stream_id,
        }
        response = web.Response(status=201, text=answer, content_type=OFFER_TYPE, headers=headers)
        for link in self.ice_links():
            response.headers.add("Link", link)
        return response

    async def trickle(self, request: web.Request) -> web.Response:
        """PATCH with candidates: 204. An ICE restart: 422, as RFC 9725 asks of those who cannot."""
        session = self.session(request)
        _require_type(request, FRAGMENT_TYPE)
        try:
            fragment = read_fragment(await _body(request))
        except OfferError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        if not session.same_ice(fragment):
            raise web.HTTPUnprocessableEntity(text="ICE cannot be restarted here. Publish again with the same ticket.")
        wanted = request.headers.get("If-Match")
        if wanted is None:
            raise web.HTTPPreconditionRequired(text="Candidates need If-Match with the ETag of the session.")
        if wanted != session.etag:
            raise web.HTTPPreconditionFailed(text="This is not the ETag of the session.")
        try:
            await session.add(fragment)
        except Exception as error:  # aiortc trips over candidates in ways of its own
            raise web.HTTPBadRequest(text="a candidate cannot be used") from error
        return web.Response(status=204)

    async def leave(self, request: web.Request) -> web.Response:
        """DELETE: the publisher stops. Its connection may have been closed, and missed here, a moment before."""
        session_id = request.match_info["session"]
        stream = self._ended.pop(session_id, None)
        if stream is not None:
            stream.release(session_id)
            return web.Response()
        session = self.session(request)
        session.stream.release(session_id)
        await session.close()
        self._ended.pop(session_id, None)
        return web.Response()

    def ice_links(self) -> list[str]:
        """Link headers that name the STUN and TURN servers."""
        links = []
        for server in self._settings.ice_servers:
            link = f'<{server.url}>; rel="ice-server"'
            if server.username is not None and server.password is not None:
                name, secret = _quoted(server.username), _quoted(server.password)
                link += f'; username="{name}"; credential="{secret}"; credential-type="password"'
            links.append(link)
        return links

    async def expire(self) -> None:
        """Close what never connected and what lasts too long; called now and then."""
        for session in [session for session in self._sessions.values() if session.overdue]:
            logger.info("session %s expired", session.session_id)
            await session.close()

    async def close(self) -> None:
        """End all sessions."""
        await asyncio.gather(*(session.close() for session in list(self._sessions.values())), return_exceptions=True)
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _begin(self, name: str | None, ticket: str | None) -> Session:
        try:
            stream = self._streams.claim(name, ticket)
        except StreamTakenError as error:
            raise web.HTTPConflict(text=str(error)) from error
        except TooManyStreamsError as error:
            raise web.HTTPTooManyRequests(text=str(error)) from error
        before = self._sessions.get(stream.session_id or "")
        if before is None and len(self._sessions) >= self._settings.max_publishers:
            raise web.HTTPServiceUnavailable(
                text=f"There are {len(self._sessions)} publishers, which is all that fit. Try again later.",
                headers={"Retry-After": str(RETRY_AFTER_S)},
            )
        session = Session(stream, self._settings.ice_servers, media_s=self._media_s, ended=self._forget)
        self._sessions[session.session_id] = session
        stream.begin(session.session_id)
        if before is not None:  # the same publisher again: its old connection is of no more use
            self._sessions.pop(before.session_id, None)
            self._replaced.append(before.session_id)
            task = asyncio.create_task(before.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        return session

    def _forget(self, session: Session) -> None:
        self._sessions.pop(session.session_id, None)
        if session.stream.session_id == session.session_id:
            session.stream.session_id = None
        if session.session_id not in self._replaced:
            self._ended[session.session_id] = session.stream
            if len(self._ended) > _PAST_SESSIONS_KEPT:
                self._ended.popitem(last=False)


def _options(methods: str, accepted: str) -> Handler:
    header = "Accept-Patch" if "PATCH" in methods else "Accept-Post"

    async def options(request: web.Request) -> web.Response:
        return web.Response(status=204, headers={"Allow": f"{methods}, OPTIONS", header: accepted})

    return options


def _require_type(request: web.Request, wanted: str) -> None:
    if request.content_type != wanted:
        raise web.HTTPUnsupportedMediaType(text=f"The body must be {wanted}.")


def _name(request: web.Request) -> str | None:
    name = request.match_info.get("name")
    if name is not None and not STREAM_ID.fullmatch(name):
        raise web.HTTPBadRequest(text="A stream's name has 1 to 32 small letters, digits and hyphens.")
    return name


def _ticket(request: web.Request) -> str | None:
    ticket = request.headers.get(TICKET_HEADER)
    if ticket is not None and not TICKET.fullmatch(ticket):
        raise web.HTTPBadRequest(text=f"{TICKET_HEADER} has 16 to 128 letters, digits, - and _.")
    return ticket


async def _body(request: web.Request) -> bytes:
    """The whole body. Larger ones than the application allows are answered 413 by aiohttp, slow ones 408."""
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="The body did not come in time.") from None


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
