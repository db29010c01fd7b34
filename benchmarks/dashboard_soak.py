"""The dashboard left open on a long lecture that goes on: what a refresh takes the server, and whether memory grows.

    python -m benchmarks.dashboard_soak [--minutes 30] [--moments 4000]

25 students; 4 000 moments are 100 000 predictions. The last line is one JSON object. `refresh_p95_ms`: from the tab's
asking to the last byte of the answer, for looks that brought something new; memory of the server is its resident size,
that of the tab its JavaScript heap after a collection, each from two minutes after the start to the end.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import CDPSession, Page, WebSocket, sync_playwright

from benchmarks.webrtc import _free_port, _percentile
from dashboard.process import Dashboard
from tests.chromium import find_chromium
from tests.dashboard.lectures import go_on, write_lecture

STUDENTS = 25
WARM_UP_S = 120.0
LOOK_EVERY_S = 10.0
NEWS_BYTES = 10_000
"""An answer of more bytes brought a room; one of fewer said that it is the same."""


class Refreshes:
    """How long each look of a tab took: from its question to the last frame of the answer, and how many bytes came."""

    def __init__(self, page: Page) -> None:
        self.found: list[tuple[float, int]] = []
        self._asked_s = self._answered_s = 0.0
        self._bytes = 0
        page.on("websocket", self._watch)

    def _watch(self, socket: WebSocket) -> None:
        socket.on("framesent", lambda _: self._asked())
        socket.on("framereceived", self._answered)

    def _asked(self) -> None:
        if self._answered_s:
            self.found.append((1000 * (self._answered_s - self._asked_s), self._bytes))
        self._asked_s, self._answered_s, self._bytes = time.monotonic(), 0.0, 0

    def _answered(self, frame: str | bytes) -> None:
        self._answered_s = time.monotonic()
        self._bytes += len(frame)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--moments", type=int, default=4000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder) / "class.db", 60 * arguments.minutes, arguments.moments)))


def measure(store: Path, seconds: float, moments: int) -> dict[str, Any]:
    """Leave a tab open for so long while a moment is stored each second."""
    room = write_lecture(store, STUDENTS, moments, odd=False)
    stop = threading.Event()
    keywords = {"first": moments, "gone_from_s": moments, "stop": stop}
    writer = threading.Thread(target=go_on, args=(store, room), kwargs=keywords)
    writer.start()
    panel = Dashboard(store=store, port=_free_port())
    try:
        return _watch(panel, seconds) | {"predictions": STUDENTS * moments, "load": os.getloadavg()[0]}
    finally:
        stop.set()
        writer.join()
        panel.close()


def _watch(panel: Dashboard, seconds: float) -> dict[str, Any]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(playwright), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        refreshes = Refreshes(page)
        open_page(page, panel.url, ".tile")
        session = page.context.new_cdp_session(page)
        server = psutil.Process(panel._process.pid)
        server_mb, tab_mb, nodes = [], [], []
        began_s = time.monotonic()
        while (elapsed_s := time.monotonic() - began_s) < seconds:
            page.wait_for_timeout(1000 * LOOK_EVERY_S)
            if elapsed_s >= min(WARM_UP_S, seconds / 4):
                server_mb.append(server.memory_info().rss / 2**20)
                heap_mb, count = _tab(session)
                tab_mb.append(heap_mb)
                nodes.append(count)
        cpu_s = server.cpu_times()
        browser.close()
    times_ms = [took for took, size in refreshes.found if size >= NEWS_BYTES]
    return {
        "minutes": round(seconds / 60, 1),
        "refreshes": len(times_ms),
        "refresh_p50_ms": _percentile(times_ms, 0.5),
        "refresh_p95_ms": _percentile(times_ms, 0.95),
        "looks": len(refreshes.found),
        "look_p50_ms": _percentile([took for took, size in refreshes.found if size < NEWS_BYTES], 0.5),
        "server_cpu_share": round((cpu_s.user + cpu_s.system) / seconds, 3),
        "server_mb": _first_last_most(server_mb),
        "tab_mb": _first_last_most(tab_mb),
        "tab_nodes": _first_last_most(nodes),
    }


def open_page(page: Page, url: str, shows: str) -> None:
    """Open a page and wait until it shows something; a server that has only just begun is asked again."""
    until_s = time.monotonic() + 60
    while True:
        try:
            page.goto(url)
            break
        except Exception:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.5)
    page.locator(shows).first.wait_for(timeout=120_000)


def _tab(session: CDPSession) -> tuple[float, float]:
    """MB of the heap that are in use, and the number of nodes, after a collection."""
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    found = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return found["JSHeapUsedSize"] / 2**20, found["Nodes"]


def _first_last_most(values: list[float]) -> dict[str, float] | None:
    """The first value, the last, and the highest."""
    if not values:
        return None
    return {"first": round(values[0], 1), "last": round(values[-1], 1), "most": round(max(values), 1)}


if __name__ == "__main__":
    main()
