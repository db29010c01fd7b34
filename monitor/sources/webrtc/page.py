"""The capture page, and the two small answers it asks for. Files are read once at the start: no request opens one."""

from __future__ import annotations

import time
from importlib import resources

from aiohttp import web

from monitor.sources.webrtc.settings import IngestSettings
from monitor.sources.webrtc.whip import Whip

_FILES = {
    "/": ("capture.html", "text/html"),
    "/capture.css": ("capture.css", "text/css"),
    "/capture.js": ("capture.js", "text/javascript"),
    "/publisher.js": ("publisher.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
OPEN_PATHS = frozenset(_FILES)
"""What may be read without a token."""


class CapturePage:
    """Routes of the page.

    Args:
        settings: ICE servers for the browser.
        whip: whose sessions are asked about.
        rate: samples per second, to be told.
    """

    def __init__(self, settings: IngestSettings, whip: Whip, *, rate: float) -> None:
        self._settings = settings
        self._whip = whip
        self._rate = rate
        folder = resources.files("monitor") / "assets" / "capture"
        self._files = {path: (folder.joinpath(name).read_bytes(), kind) for path, (name, kind) in _FILES.items()}

    def routes(self) -> list[web.AbstractRouteDef]:
        """What the server listens to."""
        files: list[web.AbstractRouteDef] = [web.get(path, self._file) for path in self._files]
        return [*files, web.get("/config", self._config), web.get("/session/{session}/status", self._status)]

    async def _file(self, request: web.Request) -> web.Response:
        content, kind = self._files[request.path]
        return web.Response(body=content, content_type=kind, charset="utf-8")

    async def _config(self, request: web.Request) -> web.Response:
        servers = [
            {"urls": s.url} | ({"username": s.username, "credential": s.password or ""} if s.username else {})
            for s in self._settings.ice_servers
        ]
        return web.json_response({"ice_servers": servers, "rate": self._rate})

    async def _status(self, request: web.Request) -> web.Response:
        session = self._whip.session(request)
        stream, now_ns = session.stream, time.monotonic_ns()
        return web.json_response(
            {
                "stream": stream.stream_id,
                "state": session.state,
                "width": stream.size_px[0],
                "height": stream.size_px[1],
                "received": stream.received,
                "judged": stream.counts.delivered,
                "dropped": stream.counts.dropped,
                "picture_age_s": round((now_ns - stream.arrived_ns) / 1e9, 2) if stream.arrived_ns else None,
                "judged_age_s": round((now_ns - stream.judged_ns) / 1e9, 2) if stream.judged_ns else None,
            }
        )
