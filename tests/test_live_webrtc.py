"""A live monitor that publishers fill: several cameras in one lecture, and the lecture after a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from monitor.config import MonitorSettings
from monitor.live import LiveMonitor
from monitor.schema import Image
from monitor.sources.webrtc.ingest import WebRtc
from monitor.sources.webrtc.settings import IngestSettings
from monitor.store.reader import StoreReader
from tests.galleries import person_picture
from tests.monitor.publishers import Film, Loop, Publisher, client_loop

SETTINGS = MonitorSettings(rate=4.0, layout="single", ingest=IngestSettings(port=0))


class Face(Film):
    """A person who sits still."""

    def __init__(self, number: int) -> None:
        super().__init__(0, fps=20.0)  # oftener than the 62 ms that a sample waits for the other camera
        self._portrait: Image = np.asarray(cv2.resize(person_picture(number), (160, 120)), np.uint8)

    def picture(self, number: int) -> Image:
        return self._portrait


@pytest.fixture
def loop() -> Iterator[Loop]:
    with client_loop() as running:
        yield running


def watch(store: Path, before: Callable[[str], None], moments: int) -> str:
    """Watch until so many moments are stored, as a person who then presses Ctrl-C."""
    monitor = LiveMonitor("webrtc", SETTINGS, store=str(store))
    assert isinstance(monitor._source, WebRtc)
    stored = 0

    def count(latency_ms: float, waiting: int) -> None:
        nonlocal stored
        stored += 1
        if stored == moments:
            raise KeyboardInterrupt

    monitor.on_stored = count
    try:
        before(f"http://127.0.0.1:{monitor._source.port}")
        with pytest.raises(KeyboardInterrupt):
            monitor.run()
    finally:
        monitor.close()
    return monitor.lecture_id


def test_each_camera_is_a_student_and_stays_one_after_a_restart(tmp_path: Path, loop: Loop) -> None:
    store = tmp_path / "live.db"
    publishers: list[Publisher] = []

    def publish(base_url: str) -> None:
        for number, name in enumerate(("ada", "ben")):
            publisher = Publisher(base_url, f"/whip/{name}", {"Classroom-Ticket": f"a-secret-of-{name}-alone"})
            assert loop.run(publisher.publish(Face(number))) == 201
            publishers.append(publisher)

    first = watch(store, publish, 8)
    with StoreReader(store) as reader:
        rows = list(reader.observations(first))
    assert {row.student_id for row in rows} == {"ada-s01", "ben-s01"}
    assert all(row.label is not None for row in rows)
    together = [index for index in {row.index for row in rows} if sum(row.index == index for row in rows) == 2]
    assert len(together) >= 3, "both cameras are one moment's"

    again = watch(store, publish, 3)
    for publisher in publishers:
        loop.run(publisher.vanish())
    assert again == first
    with StoreReader(store) as reader:
        rows = list(reader.observations(first))
    assert {row.student_id for row in rows} == {"ada-s01", "ben-s01"}, "the same students after a restart"
    seen = [(row.student_id, row.index) for row in rows]
    assert len(seen) == len(set(seen))
