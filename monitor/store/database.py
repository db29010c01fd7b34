"""The one writer of a store: lectures, and their sampled moments, each whole or not at all.

It knows neither pictures nor models, only records. Readers are in `reader.py`.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from monitor.errors import StoreError
from monitor.rubric import Rubric, load_rubric
from monitor.schema import Lecture, Moment
from monitor.store.encoding import rubric_json, rubric_of, time_of, time_text
from monitor.store.location import explained, open_for_writing, store_path
from monitor.store.lock import LectureLock
from monitor.store.migrations import migrate
from monitor.store.moments import MomentWriter
from monitor.store.reader import StoreReader
from monitor.store.records import MonitorStatus, ResumePoint
from monitor.store.roster import Roster

__all__ = ["MonitorStatus", "ResumePoint", "Store", "StoreReader"]

THUMBNAILS_KEPT_S = 7 * 24 * 3600.0
"""Default retention of pictures: a week, then they are purged."""
FORGET_OLD_CROPS = "UPDATE crops SET picture = NULL WHERE keep_until <= ? AND picture IS NOT NULL"
"""The picture goes; what people said about it stays, and counts for how well they agree."""
RESUME_STATE_KEPT_S = 600.0
"""A lecture that ended longer ago can still go on, but its stages start anew."""


class Store:
    """Writes one SQLite file. Several processes may, each its own lecture; two on one lecture are refused.

    May be called from several threads. Use `Store.open`, and close it or use it as a context manager.
    """

    def __init__(
        self, connection: sqlite3.Connection, path: Path, *, thumbnails_kept_s: float, clock: Callable[[], datetime]
    ) -> None:
        self.path = path
        self._connection = connection
        self.thumbnails_kept_s = thumbnails_kept_s
        """Seconds for which the newest picture of a student is kept; counts from the next moment on."""
        self._clock = clock
        self._turn = threading.RLock()
        self._closed = False
        self._held: dict[str, LectureLock] = {}
        self._labels: dict[str, tuple[str, ...]] = {}

    @classmethod
    def open(
        cls,
        location: str | Path | None = None,
        *,
        durable: bool = True,
        thumbnails_kept_s: float = THUMBNAILS_KEPT_S,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> Store:
        """Open a store, make it where there is none, and bring it to the newest version.

        Args:
            location: a path, "sqlite:///PATH", or None: CLASSROOM_STORE, else the user's data folder.
            durable: flush each moment to the disk, for what cannot be had again; see `open_for_writing`.
            thumbnails_kept_s: how long the newest picture of a student is kept.
            clock: what time it is, UTC.

        Raises:
            StoreError: newer version, damaged file, another program's database, no permission, full disk.
        """
        path = store_path(location)
        connection = open_for_writing(path, durable=durable)
        try:
            with explained(path, "preparing the tables"):
                migrate(connection, path)
        except BaseException:
            connection.close()
            raise
        return cls(connection, path, thumbnails_kept_s=thumbnails_kept_s, clock=clock)

    def begin_lecture(
        self,
        lecture: Lecture,
        rubric: Rubric | None = None,
        *,
        sample_period_s: float = 1.0,
        model_id: str | None = None,
        adapter_id: str | None = None,
    ) -> None:
        """Record a new lecture and take it for this writer.

        Args:
            lecture: beginning one again is allowed as long as it has no moment.
            rubric: kept as a snapshot; None takes the shipped one of `lecture.rubric_id`.
            sample_period_s: seconds between samples.
            model_id: names the weights.
            adapter_id: names the adapter, or None.

        Raises:
            BusyError: another monitor records it.
            StoreError: it has moments already.
            RubricError: no rubric given, and none of that id ships.
        """
        snapshot = rubric_json(rubric or load_rubric(lecture.rubric_id, research=True))
        self._hold(lecture.lecture_id)
        started_at = time_text(lecture.started_at) if lecture.started_at else None
        with self.writing(f"beginning lecture {lecture.lecture_id}") as (_, now):
            row = self._row("SELECT resume_index FROM lectures WHERE lecture_id = ?", lecture.lecture_id)
            if row and row[0] is not None:
                raise StoreError(
                    f"{self.path}: lecture {lecture.lecture_id} has moments up to number {row[0]} already. "
                    "Go on from its resume_point, or choose another lecture id."
                )
            for table in ("status", "pauses", "lecture_notes", "lectures"):
                self._connection.execute(
                    f"DELETE FROM {table} WHERE lecture_no = (SELECT lecture_no FROM lectures WHERE lecture_id = ?)",
                    (lecture.lecture_id,),
                )
            self._connection.execute(
                "INSERT INTO lectures (lecture_id, source, rubric_id, rubric, sample_period_s, model_id, adapter_id, "
                "started_at, opened_at, active_at, students_before) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(student_no), 0) FROM students))",
                (
                    *(lecture.lecture_id, lecture.source, lecture.rubric_id, snapshot, sample_period_s),
                    *(model_id, adapter_id, started_at, now, now),
                ),
            )
            self._labels.pop(lecture.lecture_id, None)
            self._forget_the_past(now)

    def use_model(self, lecture_id: str, model_id: str, adapter_id: str | None) -> None:
        """Record which model the lecture goes on with; each observation names its own all the same."""
        with self.writing(f"changing the model of {lecture_id}") as (connection, _):
            connection.execute(
                "UPDATE lectures SET model_id = ?, adapter_id = ? WHERE lecture_no = ?",
                (model_id, adapter_id, self._lecture_no(lecture_id)),
            )

    def resume_point(self, lecture_id: str) -> ResumePoint | None:
        """Where to go on, taking the lecture for this writer; None: no such lecture, or no moment in it yet.

        Raises:
            BusyError: another monitor records it.
        """
        self._hold(lecture_id)
        with self.writing("reading where the lecture stands") as (connection, now):
            row = self._row(
                "SELECT resume_index, resume_pts_s, resume_state, started_at, lecture_no FROM lectures "
                "WHERE lecture_id = ?",
                lecture_id,
            )
            if row is None or row[0] is None:
                return None
            if not row[2]:
                Roster(connection, row[4], now).start_anew(row[0])
        return ResumePoint(row[0], row[1], row[2], started_at=time_of(row[3]) if row[3] else None)

    def find_recent(
        self, source: str, within_s: float = 600.0, *, rubric_id: str | None = None, ended: bool = True
    ) -> str | None:
        """The newest lecture of a source that was active within the last seconds.

        Args:
            source: as the lecture was begun with.
            within_s: seconds back from now; math.inf for any time.
            rubric_id: only lectures under this rubric.
            ended: also those that were ended cleanly.
        """
        now = self._clock()
        since = now - timedelta(seconds=within_s) if within_s < 1e9 else datetime(1, 1, 1, tzinfo=UTC)
        with self._reading("looking for a lecture to go on with"):
            row = self._row(
                "SELECT lecture_id FROM lectures WHERE source = ? AND active_at >= ? "
                "AND (? IS NULL OR rubric_id = ?) AND (? OR ended_at IS NULL) "
                "ORDER BY active_at DESC, lecture_no DESC LIMIT 1",
                *(source, time_text(since), rubric_id, rubric_id, ended),
            )
        return str(row[0]) if row else None

    def commit(self, moment: Moment) -> None:
        """Store all that one sampled frame gave, in one transaction.

        Raises:
            StoreError: unknown lecture, a moment that is there already, another rubric's labels, full disk. Nothing of
                the moment is stored then.
            BusyError: another monitor records the lecture, or a writer of another lecture does not let go.
        """
        self._hold(moment.lecture_id)
        keep_until = time_text(self._clock() + timedelta(seconds=self.thumbnails_kept_s))
        with self.writing(f"storing moment {moment.index} of {moment.lecture_id}") as (_, now):
            lecture_no = self._lecture_no(moment.lecture_id)
            self._refuse_stored(moment)
            labels = self._rubric_labels(moment.lecture_id)
            MomentWriter(self._connection, lecture_no, labels, now, keep_until).write(moment)

    def heartbeat(self, lecture_id: str, status: MonitorStatus) -> None:
        """Overwrite the lecture's status row: the monitor lives, and how it does."""
        with self.writing("writing the heartbeat") as (_, now):
            lecture_no = self._lecture_no(lecture_id)
            self._connection.execute(
                "INSERT OR REPLACE INTO status VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(lecture_no, now, status.state, status.captured, status.dropped, status.delivered),
                    *(status.queued, status.p50_ms, status.p95_ms, status.source_state),
                    status.students,
                ),
            )
            self._connection.execute("UPDATE lectures SET active_at = ? WHERE lecture_no = ?", (now, lecture_no))

    def ended(self, lecture_id: str) -> bool:
        """Whether the lecture came to a clean end."""
        with self._reading("reading whether the lecture ended"):
            row = self._row("SELECT ended_at FROM lectures WHERE lecture_id = ?", lecture_id)
        return row is not None and row[0] is not None

    def end_lecture(self, lecture_id: str, *, faults: Sequence[str] = ()) -> None:
        """Record a clean end and what the source could not give; give the lecture back. A later moment reopens it."""
        with self.writing(f"ending lecture {lecture_id}") as (_, now):
            lecture_no = self._lecture_no(lecture_id)
            self._connection.execute(
                "UPDATE lectures SET ended_at = ?, active_at = ?, faults = ? WHERE lecture_no = ?",
                (now, now, json.dumps(list(faults), ensure_ascii=False), lecture_no),
            )
            self._connection.execute("UPDATE status SET state = 'ended' WHERE lecture_no = ?", (lecture_no,))
        with self._turn:
            lock = self._held.pop(lecture_id, None)
        if lock:
            lock.release()

    def known_names(self) -> dict[str, str]:
        """Folded name (see `name_key`) -> student_id, for all students of the store; the first where two share one."""
        with self._reading("reading the names"):
            rows = self._connection.execute(
                "SELECT name_key, student_id FROM names JOIN students USING (student_no) ORDER BY student_no DESC"
            ).fetchall()
        return dict(rows)

    def opted_out(self, lecture_id: str | None = None) -> frozenset[str]:
        """Who asked never to be judged, by the pseudonyms that a monitor of this lecture has for them.

        Args:
            lecture_id: a lecture to go on with; None is a new one, which knows students by name only.
        """
        query = (
            "SELECT student_id FROM opt_outs JOIN students USING (student_no) JOIN names USING (student_no) "
            "WHERE student_id NOT IN (SELECT pseudonym FROM here) "
            "UNION SELECT pseudonym FROM here JOIN opt_outs USING (student_no)"
        )
        here = (
            "SELECT pseudonym, student_no FROM lecture_students JOIN lectures USING (lecture_no) WHERE lecture_id = ?"
        )
        with self._reading("reading the opt-outs"):
            rows = self._connection.execute(f"WITH here AS ({here}) {query}", (lecture_id,)).fetchall()
        return frozenset(row[0] for row in rows)

    def close(self) -> None:
        """Give all lectures back and close the file; a second call does nothing."""
        with self._turn:
            for lock in self._held.values():
                lock.release()
            self._held.clear()
            self._closed = True
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def writing(self, doing: str) -> Iterator[tuple[sqlite3.Connection, str]]:
        """A write transaction for the rooms of the store: commits at the end, rolls back on any error.

        Inside another one of this thread it becomes a part of that: all of it is stored, or nothing. Gives the
        connection, and what time it is as text.
        """
        with self._turn, explained(self.path, doing):
            if self._connection.in_transaction:
                yield self._connection, time_text(self._clock())
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection, time_text(self._clock())
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite rolls back by itself on some errors
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self, doing: str) -> Iterator[sqlite3.Connection]:
        """The connection for a look of the rooms of the store, inside a transaction of this thread or outside any."""
        with self._reading(doing):
            yield self._connection

    def empty_log(self) -> bool:
        """Move all that is committed into the database file and empty the write-ahead log.

        Returns:
            False where somebody reads or writes just now, so that something is left in the log.
        """
        with self._turn, explained(self.path, "emptying the log"):
            busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def compact(self) -> bool:
        """Write the file anew without its free pages, then empty the log; see `empty_log`.

        Raises:
            BusyError: another program writes for a long time.
            StoreError: full disk.
        """
        with self._turn, explained(self.path, "writing the file anew"):
            self._connection.execute("VACUUM")
        return self.empty_log()

    @contextmanager
    def _reading(self, doing: str) -> Iterator[None]:
        with self._turn, explained(self.path, doing):
            yield

    def _row(self, query: str, *values: object) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._connection.execute(query, values).fetchone()
        return row

    def _hold(self, lecture_id: str) -> None:
        with self._turn:
            if self._closed:
                raise StoreError(f"{self.path}: this store was closed. Open it again to write to it.")
            if lecture_id not in self._held:
                self._held[lecture_id] = LectureLock(self.path, lecture_id)

    def _lecture_no(self, lecture_id: str) -> int:
        row = self._connection.execute("SELECT lecture_no FROM lectures WHERE lecture_id = ?", (lecture_id,)).fetchone()
        if row is None:
            raise StoreError(f"{self.path}: no lecture {lecture_id!r} here. Begin it first, or check the store.")
        return int(row[0])

    def _forget_the_past(self, now: str) -> None:
        """Pictures whose time is over, and what ended lectures kept to go on from: it may hold names."""
        self._connection.execute("DELETE FROM thumbnails WHERE keep_until <= ?", (now,))
        self._connection.execute(FORGET_OLD_CROPS, (now,))
        self._connection.execute(
            "UPDATE lectures SET resume_state = '' WHERE ended_at IS NOT NULL AND active_at < ? AND resume_state != ''",
            (time_text(self._clock() - timedelta(seconds=RESUME_STATE_KEPT_S)),),
        )

    def _refuse_stored(self, moment: Moment) -> None:
        row = self._row("SELECT resume_index FROM lectures WHERE lecture_id = ?", moment.lecture_id)
        if row and row[0] is not None and moment.index <= row[0]:
            raise StoreError(
                f"{self.path}: moment {moment.index} of lecture {moment.lecture_id} is stored already; the next is "
                f"{row[0] + 1}. Go on from resume_point, where the last run stopped."
            )

    def _rubric_labels(self, lecture_id: str) -> tuple[str, ...]:
        if lecture_id not in self._labels:
            row = self._connection.execute("SELECT rubric FROM lectures WHERE lecture_id = ?", (lecture_id,)).fetchone()
            self._labels[lecture_id] = rubric_of(row[0]).names
        return self._labels[lecture_id]
