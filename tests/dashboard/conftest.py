"""A real Streamlit server and a real Chromium for the dashboard's tests."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

from dashboard.launch import dashboard_command

PATIENCE_MS = 90_000


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def chromium(playwright: Playwright, chromium_path: Path) -> Iterator[Browser]:
    """A headless browser."""
    browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox"])
    yield browser
    browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A tab that waits longer than Playwright does by itself: the first page of a Streamlit server is slow."""
    expect.set_options(timeout=PATIENCE_MS / 2)
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    yield page
    page.close()


@contextmanager
def dashboard_of(store: Path) -> Iterator[str]:
    """Serve the dashboard of a store as `classroom` does; gives its address."""
    port = free_port()
    log = store.with_suffix(".dashboard.log")
    with log.open("wb") as out:
        server = subprocess.Popen(dashboard_command(store, port), stdout=out, stderr=subprocess.STDOUT)
    try:
        _wait_until_up(f"http://localhost:{port}/_stcore/health", server, log)
        yield f"http://localhost:{port}"
    finally:
        server.terminate()
        server.wait(60)
    said = log.read_text(errors="replace")
    assert "Traceback" not in said, said


def acknowledge(page: Page) -> None:
    """Answer what the first start asks."""
    page.get_by_label("Your name").fill("Test")
    # The box itself lies under its own drawing.
    page.get_by_text("I confirm the three points above").click()
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_text("Before you begin")).to_have_count(0)


def _wait_until_up(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 90
    while time.monotonic() < until:
        if server.poll() is not None:
            break
        try:
            with urlopen(address, timeout=1):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    pytest.fail(f"the dashboard did not start: {log.read_text(errors='replace')}")
