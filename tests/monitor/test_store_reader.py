"""What readers see: the newest of each student, shares over time, exports in order; never a write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitor.errors import StoreError
from monitor.rubric import load_rubric
from monitor.schema import Box, Episode, Moment, Presence
from monitor.store.database import MonitorStatus, Store, StoreReader
from tests.monitor.builders import START, lecture, moment, observation

NOW = datetime(2026, 11, 22, 11, 0, tzinfo=UTC)


def store_with(path: Path, *moments: Moment) -> Path:
    with Store.open(path, durable=False, clock=lambda: NOW) as store:
        store.begin_lecture(lecture(), model_id="tiny-1")
        for one in moments:
            store.commit(one)
    return path


def test_a_stored_observation_reads_back_as_it_went_in(tmp_path: Path) -> None:
    path = store_with(tmp_path / "a.db", moment(0, [observation("s03", 0.0, "paper", confidence=0.75, state="screen")]))
    with StoreReader(path) as reader:
        (row,) = reader.observations("algebra")
    assert (row.student_id, row.index, row.pts_s, row.captured_at, row.committed_at) == ("s03", 0, 0.0, START, NOW)
    assert (row.box, row.presence, row.label, row.best) == (Box(480, 0, 640, 90), Presence.VISIBLE, "paper", "paper")
    assert (row.confidence, row.state, row.shown, row.model_id, row.adapter_id) == (
        *(0.75, "screen", "screen", "tiny-1", None),
    )
    assert row.probabilities == {"screen": 0.125, "paper": 0.75, "wander": 0.125}


def test_latest_gives_every_student_once_with_the_age_of_the_label(tmp_path: Path) -> None:
    path = store_with(
        tmp_path / "a.db",
        moment(0, students=["s01", "s02"]),
        moment(1, students=["s01", "s02"]),
        moment(2, [observation("s01", 2.0), observation("s03", 2.0, presence=Presence.CAMERA_OFF)]),
    )
    with StoreReader(path) as reader:
        latest = {row.observation.student_id: row for row in reader.latest("algebra")}
    assert {name: row.age_s for name, row in latest.items()} == {"s01": 0.0, "s02": 1.0, "s03": 0.0}
    assert not latest["s02"].present
    assert latest["s03"].observation.shown == "camera_off"


def test_shares_count_what_a_person_sees_in_bins_of_time(tmp_path: Path) -> None:
    path = store_with(
        tmp_path / "a.db",
        moment(0, [observation("s01", 0.0), observation("s02", 0.0, presence=Presence.CAMERA_OFF)]),
        moment(4, [observation("s01", 4.0, "paper"), observation("s02", 4.0)]),
        moment(5, [observation("s01", 5.0, "paper", state="unsure")]),
        moment(30, students=["s01"]),
    )
    with StoreReader(path) as reader:
        shares = reader.shares("algebra", bin_s=5.0)
        late = reader.shares("algebra", since_s=4.0, until_s=30.0, bin_s=5.0)
    assert [(s.started_s, s.ended_s, s.counts) for s in shares] == [
        (0.0, 5.0, {"camera_off": 1, "paper": 1, "screen": 2}),
        (5.0, 10.0, {"unsure": 1}),
        (30.0, 35.0, {"screen": 1}),
    ]
    assert [(s.started_s, s.total) for s in late] == [(4.0, 3)]


def test_observations_come_by_time_then_student_across_pages(tmp_path: Path) -> None:
    students = ["s02", "s10", "s01"]
    path = store_with(tmp_path / "a.db", *(moment(i, students=students) for i in range(450)))
    with StoreReader(path) as reader:
        rows = [(row.pts_s, row.student_id) for row in reader.observations("algebra")]
        part = [row.pts_s for row in reader.observations("algebra", since_s=200.0, until_s=203.0)]
    assert rows == sorted(rows)
    assert len(rows) == 450 * 3
    assert part == [200.0] * 3 + [201.0] * 3 + [202.0] * 3


def test_episodes_that_touch_the_asked_stretch(tmp_path: Path) -> None:
    episodes = [Episode("s01", "screen", 0.0, 10.0, 0.9), Episode("s01", "camera_off", 10.0, 20.0, None)]
    path = store_with(tmp_path / "a.db", moment(0, episodes=episodes))
    with StoreReader(path) as reader:
        assert reader.episodes("algebra") == episodes
        assert reader.episodes("algebra", since_s=15.0) == episodes[1:]
        assert reader.episodes("algebra", until_s=10.0) == episodes[:1]


def test_lectures_carry_their_rubric_and_where_they_stand(tmp_path: Path) -> None:
    path = store_with(tmp_path / "a.db", moment(0), moment(1))
    with StoreReader(path) as reader:
        (record,) = reader.lectures()
        assert reader.lecture("algebra") == record
        assert reader.lecture("geometry") is None
    assert record.rubric == load_rubric("attention")
    assert (record.moments, record.last_pts_s, record.started_at, record.ended_at) == (2, 1.0, START, None)


def test_status_names_and_thumbnail(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    heartbeat = MonitorStatus(captured=9, dropped=2, delivered=7, p95_ms=12.5, source_state="reading")
    with Store.open(path, clock=lambda: NOW) as store:
        store.begin_lecture(lecture())
        store.commit(moment(0, names={"s01": "Ada Lovelace"}, thumbnails={"s01": b"jpeg"}))
        store.commit(moment(1, thumbnails={"s01": b"newer"}))
        store.heartbeat("algebra", heartbeat)
        with StoreReader(path) as reader:  # while the writer is open
            status, thumbnail = reader.status("algebra"), reader.thumbnail("algebra", "s01")
            assert reader.names() == {"s01": "Ada Lovelace"}
            assert reader.thumbnail("algebra", "s02") is None
    assert status is not None
    assert thumbnail is not None
    assert (status.captured, status.dropped, status.p95_ms, status.updated_at) == (9, 2, 12.5, NOW)
    assert (thumbnail.jpeg, thumbnail.pts_s, thumbnail.keep_until) == (b"newer", 1.0, NOW + timedelta(days=7))


def test_a_missing_store_or_lecture_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no store here yet"):
        StoreReader(tmp_path / "none.db")
    with (
        StoreReader(store_with(tmp_path / "a.db")) as reader,
        pytest.raises(StoreError, match=r"no lecture 'geometry'"),
    ):
        reader.latest("geometry")


def test_the_last_minutes_do_not_cost_a_whole_lecture(tmp_path: Path) -> None:
    """Counted in steps of SQLite's own machine, so that a busy computer changes nothing."""
    costs = []
    for length in (100, 800):
        path = store_with(tmp_path / f"{length}.db", *(moment(i, students=["s01", "s02"]) for i in range(length)))
        with StoreReader(path) as reader:
            steps: list[int] = []
            reader._connection.set_progress_handler(lambda steps=steps: steps.append(1), 10)  # type: ignore[misc]  # mypy cannot type a default
            since_s = length - 60.0
            reader.latest("algebra")
            reader.shares("algebra", since_s=since_s)
            reader.episodes("algebra", since_s=since_s)
            assert len(list(reader.observations("algebra", since_s=since_s))) == 120
            costs.append(len(steps))
    assert costs[1] < 1.1 * costs[0]
