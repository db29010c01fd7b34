"""Typed, read-only looks into a store, each bounded: the last minutes never cost a whole lecture.

Works while a writer writes and when there is none. It knows no writer and no table of another program.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from monitor.errors import StoreError
from monitor.rubric import Rubric
from monitor.schema import Box, Episode, Presence
from monitor.store.encoding import rubric_of, time_of, unpack_probabilities
from monitor.store.location import explained, open_for_reading, store_path
from monitor.store.migrations import MIGRATIONS, refuse_newer, stored_version
from monitor.store.records import (
    LatestObservation,
    LectureRecord,
    MonitorStatus,
    StateShare,
    StoredObservation,
    Thumbnail,
)

_PAGE_MOMENTS = 64
_LECTURE = """
    SELECT lecture_id, source, rubric, sample_period_s, model_id, adapter_id, started_at, opened_at, active_at,
        ended_at, (SELECT count(*) FROM moments WHERE moments.lecture_no = lectures.lecture_no), resume_pts_s, faults
    FROM lectures"""
_OBSERVATION = """
    SELECT student_id, o.idx, m.pts_s, m.captured_at, m.committed_at, x1, y1, x2, y2, presence, label, best, confidence,
        probabilities, state, model_id, adapter_id, crop_id, latency_ms"""
_OBSERVATION_JOINS = "JOIN students USING (student_no) LEFT JOIN models USING (model_no)"


class StoreReader:
    """Looks into one store. May be called from several threads; close it, or use it as a context manager.

    Args:
        location: a path, "sqlite:///PATH", or None: CLASSROOM_STORE, else the user's data folder.

    Raises:
        StoreError: no store there, a newer or an older version, a damaged file.
    """

    def __init__(self, location: str | Path | None = None) -> None:
        self.path = store_path(location)
        self._turn = threading.Lock()
        self._connection = open_for_reading(self.path)
        try:
            with explained(self.path, "reading the version"):
                version = stored_version(self._connection, self.path)
            refuse_newer(version, self.path)
            if version < len(MIGRATIONS):
                raise StoreError(
                    f"{self.path}: a store of version {version}, expected {len(MIGRATIONS)}. "
                    "Start `classroom live` or `classroom score` on it once: that brings it up to date."
                )
        except BaseException:
            self._connection.close()
            raise

    def lectures(self) -> list[LectureRecord]:
        """All lectures, newest first."""
        return [_lecture(row) for row in self._rows(f"{_LECTURE} ORDER BY opened_at DESC, lecture_no DESC")]

    def lecture(self, lecture_id: str) -> LectureRecord | None:
        """One lecture, or None."""
        rows = self._rows(f"{_LECTURE} WHERE lecture_id = ?", lecture_id)
        return _lecture(rows[0]) if rows else None

    def newest_index(self, lecture_id: str) -> int | None:
        """Index of the newest moment, or None where there is none: the cheapest way to see whether there is more."""
        rows = self._rows("SELECT resume_index FROM lectures WHERE lecture_id = ?", lecture_id)
        return rows[0][0] if rows else None

    def newest_rubric(self, rubric_id: str) -> Rubric | None:
        """The rubric as the newest lecture under it had it, or None where there is no such lecture."""
        rows = self._rows(
            "SELECT rubric FROM lectures WHERE rubric_id = ? ORDER BY opened_at DESC, lecture_no DESC LIMIT 1",
            rubric_id,
        )
        return rubric_of(rows[0][0]) if rows else None

    def latest(self, lecture_id: str) -> list[LatestObservation]:
        """The newest row of every student of the lecture, also of those who left, by student_id."""
        lecture_no, labels, newest_s = self._place(lecture_id)
        rows = self._rows(
            f"""{_OBSERVATION}
            FROM (SELECT DISTINCT student_no FROM lecture_students WHERE lecture_no = :lecture) who
            JOIN observations o ON o.lecture_no = :lecture AND o.student_no = who.student_no AND o.idx = (
                SELECT max(idx) FROM observations WHERE student_no = who.student_no AND lecture_no = :lecture)
            JOIN moments m ON m.lecture_no = :lecture AND m.idx = o.idx
            JOIN students ON students.student_no = who.student_no LEFT JOIN models USING (model_no)
            ORDER BY student_id""",
            {"lecture": lecture_no},
        )
        found = [_observation(row, labels) for row in rows]
        return [LatestObservation(row, max(0.0, newest_s - row.pts_s)) for row in found]

    def observations(
        self, lecture_id: str, since_s: float = 0.0, until_s: float | None = None
    ) -> Iterator[StoredObservation]:
        """Rows of since_s <= pts_s < until_s by (pts_s, student_id), read page by page: memory stays flat."""
        lecture_no, labels, _ = self._place(lecture_id)
        last = (since_s, -1)  # every index is at least 0, so the first page takes in since_s itself
        while True:
            page = self._rows(
                "SELECT pts_s, idx FROM moments WHERE lecture_no = ? AND (pts_s, idx) > (?, ?) "
                "AND (? IS NULL OR pts_s < ?) ORDER BY pts_s, idx LIMIT ?",
                *(lecture_no, *last, until_s, until_s, _PAGE_MOMENTS),
            )
            if not page:
                return
            rows = self._rows(
                f"""{_OBSERVATION}
                FROM moments m JOIN observations o ON o.lecture_no = m.lecture_no AND o.idx = m.idx {_OBSERVATION_JOINS}
                WHERE m.lecture_no = ? AND (m.pts_s, m.idx) BETWEEN (?, ?) AND (?, ?)
                ORDER BY m.pts_s, m.idx, student_id""",
                *(lecture_no, *page[0], *page[-1]),
            )
            yield from (_observation(row, labels) for row in rows)
            last = page[-1]

    def shares(
        self, lecture_id: str, since_s: float = 0.0, until_s: float | None = None, bin_s: float = 10.0
    ) -> list[StateShare]:
        """Observations per shown state in each bin of [since_s, until_s); bins start at since_s; empty ones left out.

        Raises:
            ValueError: bin_s is not positive.
        """
        if bin_s <= 0:
            raise ValueError(f"bin_s must be positive, found {bin_s}")
        lecture_no, _, _ = self._place(lecture_id)
        rows = self._rows(
            """SELECT CAST((m.pts_s - :since) / :bin AS INTEGER) AS bin, coalesce(state, presence) AS shown, count(*)
            FROM moments m JOIN observations o ON o.lecture_no = m.lecture_no AND o.idx = m.idx
            WHERE m.lecture_no = :lecture AND m.pts_s >= :since AND (:until IS NULL OR m.pts_s < :until)
            GROUP BY bin, shown ORDER BY bin, shown""",
            {"lecture": lecture_no, "since": since_s, "until": until_s, "bin": bin_s},
        )
        bins: dict[int, dict[str, int]] = {}
        for number, shown, count in rows:
            bins.setdefault(number, {})[shown] = count
        return [
            StateShare(since_s + number * bin_s, since_s + (number + 1) * bin_s, counts)
            for number, counts in bins.items()
        ]

    def student_shares(self, lecture_id: str, bin_s: float) -> list[tuple[str, int, str, int]]:
        """(student_id, number of the bin, shown state, observations), by student and bin; empty bins left out.

        Raises:
            ValueError: bin_s is not positive.
        """
        if bin_s <= 0:
            raise ValueError(f"bin_s must be positive, found {bin_s}")
        lecture_no, _, _ = self._place(lecture_id)
        return self._rows(
            """SELECT student_id, CAST(m.pts_s / ? AS INTEGER) AS bin, coalesce(state, presence) AS shown, count(*)
            FROM moments m JOIN observations o ON o.lecture_no = m.lecture_no AND o.idx = m.idx
            JOIN students USING (student_no) WHERE m.lecture_no = ? GROUP BY 1, 2, 3 ORDER BY 1, 2, 3""",
            *(bin_s, lecture_no),
        )

    def episodes(self, lecture_id: str, since_s: float = 0.0, until_s: float | None = None) -> list[Episode]:
        """Episodes that touch [since_s, until_s), by (student_id, started_s)."""
        lecture_no, _, _ = self._place(lecture_id)
        rows = self._rows(
            "SELECT student_id, state, started_s, ended_s, confidence FROM episodes JOIN students USING (student_no) "
            "WHERE lecture_no = ? AND ended_s >= ? AND (? IS NULL OR started_s < ?) ORDER BY student_id, started_s",
            *(lecture_no, since_s, until_s, until_s),
        )
        return [Episode(*row) for row in rows]

    def students(self, lecture_id: str) -> list[str]:
        """student_id of all who were seen in the lecture, in order."""
        lecture_no, _, _ = self._place(lecture_id)
        rows = self._rows(
            "SELECT DISTINCT student_id FROM lecture_students JOIN students USING (student_no) "
            "WHERE lecture_no = ? ORDER BY student_id",
            lecture_no,
        )
        return [row[0] for row in rows]

    def names(self) -> dict[str, str]:
        """student_id -> name, for those whose name is known."""
        return dict(self._rows("SELECT student_id, name FROM names JOIN students USING (student_no) ORDER BY 1"))

    def thumbnail(self, lecture_id: str, student_id: str) -> Thumbnail | None:
        """The newest picture of a student, where one is kept."""
        rows = self._rows(
            "SELECT jpeg, pts_s, keep_until FROM thumbnails JOIN lectures USING (lecture_no) "
            "JOIN students USING (student_no) WHERE lecture_id = ? AND student_id = ?",
            *(lecture_id, student_id),
        )
        return Thumbnail(rows[0][0], rows[0][1], time_of(rows[0][2])) if rows else None

    def status(self, lecture_id: str) -> MonitorStatus | None:
        """The newest heartbeat, or None before the first."""
        rows = self._rows(
            "SELECT status.state, captured, dropped, delivered, queued, p50_ms, p95_ms, source_state, students, "
            "updated_at "
            "FROM status JOIN lectures USING (lecture_no) WHERE lecture_id = ?",
            lecture_id,
        )
        return MonitorStatus(*[*rows[0][:9], time_of(rows[0][9])]) if rows else None

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        with self._turn:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a query, for the rooms of the store: others use the typed looks."""
        return self._rows(query, *values)

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        arguments: Any = values[0] if len(values) == 1 and isinstance(values[0], dict) else values
        with self._turn, explained(self.path, "reading"):
            return self._connection.execute(query, arguments).fetchall()

    def _place(self, lecture_id: str) -> tuple[int, tuple[str, ...], float]:
        """Number, labels and newest media time of a lecture."""
        rows = self._rows("SELECT lecture_no, rubric, resume_pts_s FROM lectures WHERE lecture_id = ?", lecture_id)
        if not rows:
            raise StoreError(f"{self.path}: no lecture {lecture_id!r} here. `lectures()` lists those there are.")
        return rows[0][0], rubric_of(rows[0][1]).names, rows[0][2] or 0.0


def _lecture(row: tuple[Any, ...]) -> LectureRecord:
    return LectureRecord(
        lecture_id=row[0],
        source=row[1],
        rubric=rubric_of(row[2]),
        sample_period_s=row[3],
        model_id=row[4],
        adapter_id=row[5],
        started_at=time_of(row[6]) if row[6] else None,
        opened_at=time_of(row[7]),
        active_at=time_of(row[8]),
        ended_at=time_of(row[9]) if row[9] else None,
        moments=row[10],
        last_pts_s=row[11],
        faults=tuple(json.loads(row[12])),
    )


def _observation(row: tuple[Any, ...], labels: tuple[str, ...]) -> StoredObservation:
    return StoredObservation(
        student_id=row[0],
        index=row[1],
        pts_s=row[2],
        captured_at=time_of(row[3]) if row[3] else None,
        committed_at=time_of(row[4]),
        box=Box(*row[5:9]),
        presence=Presence(row[9]),
        label=row[10],
        best=row[11],
        confidence=row[12],
        probabilities=unpack_probabilities(row[13], labels) if row[13] is not None else None,
        state=row[14],
        model_id=row[15],
        adapter_id=row[16] or None,
        crop_id=row[17],
        latency_ms=row[18],
    )
