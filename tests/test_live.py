"""A live monitor on a recording played in real time: which lecture it goes on in, and what the store says of it."""

from pathlib import Path

import pytest

from monitor.config import MonitorSettings
from monitor.errors import BusyError, StoreError
from monitor.live import LiveMonitor
from monitor.store.reader import StoreReader
from monitor.store.records import LectureRecord
from tests.galleries import name_of, portrait
from trainer.synthetic.gallery_video import Attendee, Recording, Schedule, write_gallery_video

RATE = 5
SETTINGS = MonitorSettings(rate=RATE)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("live") / "class.mp4"
    people = [Attendee(f"p{number}", name_of(number), portrait(number)) for number in range(4)]
    write_gallery_video(path, Schedule(people, 4), Recording((640, 360), fps=RATE))
    return str(path)


def watch(source: str, store: Path, *, moments: int | None = None, lecture_id: str | None = None) -> str:
    """Watch to the end, or until Ctrl-C comes after some moments; returns the lecture."""
    monitor = LiveMonitor(source, SETTINGS, store=str(store), lecture_id=lecture_id)
    stored = 0

    def interrupt(latency_ms: float, waiting: int) -> None:
        nonlocal stored
        stored += 1
        if stored == moments:
            raise KeyboardInterrupt

    monitor.on_stored = interrupt
    try:
        monitor.run()
    except KeyboardInterrupt:
        assert moments is not None
    finally:
        monitor.close()
    return monitor.lecture_id


def lectures(store: Path) -> list[LectureRecord]:
    with StoreReader(store) as reader:
        return reader.lectures()


def test_an_interrupted_lecture_goes_on_where_it_stopped(recording: str, tmp_path: Path) -> None:
    store = tmp_path / "live.db"
    first = watch(recording, store, moments=6)
    assert lectures(store)[0].ended_at is not None, "Ctrl-C is a clean end"
    assert watch(recording, store) == first
    with StoreReader(store) as reader:
        indices = sorted({row.index for row in reader.observations(first)})
        assert reader.lecture(first).last_pts_s == pytest.approx(4 - 1 / RATE)  # type: ignore[union-attr]  # it is there, or the test fails
    assert indices == sorted(set(indices)), "no moment twice"


def test_a_recording_played_to_its_end_is_a_new_lecture_next_time(recording: str, tmp_path: Path) -> None:
    store = tmp_path / "live.db"
    first = watch(recording, store)
    assert watch(recording, store, moments=2) != first
    assert len(lectures(store)) == 2


def test_a_lecture_that_is_not_there_cannot_be_gone_on_with(recording: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="leave --lecture out"):
        LiveMonitor(recording, SETTINGS, store=str(tmp_path / "live.db"), lecture_id="yesterday")


def test_two_monitors_of_one_lecture_are_refused(recording: str, tmp_path: Path) -> None:
    store = tmp_path / "live.db"
    lecture_id = watch(recording, store, moments=2)
    first = LiveMonitor(recording, SETTINGS, store=str(store), lecture_id=lecture_id)
    try:
        with pytest.raises(BusyError):
            LiveMonitor(recording, SETTINGS, store=str(store), lecture_id=lecture_id)
    finally:
        first.close()


def test_the_heartbeat_counts_and_ends(recording: str, tmp_path: Path) -> None:
    store = tmp_path / "live.db"
    lecture_id = watch(recording, store)
    with StoreReader(store) as reader:
        status = reader.status(lecture_id)
    assert status is not None
    assert status.state == "ended"
    assert status.captured == status.dropped + status.delivered
    assert status.delivered > 0
