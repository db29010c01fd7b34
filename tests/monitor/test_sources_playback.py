"""A recording played as if it were live comes at its times, drops what nobody takes, and ends cleanly."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from monitor.errors import SourceError
from monitor.sources import demo
from monitor.sources.source import SourceCounts, open_source
from tests.recordings import Film, number_in, steady, write_recording

LATE_S = 0.4
"""What a loaded machine may be late by; the period is set against it."""


@pytest.fixture(scope="module")
def lecture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recording(tmp_path_factory.mktemp("playback") / "lecture.mp4", Film(steady(50)))


def test_samples_come_at_their_times_with_both_clocks(lecture: Path) -> None:
    with open_source(str(lecture), rate=2.0, realtime=True) as source:
        assert source.live
        begun, begun_at = time.monotonic(), datetime.now(UTC)
        for frame in source.frames():
            late_s = time.monotonic() - begun - frame.pts_s
            assert -0.02 <= late_s < LATE_S
            assert 0 <= (time.monotonic_ns() - frame.monotonic_ns) / 1e9 < LATE_S
            assert frame.captured_at is not None
            assert abs((frame.captured_at - begun_at).total_seconds() - frame.pts_s) < LATE_S
            assert number_in(frame.image_bgr) == round(frame.pts_s * 25)
    assert source.counts == SourceCounts(captured=4, dropped=0, delivered=4)
    assert source.started_at is not None


def test_a_slow_taker_gets_the_newest_and_the_rest_is_counted(lecture: Path) -> None:
    indices = []
    with open_source(str(lecture), rate=10.0, realtime=True) as source:
        for frame in source.frames():
            indices.append(frame.index)
            if frame.index == 2:
                time.sleep(0.95)
        counts = source.counts
    assert indices[:3] == [0, 1, 2]
    assert indices[3] >= 10  # the newest after the sleep, not number 3
    assert counts.delivered == len(indices)
    assert counts.captured == 20 == counts.delivered + counts.dropped
    assert counts.dropped >= 7


def test_a_start_within_begins_at_once(lecture: Path) -> None:
    begun = time.monotonic()
    with open_source(str(lecture), rate=4.0, start_s=1.5, realtime=True) as source:
        assert [frame.pts_s for frame in source.frames()] == [1.52, 1.76]
    assert time.monotonic() - begun < 1.0 + LATE_S


def test_closing_from_another_thread_ends_the_wait_and_the_thread(lecture: Path) -> None:
    before = threading.active_count()
    source = open_source(str(lecture), rate=1.0, realtime=True)
    closer = threading.Timer(0.2, source.close)
    closer.start()
    begun = time.monotonic()
    assert [frame.index for frame in source.frames()] == [0]
    assert 0.1 < time.monotonic() - begun < 0.9
    closer.join()
    assert threading.active_count() == before


def test_leaving_early_ends_the_thread(lecture: Path) -> None:
    before = threading.active_count()
    with open_source(str(lecture), rate=10, realtime=True) as source:
        for _ in source.frames():
            break
    assert threading.active_count() == before


def test_an_error_while_reading_reaches_whoever_takes_the_frames(
    lecture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise MemoryError("no room for the picture")

    monkeypatch.setattr("monitor.sources.display.Display.bgr", broken)
    for realtime in (True, False):
        with open_source(str(lecture), realtime=realtime) as source, pytest.raises(MemoryError, match="no room"):
            list(source.frames())


def test_the_demo_is_the_shipped_lecture(lecture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "DEMO_ASSET", str(lecture))
    with open_source("demo", rate=4.0, start_s=1.0) as source:
        assert source.uri == "demo" and source.live
        assert source.duration_s == pytest.approx(2.0)
        assert [round(frame.pts_s, 2) for frame in source.frames()] == [1.0, 1.28, 1.52, 1.76]


def test_a_package_without_its_demo_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "DEMO_ASSET", "assets/gone.mp4")
    with pytest.raises(SourceError, match="missing from the package"):
        open_source("demo")
