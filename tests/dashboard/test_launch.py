"""The dashboard's command line and port."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from dashboard.launch import dashboard_command, require_free_port
from monitor.errors import BusyError
from tests.dashboard.conftest import free_port


def _flags(command: list[str]) -> dict[str, str]:
    ours = command[command.index("run") + 2 : command.index("--")]
    assert len(ours) % 2 == 0
    return dict(zip(ours[::2], ours[1::2], strict=True))


def test_serves_this_machine_alone_and_reports_to_nobody() -> None:
    flags = _flags(dashboard_command("class.db", 8501))
    assert flags["--server.address"] == "127.0.0.1"
    assert flags["--server.port"] == "8501"
    assert flags["--browser.gatherUsageStats"] == "false"
    assert flags["--server.headless"] == "true"


def test_every_setting_is_known_to_streamlit() -> None:
    from streamlit import config

    known = config.get_config_options()
    assert [name for name in _flags(dashboard_command("x", 1)) if name.removeprefix("--") not in known] == []


def test_the_store_comes_after_the_settings() -> None:
    command = dashboard_command(Path("my class.db"), 8501, "0.0.0.0")
    assert command[command.index("--") + 1 :] == ["--store", "my class.db"]
    assert "--server.allowedHosts" not in command


def test_a_free_port_passes() -> None:
    require_free_port(free_port())


def test_a_taken_port_names_the_next_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BusyError, match=rf"port {port} on 127.0.0.1 cannot be used") as caught:
            require_free_port(port)
    advised = re.search(r"add --port (\d+)", str(caught.value))
    assert advised
    assert int(advised[1]) > port
    require_free_port(int(advised[1]))


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_no_such_port(port: int) -> None:
    with pytest.raises(BusyError, match="1 to 65535"):
        require_free_port(port)
