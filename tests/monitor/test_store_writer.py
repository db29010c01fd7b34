"""The writer: a moment is stored whole or not at all, a lecture goes on where it stopped, two monitors don't mix."""

from __future__ import annotations

import math
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from monitor.errors import BusyError, RubricError, StoreError
from monitor.rubric import Label, Rubric
from monitor.schema import Lecture, Observation, Presence
from monitor.store.database import MonitorStatus, Store, StoreReader
from monitor.store.erasure import set_opt_out
from tests.monitor.builders import START, Clock, lecture, moment, observation, prediction

ROOT = Path(__file__).parents[2]
STUDENTS = [f"s{i:02d}" for i in range(1, 26)]


def rows_of(store: Store) -> list[tuple[int, str]]:
    with StoreReader(store.path) as reader:
        return [(row.index, row.student_id) for row in reader.observations("algebra")]


def test_a_lecture_goes_on_where_it_stopped(store: Store) -> None:
    assert store.resume_point("algebra") is None
    store.commit(moment(0))
    store.commit(moment(7, pts_s=7.5))
    point = store.resume_point("algebra")
    assert point is not None
    assert (point.index, point.pts_s, point.resume_state, point.started_at) == (7, 7.5, '{"after":7}', START)


def test_a_moment_is_stored_once(store: Store) -> None:
    store.commit(moment(3))
    for index in (3, 2):
        with pytest.raises(StoreError, match=f"moment {index} of lecture algebra is stored already; the next is 4"):
            store.commit(moment(index, students=["s02"]))
    assert rows_of(store) == [(3, "s01")]


def test_a_moment_that_fails_half_way_leaves_nothing(store: Store) -> None:
    store.commit(moment(0))
    bad = Observation(
        *("s02", observation("s02").box, Presence.VISIBLE),
        prediction("s02", 1.0, "yes", labels=("yes", "no")),
        "yes",
    )
    with pytest.raises(StoreError, match="expected the labels of this lecture's rubric, screen, paper, wander"):
        store.commit(moment(1, [observation("s01", 1.0), bad], names={"s01": "Ada"}))
    assert rows_of(store) == [(0, "s01")]
    assert store.known_names() == {}
    store.commit(moment(1))
    assert rows_of(store) == [(0, "s01"), (1, "s01")]


def test_a_full_disk_is_said_so_and_stores_nothing_by_halves(store: Store) -> None:
    store.commit(moment(0, students=STUDENTS))
    with store.writing("making the disk small") as (connection, _):
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 20}")
    stored = 1
    with pytest.raises(StoreError, match=r"classroom\.db: the disk is full.*Free some space"):
        while stored < 1000:
            store.commit(moment(stored, students=STUDENTS, thumbnails={"s01": bytes(5000)}))
            stored += 1
    assert rows_of(store) == [(index, student) for index in range(stored) for student in STUDENTS]
    with store.writing("making room") as (connection, _):
        connection.execute("PRAGMA max_page_count = 100000")
    store.commit(moment(stored))
    point = store.resume_point("algebra")
    assert point is not None
    assert point.index == stored


def test_beginning_twice_is_fine_until_there_is_a_moment(store: Store) -> None:
    store.heartbeat("algebra", MonitorStatus())
    store.begin_lecture(Lecture("algebra", "webcam:1", "attention"))
    store.commit(moment(0))
    with pytest.raises(StoreError, match="has moments up to number 0"):
        store.begin_lecture(lecture())


def test_a_rubric_of_ones_own_is_kept_in_the_store(store: Store) -> None:
    names = ("up", "down")
    labels = tuple(Label(name, f"looks {name}", "", "#000000", (f"gazes {name}",)) for name in names)
    rubric = Rubric("nods", "Nods", "behaviour", "Where?", labels, ("Whither?",))
    with pytest.raises(RubricError, match="nods"):
        store.begin_lecture(lecture("nodding", rubric_id="nods"))
    store.begin_lecture(lecture("nodding", rubric_id="nods"), rubric, sample_period_s=0.5)
    found = prediction("s01", 0.0, "up", labels=names)
    seen = Observation("s01", observation().box, Presence.VISIBLE, found, "up")
    store.commit(moment(0, [seen], lecture_id="nodding"))
    with StoreReader(store.path) as reader:
        (row,) = reader.observations("nodding")
        record = reader.lecture("nodding")
    assert row.probabilities is not None
    assert record is not None
    assert list(row.probabilities) == ["up", "down"]
    assert (record.rubric, record.sample_period_s) == (rubric, 0.5)


def test_a_lecture_nobody_began_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="no lecture 'geometry'"):
        store.commit(moment(0, lecture_id="geometry"))
    with pytest.raises(StoreError, match="no lecture 'geometry'"):
        store.heartbeat("geometry", MonitorStatus())


def test_find_recent_finds_the_newest_lecture_of_a_source(store: Store, clock: Clock) -> None:
    store.commit(moment(0))
    clock.now += timedelta(minutes=9)
    assert store.find_recent("webcam:0") == "algebra"
    assert store.find_recent("webcam:1") is None
    assert store.find_recent("webcam:0", rubric_id="engagenet") is None
    store.begin_lecture(lecture("later"))
    assert store.find_recent("webcam:0") == "later"
    clock.now += timedelta(minutes=11)
    assert store.find_recent("webcam:0") is None
    assert store.find_recent("webcam:0", within_s=math.inf) == "later"


def test_an_ended_lecture_can_be_found_and_goes_on(store: Store) -> None:
    store.commit(moment(0))
    store.end_lecture("algebra", faults=["cut short after 41.2 s"])
    assert store.ended("algebra")
    assert store.find_recent("webcam:0") == "algebra"
    assert store.find_recent("webcam:0", ended=False) is None
    with StoreReader(store.path) as reader:
        record = reader.lecture("algebra")
    assert record is not None
    assert record.faults == ("cut short after 41.2 s",)
    store.commit(moment(1))
    assert not store.ended("algebra")


def test_two_monitors_may_not_record_one_lecture_but_two(store: Store) -> None:
    with Store.open(store.path) as other:
        with pytest.raises(BusyError, match="lecture algebra is being recorded by another monitor"):
            other.resume_point("algebra")
        with pytest.raises(BusyError):
            other.commit(moment(0))
        other.begin_lecture(lecture("geometry"))
        other.commit(moment(0, lecture_id="geometry"))
        store.commit(moment(0))
        store.end_lecture("algebra")
        assert other.resume_point("algebra") is not None
    assert [path.name for path in store.path.parent.glob("*.lock")] == []


def test_a_closed_store_writes_no_more_and_holds_no_lecture(store: Store) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreError, match="this store was closed"):
        store.commit(moment(0))
    with Store.open(store.path) as other:
        other.commit(moment(0))


def test_another_writer_that_does_not_let_go_is_named(store: Store) -> None:
    with Store.open(store.path) as other:
        other._connection.execute("PRAGMA busy_timeout = 50")
        with store.writing("taking long"), pytest.raises(BusyError, match="another program has been writing"):
            other.begin_lecture(lecture("geometry"))


def test_a_reader_never_waits_for_the_writer(store: Store) -> None:
    store.commit(moment(0))
    with StoreReader(store.path) as reader, store.writing("taking long") as (connection, _):
        connection.execute("DELETE FROM episodes")
        started_s = time.monotonic()
        assert len(reader.latest("algebra")) == 1
        assert time.monotonic() - started_s < 1.0


def test_moments_and_heartbeats_may_come_from_different_threads(store: Store) -> None:
    def beat() -> None:
        for number in range(50):
            store.heartbeat("algebra", MonitorStatus(captured=number))

    thread = threading.Thread(target=beat)
    thread.start()
    for index in range(50):
        store.commit(moment(index))
    thread.join()
    with StoreReader(store.path) as reader:
        status, record = reader.status("algebra"), reader.lecture("algebra")
    assert status is not None
    assert record is not None
    assert (status.captured, record.moments) == (49, 50)


def test_an_opt_out_counts_before_the_monitor_hears_of_it(store: Store) -> None:
    store.commit(moment(0, students=["s01", "s02"]))
    set_opt_out(store, "s01", True)
    assert store.opted_out("algebra") == {"s01"}
    store.commit(moment(1, students=["s01", "s02"], thumbnails={"s01": b"x"}))
    with StoreReader(store.path) as reader:
        latest = [(row.observation.shown, row.observation.probabilities) for row in reader.latest("algebra")]
        assert reader.thumbnail("algebra", "s01") is None
    assert latest[0] == ("opted_out", None)
    assert latest[1][0] == "screen"
    set_opt_out(store, "s01", False)
    assert store.opted_out("algebra") == frozenset()


_KILLED = """
import sys, itertools
from pathlib import Path
from monitor.store.database import Store
from tests.monitor.builders import lecture, moment
with Store.open(sys.argv[1], durable=False) as store:
    point = store.resume_point("algebra")
    if point is None:
        store.begin_lecture(lecture())
    for index in itertools.count(point.index + 1 if point else 0):
        store.commit(moment(index, students=[f"s{i:02d}" for i in range(1, 26)], thumbnails={"s01": bytes(3000)}))
        print(index, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX; Windows ends processes the same way")
def test_a_killed_writer_loses_no_stored_moment_and_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "classroom.db"
    for run in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", _KILLED, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()  # from here on it commits as fast as it can
        time.sleep(0.05 + 0.037 * run)
        process.send_signal(signal.SIGKILL)
        told = [int(line) for line in process.stdout if line.strip()]
        process.stdout.close()
        process.wait()
        with Store.open(path) as store:
            point = store.resume_point("algebra")
            assert point is not None
            assert told
            assert point.index >= told[-1]
        with StoreReader(path) as reader:
            rows = [(row.index, row.student_id) for row in reader.observations("algebra")]
        assert rows == [(index, student) for index in range(point.index + 1) for student in STUDENTS]
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
