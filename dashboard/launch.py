"""The command line that serves the dashboard, and the port it needs. It starts nothing itself."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from monitor.errors import BusyError

_APP = Path(__file__).with_name("app.py")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PORTS_TRIED = 50

_LIGHT = {
    "primaryColor": "#0072B2",
    "backgroundColor": "#FBFBFA",
    "secondaryBackgroundColor": "#F2F2EF",
    "textColor": "#1F2328",
    "borderColor": "#E2E2DD",
}
_DARK = {
    "primaryColor": "#56B4E9",
    "backgroundColor": "#15181C",
    "secondaryBackgroundColor": "#1E2227",
    "textColor": "#E6E8EA",
    "borderColor": "#2E343B",
}
_SETTINGS = {
    "server.headless": "true",
    "server.fileWatcherType": "none",  # an installed app does not change; watching costs a thread
    "server.disconnectedSessionTTL": "30",  # a closed tab gives its memory back soon
    "server.maxUploadSize": "1",  # megabytes: a list of names is all that is taken in
    "runner.postScriptGC": "false",  # a full collection after each look costs more than the look itself
    "browser.gatherUsageStats": "false",
    "logger.level": "warning",  # the front door has said where the page is
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",  # a person gets our messages, the terminal the traceback
    "client.showErrorLinks": "false",
    "theme.baseRadius": "8px",
    "theme.showWidgetBorder": "true",
    "theme.headingFontWeights": "600",
}


def dashboard_command(
    store: str | Path, port: int, address: str = "127.0.0.1", models: Path | None = None
) -> list[str]:
    """The arguments of the process that serves the dashboard of one store.

    Args:
        store: path or URL of the store to read.
        port: TCP port; see `require_free_port`.
        address: interface to listen on. The default is reachable from this machine alone.
        models: folder of the model registry; None = beside the store.

    Returns:
        Arguments for `subprocess`, no shell: Python, Streamlit, its settings, then our own after "--".
    """
    settings = {**_SETTINGS, "server.address": address, "server.port": str(port)}
    if address in _LOOPBACK:
        settings["browser.serverAddress"] = "localhost"
    for scheme, colors in (("light", _LIGHT), ("dark", _DARK)):
        settings |= {f"theme.{scheme}.{name}": value for name, value in colors.items()}
    flags = [part for name, value in settings.items() for part in (f"--{name}", value)]
    if address in _LOOPBACK:
        # Another site must not reach the page by a name of its own that resolves to this machine.
        flags += [part for host in _LOOPBACK for part in ("--server.allowedHosts", host)]
    told = ["--store", str(store), *(["--models", str(models)] if models else [])]
    return [sys.executable, "-m", "streamlit", "run", str(_APP), *flags, "--", *told]


def require_free_port(port: int, address: str = "127.0.0.1") -> None:
    """Return if the port can be listened on.

    Raises:
        BusyError: it cannot; the message names the next port that can.
    """
    reason = _why_not(port, address)
    if reason is None:
        return
    free = next((p for p in range(port + 1, min(port + _PORTS_TRIED, 65_536)) if _why_not(p, address) is None), None)
    advice = f"Port {free} is free: add --port {free}." if free else "Give another one with --port."
    raise BusyError(f"port {port} on {address} cannot be used for the dashboard ({reason}). {advice}")


def _why_not(port: int, address: str) -> str | None:
    if not 1 <= port <= 65_535:
        return "a port is a number from 1 to 65535"
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if sys.platform == "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            # A server that ended a moment ago leaves its port waiting; that is no obstacle.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return (error.strerror or str(error)).lower()
    return None
