"""The dashboard as a process of its own: started, waited for and ended by the front door."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dashboard.launch import dashboard_command, require_free_port

LOOPBACK = "127.0.0.1"
END_WITHIN_S = 5.0


class Dashboard:
    """A Streamlit server over one store, on this machine only.

    Args:
        store: the database file that it reads.
        port: where it listens.
        models: folder of the model registry; None = beside the store.

    Raises:
        BusyError: the port is taken.
    """

    def __init__(self, store: Path, port: int, models: Path | None = None) -> None:
        require_free_port(port, LOOPBACK)
        self.url = f"http://{LOOPBACK}:{port}"
        interpreter, _, _, *arguments = dashboard_command(str(store), port, LOOPBACK, models)
        self._process = subprocess.Popen(
            [interpreter, "-m", "dashboard.serve", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            # A Ctrl-C in the terminal is for the front door, which then ends this process in order.
            start_new_session=sys.platform != "win32",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )

    def wait(self) -> int:
        """Wait until the server ends by itself; returns its exit code."""
        return self._process.wait()

    def close(self) -> None:
        """End the server. Safe to call twice."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
