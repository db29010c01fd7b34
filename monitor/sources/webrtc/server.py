"""The web server that publishers connect to: a thread of its own with an event loop of its own. Knows no pixels."""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from collections.abc import Callable

from aiohttp import web

from monitor.errors import BusyError
from monitor.sources.source import Closing
from monitor.sources.webrtc.access import Access
from monitor.sources.webrtc.door import guard
from monitor.sources.webrtc.page import OPEN_PATHS, CapturePage
from monitor.sources.webrtc.sdp import MOST_BYTES
from monitor.sources.webrtc.settings import IngestSettings
from monitor.sources.webrtc.streams import Streams
from monitor.sources.webrtc.whip import Whip

_START_S = 20.0
_CLOSE_S = 10.0
_LOOK_EVERY_S = 2.0
_HEADER_BYTES = 8190

logger = logging.getLogger("monitor.webrtc")


class IngestServer(Closing):
    """Listens until it is closed.

    Args:
        settings: where, and who may.
        streams: where the pictures go.
        rate: samples per second, for the page.
        media_s: seconds of media time now.
        tls: None speaks plain HTTP.

    Raises:
        BusyError: the address cannot be listened on.
    """

    def __init__(
        self,
        settings: IngestSettings,
        streams: Streams,
        *,
        rate: float,
        media_s: Callable[[], float],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.port = settings.port
        self._settings = settings
        self._tls = tls
        self._access = Access(settings)
        self._whip = Whip(settings, streams, media_s)
        self._page = CapturePage(settings, self._whip, rate=rate)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._started = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="webrtc", daemon=True)
        self._thread.start()
        self._started.wait(_START_S)
        if self._error is not None:
            self._thread.join(_CLOSE_S)
            raise self._explained(self._error)

    def close(self) -> None:
        """End all connections and the thread; may be called twice."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except Exception as error:
            self._error = error
            if self._started.is_set():
                logger.exception("the server ended")
        finally:
            self._started.set()
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    async def _serve(self) -> None:
        application = web.Application(
            client_max_size=MOST_BYTES, middlewares=[guard(self._access, OPEN_PATHS)], logger=logger
        )
        application.add_routes([*self._whip.routes(), *self._page.routes()])
        runner = web.AppRunner(
            application,
            access_log=None,  # it would hold addresses and whatever strangers write into paths
            handle_signals=False,
            keepalive_timeout=30.0,
            max_line_size=_HEADER_BYTES,
            max_field_size=_HEADER_BYTES,
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._settings.host, self._settings.port, ssl_context=self._tls)
            await site.start()
            self.port = runner.addresses[0][1]
            self._started.set()
            while not self._stop.is_set():
                await self._whip.expire()
                await _wait(self._stop, _LOOK_EVERY_S)
        finally:
            await self._whip.close()
            await runner.cleanup()

    def _explained(self, error: BaseException) -> BaseException:
        if not isinstance(error, OSError):
            return error
        where = f"{self._settings.host}:{self._settings.port}"
        return BusyError(
            f"{where}: publishers cannot connect there ({error.strerror or error}). Close the other program, or choose "
            f"another port: --listen {self._settings.host}:{self._settings.port + 1}"
        )


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        pass
