"""From a browser's fake camera to the dashboard's page, on the real gallery recording at 720p and 30 pictures a second.

    python -m benchmarks.webrtc [--seconds 60] [--recording PATH]
    python -m benchmarks.webrtc --soak 30 --slow 5        # 30 minutes while each look takes 5 seconds
    python -m benchmarks.webrtc --publishers 10 --soak 5  # ten cameras at 360p15 at once

The last line is one JSON object. `p95_ms`: from a picture given by the camera to its raw labels painted on the
dashboard's page, over all sampled pictures; `stored_p95_ms`: from its arrival here to its labels stored; `kappa`: of
the labels with those that `score` gives to the same pictures, known by a number in them, without the way through a
browser and a network, and paired by place; `pairs` tells of how many. The camera gives 30 pictures a second, the page
sends fewer: `sent_fps`. The recording chooses nothing: it is for testing only.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet
from playwright.sync_api import BrowserContext, Page, sync_playwright

from benchmarks.gallery import RECORDING
from benchmarks.webrtc_film import read_number, write_films, write_pictures
from benchmarks.webrtc_soak import soak
from dashboard.agreement import cohen_kappa
from dashboard.process import Dashboard
from monitor.config import MonitorSettings
from monitor.live import LiveMonitor
from monitor.schema import Box, Frame
from monitor.score import score_recordings
from monitor.sources.webrtc.ingest import WebRtc
from monitor.sources.webrtc.settings import IngestSettings
from monitor.store.reader import StoreReader
from monitor.store.records import StoredObservation
from tests.chromium import find_chromium

WARM_UP_S = 8.0
"""Loading, reading all names, and the browser's bit rate finding its height; reported apart."""
FILM_S = 90.0
SAME_PLACE_IOU = 0.8
_CAMERA = (
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
)
_WATCH_CAMERA = """(video) => {
  const strip = new OffscreenCanvas(128, 8).getContext("2d", { willReadFrequently: true });
  window.given = [];
  const look = () => {
    const scale = video.videoWidth / 1280;
    strip.drawImage(video, 0, 0, 128 * scale, 8 * scale, 0, 0, 128, 8);
    const pixels = strip.getImageData(0, 4, 128, 1).data;
    let number = 0;
    for (let place = 0; place < 14; place++) number = 2 * number + (pixels[4 * (place * 8 + 4)] > 127 ? 1 : 0);
    window.given.push([number, Date.now()]);
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
}"""
_WATCH_PAGE = """(room) => {
  window.paints = [];
  new MutationObserver(() => {
    const painted = Number(room.dataset.painted);
    requestAnimationFrame(() => setTimeout(() => window.paints.push([painted, Date.now()])));
  }).observe(room, { attributes: true, attributeFilter: ["data-painted"] });
}"""


@dataclass(slots=True)
class Seen:
    """What the monitor saw, by index of the sample."""

    numbers: dict[int, int] = field(default_factory=dict)
    widths_px: dict[int, int] = field(default_factory=dict)
    stored_ms: list[float] = field(default_factory=list)
    waiting_max: int = 0


class Observed(LiveMonitor):
    """A monitor that notes the number in each picture it looks at."""

    seen: Seen

    def _rebased(self, frame: Frame) -> Frame:
        rebased = super()._rebased(frame)
        number = read_number(frame.image_bgr)
        if number is not None:
            self.seen.numbers[rebased.index] = number
        self.seen.widths_px[rebased.index] = frame.image_bgr.shape[1]
        return rebased


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recording", type=Path, default=RECORDING)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--soak", type=float, default=0.0, metavar="MINUTES")
    parser.add_argument("--slow", type=float, default=0.0, metavar="SECONDS", help="how long each look takes longer")
    parser.add_argument("--publishers", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.soak:
            found = soak(Path(folder), 60 * arguments.soak, arguments.slow, arguments.publishers, arguments.recording)
        else:
            found = measure(arguments.recording, Path(folder), arguments.seconds)
        print(json.dumps(found))


def measure(recording: Path, folder: Path, seconds: float) -> dict[str, Any]:
    """Publish, watch and look at the dashboard for so many seconds; then score the same film and compare."""
    camera, film = write_films(recording, folder, seconds=FILM_S)
    store = folder / "live.db"
    with watching(store) as (monitor, base_url), browsers(camera) as (context, other):
        panel = Dashboard(store=monitor.store_path, port=_free_port())
        try:
            publishing = _publish(context, base_url)
            room = _open_room(other, panel.url)
            time.sleep(WARM_UP_S)
            began_at_s, received = time.time(), _received(monitor)
            time.sleep(seconds)
            sent_fps = (_received(monitor) - received) / (time.time() - began_at_s)
            given: list[tuple[int, float]] = publishing.evaluate("window.given")
            paints: list[tuple[float, float]] = room.evaluate("window.paints")
        finally:
            panel.close()
    with StoreReader(store) as reader:
        rows = [row for row in reader.observations(monitor.lecture_id) if row.committed_at.timestamp() > began_at_s]
    delays = list(end_to_end_ms(rows, monitor.seen, given, paints))
    indices = sorted({row.index for row in rows if row.index in monitor.seen.numbers})
    pairs = list(paired(rows, monitor.seen, scored_rows(film, monitor.seen, indices, folder)))
    kappa = cohen_kappa([(live, scored) for live, scored, _ in pairs], [student for _, _, student in pairs])
    counts = monitor.counts
    return {
        "p95_ms": _percentile(delays, 0.95),
        "p50_ms": _percentile(delays, 0.5),
        "stored_p95_ms": _percentile(monitor.seen.stored_ms[int(WARM_UP_S) :], 0.95),
        "kappa": None if kappa.value is None else round(kappa.value, 3),
        "kappa_low": None if kappa.low is None else round(kappa.low, 3),
        "pairs": len(pairs),
        "samples": len({row.index for row in rows}),
        "painted": len(delays),
        "waiting_max": monitor.seen.waiting_max,
        "captured": counts.captured,
        "dropped": counts.dropped,
        "sent_fps": round(sent_fps, 1),
        "load": os.getloadavg()[0],
        "picture_widths_px": sorted(set(monitor.seen.widths_px.values())),
    }


def _received(monitor: LiveMonitor) -> int:
    source = monitor._source
    assert isinstance(source, WebRtc)
    return sum(stream.received for stream in source._streams.all())


@contextmanager
def watching(store: Path, rate: float = 1.0) -> Iterator[tuple[Observed, str]]:
    """A live monitor on a thread of its own, and where to publish to it."""
    settings = MonitorSettings(rate=rate, ingest=IngestSettings(port=_free_port()))
    monitor = Observed("webrtc", settings, store=str(store))
    monitor.seen = Seen()

    def stored(latency_ms: float, waiting: int) -> None:
        monitor.seen.stored_ms.append(latency_ms)
        monitor.seen.waiting_max = max(monitor.seen.waiting_max, waiting)

    monitor.on_stored = stored
    thread = threading.Thread(target=monitor.run, name="monitor")
    thread.start()
    try:
        yield monitor, f"http://127.0.0.1:{settings.ingest.port}"
    finally:
        monitor._source.close()
        thread.join(60)
        monitor.close()


@contextmanager
def browsers(camera: Path) -> Iterator[tuple[BrowserContext, BrowserContext]]:
    """Two headless browsers, the first with a film for a camera. One alone puts to sleep what is not in front."""
    film = f"--use-file-for-fake-video-capture={camera}"
    with sync_playwright() as playwright:
        path = find_chromium(playwright)
        first = playwright.chromium.launch(executable_path=path, args=[*_CAMERA, film])
        second = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield first.new_context(permissions=["camera"]), second.new_context()
        finally:
            first.close()
            second.close()


def _publish(context: BrowserContext, base_url: str) -> Page:
    page = context.new_page()
    page.goto(base_url)
    page.get_by_role("button", name="A camera").click()
    page.locator("body[data-state=live]").wait_for(timeout=60_000)
    page.locator("#preview").evaluate(_WATCH_CAMERA)
    return page


def _open_room(context: BrowserContext, url: str) -> Page:
    """The dashboard's live page, once it shows a room; what the first start asks is answered."""
    page = context.new_page()
    page.goto(url)
    name = page.get_by_label("Your name")
    room = page.locator(".room")
    name.or_(room).first.wait_for(timeout=120_000)
    if name.count():
        name.fill("Benchmark")
        page.get_by_text("I confirm the three points above").click()
        page.get_by_role("button", name="Begin").click()
    room.wait_for(timeout=120_000)
    room.evaluate(_WATCH_PAGE)
    return page


def end_to_end_ms(
    rows: list[StoredObservation], seen: Seen, given: list[tuple[int, float]], paints: list[tuple[float, float]]
) -> Iterator[float]:
    """Of each sampled picture: from the camera's giving it to the first paint of a page read after it was stored."""
    for index, committed_s in {row.index: row.committed_at.timestamp() for row in rows}.items():
        number = seen.numbers.get(index)
        at_ms = max((at for shown, at in given if shown == number and at <= 1000 * committed_s), default=None)
        painted_ms = min((at for read_s, at in paints if read_s >= committed_s), default=None)
        if at_ms is not None and painted_ms is not None:
            yield painted_ms - at_ms


def scored_rows(film: Path, seen: Seen, indices: list[int], folder: Path) -> dict[int, list[dict[str, Any]]]:
    """What `classroom score` says about the pictures of some samples, in a film of these alone at the pace of live."""
    pictures = folder / "sampled.mp4"
    write_pictures(film, [seen.numbers[index] for index in indices], pictures)
    score_recordings([pictures], folder / "scored", MonitorSettings())
    scored: dict[int, list[dict[str, Any]]] = {index: [] for index in indices}
    for row in pyarrow.parquet.read_table(folder / "scored" / "labels.parquet").to_pylist():
        scored[indices[round(row["time_s"])]].append(row)
    return scored


def paired(
    rows: list[StoredObservation], seen: Seen, scored: dict[int, list[dict[str, Any]]]
) -> Iterator[tuple[str, str, str]]:
    """Live label, scored label and student, where both looked at the same place of the same picture."""
    for row in rows:
        scale = 1280 / seen.widths_px[row.index]
        box = Box(*(round(scale * edge) for edge in row.box.as_tuple()))
        for other in scored.get(row.index, ()) if row.label is not None else ():
            if other["label"] is not None and _place(other).iou(box) >= SAME_PLACE_IOU:
                yield str(row.label), other["label"], row.student_id
                break


def _place(row: dict[str, Any]) -> Box:
    return Box(row["x1"], row["y1"], row["x2"], row["y2"])


def _percentile(values: list[float], share: float) -> float | None:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 1) if ordered else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
