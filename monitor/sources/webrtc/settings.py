"""Where publishers connect, and what they must show. Knows neither aiortc nor aiohttp, so that it costs nothing."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from monitor.errors import BadInputError

DEFAULT_PORT = 8890
DEFAULT_LISTEN = f"127.0.0.1:{DEFAULT_PORT}"
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
SHORTEST_TOKEN = 16
_ICE_URL = re.compile(r"(stuns?|turns?):[A-Za-z0-9.:\[\]-]{1,253}(\?transport=(udp|tcp))?")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.:\[\]-]{1,253}")


def _default_folder() -> Path:
    return platformdirs.user_data_path("classroom", appauthor=False) / "webrtc"


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server that both ends are told of."""

    url: str
    """As in "stun:stun.example.org:3478" or "turn:turn.example.org:3478?transport=udp"."""
    username: str | None = None
    password: str | None = None

    def __post_init__(self) -> None:
        if not _ICE_URL.fullmatch(self.url):
            raise BadInputError(
                f"--ice-server {self.url!r}: expected stun:HOST:PORT or turn:HOST:PORT?transport=udp. "
                "On one machine or in one network none is needed: leave it out"
            )


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """How pictures come in over WebRTC."""

    host: str = "127.0.0.1"
    """Address to listen on. Anything but loopback needs a token and TLS."""
    port: int = DEFAULT_PORT
    """0 takes any that is free."""
    token: str | None = None
    """What publishers must show; None: nothing on loopback, else one is made and kept."""
    tls_cert: Path | None = None
    """PEM file; None: a self-signed one is made where TLS is needed."""
    tls_key: Path | None = None
    ice_servers: tuple[IceServer, ...] = ()
    """Empty: host addresses only, which needs no internet."""
    allow_origins: tuple[str, ...] = ()
    """Web pages of other origins that may publish, beside our own. With a token any may."""
    max_publishers: int = 32
    folder: Path = field(default_factory=_default_folder)
    """Where a self-signed certificate and a token that was made are kept."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise BadInputError(f"--listen needs a port from 0 to 65535, found {self.port}")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise BadInputError("--tls-cert and --tls-key belong together: give both, or none for a self-signed one")
        if self.token is not None and (len(self.token) < SHORTEST_TOKEN or not self.token.isascii()):
            raise BadInputError(
                f"the token (CLASSROOM_TOKEN) must have at least {SHORTEST_TOKEN} ASCII characters, found "
                f"{len(self.token)}. Leave it unset and one is made"
            )
        for origin in self.allow_origins:
            if not _ORIGIN.fullmatch(origin):
                raise BadInputError(f"--allow-origin {origin!r}: expected an origin as in https://school.example")

    @property
    def exposed(self) -> bool:
        """Whether others than this machine can reach the server."""
        return not is_loopback(self.host)

    @property
    def tls(self) -> bool:
        """Whether HTTPS is spoken."""
        return self.exposed or self.tls_cert is not None


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine alone."""
    name = host.strip("[]").lower()
    if name in LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def ingest_settings(
    listen: str = DEFAULT_LISTEN,
    *,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    ice_servers: Sequence[str] = (),
    allow_origins: Sequence[str] = (),
) -> IngestSettings:
    """Settings from what a person types, and from the environment what must not be seen in a list of processes.

    Args:
        listen: HOST:PORT, HOST or [IPV6]:PORT.
        tls_cert: PEM file of the certificate.
        tls_key: PEM file of its key.
        ice_servers: stun: and turn: URLs; CLASSROOM_TURN_USERNAME and CLASSROOM_TURN_PASSWORD go with the turn ones.
        allow_origins: further web origins that may publish.

    Raises:
        BadInputError: something that cannot be meant.
    """
    host, port = _host_and_port(listen)
    username = os.environ.get("CLASSROOM_TURN_USERNAME") or None
    password = os.environ.get("CLASSROOM_TURN_PASSWORD") or None
    servers = tuple(
        IceServer(url, username, password) if url.startswith("turn") else IceServer(url) for url in ice_servers
    )
    return IngestSettings(
        host=host,
        port=port,
        token=os.environ.get("CLASSROOM_TOKEN") or None,
        tls_cert=tls_cert,
        tls_key=tls_key,
        ice_servers=servers,
        allow_origins=tuple(origin.rstrip("/") for origin in allow_origins),
    )


def _host_and_port(listen: str) -> tuple[str, int]:
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::(\d{1,5}))?", listen)
    if found is None:
        raise BadInputError(
            f"--listen {listen!r}: expected HOST:PORT, as in {DEFAULT_LISTEN} or 0.0.0.0:{DEFAULT_PORT}"
        )
    return found[1].strip("[]"), int(found[2]) if found[2] else DEFAULT_PORT
