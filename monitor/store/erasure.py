"""Takes people out of the store again: one student wholly, or pictures whose time is over. Writes nothing else.

What is erased is overwritten in the file (secure_delete) and the write-ahead log is emptied, so that it cannot be read
out of free pages. Copies made outside, such as exports, are not known here.
"""

from __future__ import annotations

from dataclasses import dataclass

from monitor.errors import StoreError
from monitor.store.database import FORGET_OLD_CROPS, Store

# With a crop go the predictions and annotations on it, and its place in the review queue.
_TABLES = ("observations", "episodes", "thumbnails", "crops", "names", "lecture_students")


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure took out, for the person who asked."""

    lectures: tuple[str, ...]
    """Those the student was in, by id."""
    observations: int
    episodes: int
    thumbnails: int
    crops: int = 0
    """Pictures kept for review, with what people and models said about them."""


def erase_student(store: Store, student_id: str) -> Erased:
    """Delete every row about a student; the pseudonym stays taken, so that it never comes to mean another person.

    Students merged into this one go as well. What lectures keep to go on from (`resume_state`) may hold the name: it is
    emptied in all lectures that the student was in. A monitor that is watching the student right now will see them
    again: let them opt out first.

    Raises:
        StoreError: no such student, or erased already; full disk.
    """
    with store.writing(f"erasing student {student_id}") as (connection, now):
        found = connection.execute(
            "SELECT student_no FROM students WHERE student_id = ? AND erased_at IS NULL", (student_id,)
        ).fetchone()
        if found is None:
            raise StoreError(f"{store.path}: no student {student_id!r} here to erase. Check the pseudonym.")
        numbers = [found[0]]
        numbers += [
            row[0] for row in connection.execute("SELECT student_no FROM students WHERE merged_into = ?", (found[0],))
        ]
        places = ", ".join("?" * len(numbers))
        lectures = connection.execute(
            f"SELECT DISTINCT lecture_id FROM lecture_students JOIN lectures USING (lecture_no) "
            f"WHERE student_no IN ({places}) ORDER BY lecture_id",
            numbers,
        ).fetchall()
        connection.execute(
            f"UPDATE lectures SET resume_state = '' WHERE lecture_no IN "
            f"(SELECT lecture_no FROM lecture_students WHERE student_no IN ({places}))",
            numbers,
        )
        counts = {
            table: connection.execute(f"DELETE FROM {table} WHERE student_no IN ({places})", numbers).rowcount
            for table in _TABLES
        }
        # What it takes to undo a rename or a merge may hold the name.
        connection.execute(
            f"DELETE FROM roster_changes WHERE student_no IN ({places}) OR other_no IN ({places})", [*numbers, *numbers]
        )
        connection.execute(f"UPDATE students SET erased_at = ? WHERE student_no IN ({places})", (now, *numbers))
    store.empty_log()
    return Erased(
        tuple(row[0] for row in lectures),
        *(counts[table] for table in ("observations", "episodes", "thumbnails", "crops")),
    )


def purge_thumbnails(store: Store) -> int:
    """Delete the pictures whose retention time is over, those kept for review too; returns how many."""
    with store.writing("purging old pictures") as (connection, now):
        purged = connection.execute("DELETE FROM thumbnails WHERE keep_until <= ?", (now,)).rowcount
        purged += connection.execute(FORGET_OLD_CROPS, (now,)).rowcount
    if purged:
        store.empty_log()
    return purged


def set_opt_out(store: Store, student_id: str, opted_out: bool) -> None:
    """Record that a student is never to be judged, or may be again. Rows stored before stay: see `erase_student`.

    Raises:
        StoreError: no such student.
    """
    with store.writing(f"recording the wish of {student_id}") as (connection, now):
        found = connection.execute("SELECT student_no FROM students WHERE student_id = ?", (student_id,)).fetchone()
        if found is None:
            raise StoreError(f"{store.path}: no student {student_id!r} here. Check the pseudonym.")
        if opted_out:
            connection.execute("INSERT OR IGNORE INTO opt_outs VALUES (?, ?)", (found[0], now))
        else:
            connection.execute("DELETE FROM opt_outs WHERE student_no = ?", (found[0],))
