"""What `doctor` says about publishers and about the screen: whether they can work here, and how.

It opens no port for longer than a moment, and writes nothing.
"""

from __future__ import annotations

import importlib
import socket
from datetime import UTC, datetime
from importlib import metadata

from monitor.doctor import Finding, Status
from monitor.errors import ClassroomError
from monitor.sources.webrtc.settings import IngestSettings

_LEAKS_BEFORE = (1, 15)
"""aiortc kept memory for every picture before this version."""


def check_webrtc(settings: IngestSettings | None = None) -> Finding:
    """Whether browsers and OBS could publish: the libraries, the port, an address, and what others need."""
    chosen = settings or IngestSettings()
    try:
        importlib.import_module("aiortc")
        importlib.import_module("aiohttp")
    except ImportError as error:
        return Finding(
            "webrtc", Status.WARN, f"does not load ({error}).", "pip install --force-reinstall aiortc aiohttp"
        )
    version = metadata.version("aiortc")
    if tuple(int(part) for part in version.split(".")[:2]) < _LEAKS_BEFORE:
        return Finding("webrtc", Status.WARN, f"aiortc {version} loses memory.", "pip install --upgrade aiortc av")
    taken = _taken(chosen.port)
    if taken:
        return Finding(
            "webrtc",
            Status.WARN,
            f"port {chosen.port} is taken ({taken}).",
            f"Close that program, or choose another port: --listen 127.0.0.1:{chosen.port + 1}",
        )
    return _reach(chosen, version)


def check_screen() -> Finding:
    """Take one picture of the first monitor."""
    from monitor.sources.screen import Screen

    try:
        with Screen("screen") as screen:
            frame = next(screen.frames())
    except ClassroomError as error:
        return Finding(
            "screen", Status.WARN, "the desktop cannot be looked at directly.", str(error).rpartition(". ")[2]
        )
    if not frame.image_bgr.any():
        return Finding(
            "screen",
            Status.WARN,
            "the picture of the screen is black.",
            "Allow screen recording for the terminal in the system's privacy settings",
        )
    height, width = frame.image_bgr.shape[:2]
    return Finding("screen", Status.OK, f"screen gives {width} x {height}")


def _taken(port: int) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            return error.strerror or str(error)
    return ""


def _reach(settings: IngestSettings, version: str) -> Finding:
    from monitor.sources.webrtc.certificate import addresses

    found = addresses()
    if not found:
        return Finding(
            "webrtc",
            Status.WARN,
            f"aiortc {version}, port {settings.port} is free, but no network is up: a browser then offers no address, "
            "not even to this machine.",
            "Join any network, with or without internet; or use --source screen, which needs none",
        )
    text = (
        f"aiortc {version}; on this machine browsers share at http://127.0.0.1:{settings.port} without a token. "
        f"From other machines they give cameras to https pages only: --listen 0.0.0.0:{settings.port} makes a token "
        f"and {_certificate_words(settings)}; reachable at {', '.join(found)}."
    )
    return Finding("webrtc", Status.OK, text)


def _certificate_words(settings: IngestSettings) -> str:
    from cryptography import x509

    path = settings.folder / "certificate.pem"
    try:
        until = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return "a certificate of its own, which each browser asks about once (--tls-cert and --tls-key avoid that)"
    if until < datetime.now(UTC):
        return "a new certificate, as the old one has expired"
    return f"uses the certificate made before, good until {until:%Y-%m-%d}"
