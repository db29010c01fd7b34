"""The middleware before every request: hosts, origins and tokens, CORS, and headers that keep a page to itself."""

from __future__ import annotations

import logging
import math

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from monitor.sources.webrtc.access import Access
from monitor.sources.webrtc.whip import STREAM_HEADER, TICKET_HEADER

_OPEN_METHODS = frozenset({"GET", "HEAD"})
"""Of the page's own files, which hold no secret."""
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), display-capture=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_CORS_METHODS = "POST, PATCH, DELETE, GET, OPTIONS"
_CORS_HEADERS = f"Authorization, Content-Type, If-Match, {TICKET_HEADER}"
_CORS_EXPOSED = f"Location, ETag, Link, Accept-Post, Accept-Patch, Retry-After, {STREAM_HEADER}"

logger = logging.getLogger("monitor.webrtc")


def guard(access: Access, open_paths: frozenset[str]) -> Middleware:
    """The middleware.

    Args:
        access: the rules.
        open_paths: what may be read without a token.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            _admit(access, request, open_paths)
            response = await handler(request)
        except web.HTTPException as error:
            response = error
        except Exception:
            logger.exception("a request failed")
            response = web.HTTPInternalServerError(text="The monitor met an error; see its log.")
        if response.prepared:
            return response
        response.headers.update(_HEADERS)
        _allow_origin(access, request, response)
        if isinstance(response, web.HTTPException):
            raise response
        return response

    return middleware


def _admit(access: Access, request: web.Request, open_paths: frozenset[str]) -> None:
    """Let a request pass, or raise the answer that turns it away."""
    if not access.host_fits(request.headers.get("Host")):
        raise web.HTTPMisdirectedRequest(text="This host is not served here.")
    if not access.origin_fits(request.headers.get("Origin"), request.headers.get("Host")):
        raise web.HTTPForbidden(text="Pages of this origin may not publish here; see --allow-origin.")
    if request.method == "OPTIONS" or (request.method in _OPEN_METHODS and request.path in open_paths):
        return
    address = request.remote or ""
    wait_s = access.failures.wait_s(address)
    if access.token_needed and wait_s > 0:
        raise web.HTTPTooManyRequests(
            text="Too many wrong tokens. Try again later.", headers={"Retry-After": str(math.ceil(wait_s))}
        )
    shown = request.headers.get("Authorization")
    if not access.token_fits(shown):
        if shown is not None:  # none at all is somebody who does not know yet that one is needed
            access.failures.failed(address)
        raise web.HTTPUnauthorized(text="A token is needed.", headers={"WWW-Authenticate": 'Bearer realm="classroom"'})


def _allow_origin(access: Access, request: web.Request, response: web.StreamResponse) -> None:
    origin = request.headers.get("Origin")
    response.headers["Vary"] = "Origin"
    if origin is None or not access.origin_fits(origin, request.headers.get("Host")):
        return
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Expose-Headers"] = _CORS_EXPOSED
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = _CORS_METHODS
        response.headers["Access-Control-Allow-Headers"] = _CORS_HEADERS
        response.headers["Access-Control-Max-Age"] = "600"
