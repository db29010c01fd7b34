"""Takes people out of the store again: one student wholly, or pictures whose time is over. Writes nothing else.

What is erased is overwritten in the file (secure_delete) and the write-ahead log is emptied, so that it cannot be read
out of free pages. Copies made outside, such as exports, are not reached from here; `traces_of` tells what to look for.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from monitor.errors import BadInputError, StoreError
from monitor.store.database import FORGET_OLD_CROPS, Store
from monitor.store.reader import StoreReader
from monitor.students.naming import name_key

ERASED_NAME = "[erased]"
"""What stands in a teacher's note where the name was."""

_ALL_NUMBERS = """
    WITH RECURSIVE one(student_no) AS (
        SELECT student_no FROM students WHERE student_id = ? AND erased_at IS NULL
        UNION SELECT b.student_no FROM students b JOIN one ON b.merged_into = one.student_no)
    SELECT student_no FROM one"""
"""The student's row and those of whoever was merged into it, step after step."""
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


@dataclass(frozen=True, slots=True)
class Traces:
    """What a student left in a store: what to look for wherever it was copied to."""

    student_id: str
    """Of a student; a person's name in a corpus for stills from outside."""
    from_corpus: bool
    pseudonyms: frozenset[str]
    """With those that were merged into the student, and those of single lectures."""
    names: frozenset[str]
    crop_ids: frozenset[str]
    lecture_ids: frozenset[str]
    pictures: tuple[bytes, ...]
    """Encoded, as they are kept: crops and newest pictures."""
    watched_now: bool
    """Whether a lecture that has not ended has the student in it."""


def find_person(reader: StoreReader, who: str) -> str:
    """The student meant by a pseudonym or a name, or the person of that name in stills from outside.

    Raises:
        BadInputError: a name that several have.
        StoreError: nobody, or erased already.
    """
    students = [
        row[0]
        for row in reader.rows(
            "SELECT student_id FROM students LEFT JOIN names USING (student_no) WHERE erased_at IS NULL "
            "AND merged_into IS NULL AND (student_id = ? OR name_key = ?) ORDER BY student_no",
            *(who, name_key(who) or None),
        )
    ]
    if who in students:
        return who
    if len(students) > 1:
        raise BadInputError(f"{who}: the name of {', '.join(students)}. Give the pseudonym of the one who is meant.")
    if students:
        return str(students[0])
    if reader.rows("SELECT 1 FROM crops WHERE corpus IS NOT NULL AND person = ? LIMIT 1", who):
        return who
    raise StoreError(
        f"{reader.path}: no student {who!r} here to erase. Check the pseudonym or the name under Students; a student "
        "who was merged is erased with the one they were merged into."
    )


def traces_of(reader: StoreReader, person: str) -> Traces:
    """All that names or shows a student, or a person of a corpus; read before it is erased."""
    numbers = _numbers(reader, person)
    places = ", ".join("?" * len(numbers))
    if not numbers:
        crops = reader.rows("SELECT crop_id, picture FROM crops WHERE corpus IS NOT NULL AND person = ?", person)
        return Traces(
            *(person, True, frozenset({person}), frozenset(), frozenset(row[0] for row in crops), frozenset()),
            tuple(row[1] for row in crops if row[1]),
            watched_now=False,
        )
    seen = reader.rows(
        f"SELECT pseudonym, lecture_id, ended_at FROM lecture_students JOIN lectures USING (lecture_no) "
        f"WHERE student_no IN ({places})",
        *numbers,
    )
    known = reader.rows(f"SELECT student_id FROM students WHERE student_no IN ({places})", *numbers)
    crops = reader.rows(f"SELECT crop_id, picture FROM crops WHERE student_no IN ({places})", *numbers)
    judged = reader.rows(
        f"SELECT DISTINCT crop_id FROM observations WHERE crop_id IS NOT NULL AND student_no IN ({places})", *numbers
    )
    newest = reader.rows(f"SELECT jpeg FROM thumbnails WHERE student_no IN ({places})", *numbers)
    return Traces(
        student_id=person,
        from_corpus=False,
        pseudonyms=frozenset(row[0] for row in known),
        names=frozenset(
            row[0] for row in reader.rows(f"SELECT name FROM names WHERE student_no IN ({places})", *numbers)
        ),
        crop_ids=frozenset(row[0] for row in (*crops, *judged)),
        lecture_ids=frozenset(row[1] for row in seen),
        pictures=tuple(picture for picture in (*(row[1] for row in crops), *(row[0] for row in newest)) if picture),
        watched_now=any(row[2] is None for row in seen),
    )


def erase_corpus_person(store: Store, person: str) -> int:
    """Delete the stills of a person of a corpus, with what was said about them; returns how many there were."""
    with store.writing(f"erasing the stills of {person}") as (connection, _):
        gone = connection.execute("DELETE FROM crops WHERE corpus IS NOT NULL AND person = ?", (person,)).rowcount
    store.empty_log()
    return int(gone)


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
        numbers = [row[0] for row in connection.execute(_ALL_NUMBERS, (student_id,))]
        places = ", ".join("?" * len(numbers))
        _unname_notes(connection, numbers)
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


def _unname_notes(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Take the name out of what teachers wrote on lectures."""
    places = ", ".join("?" * len(numbers))
    names = connection.execute(f"SELECT name FROM names WHERE student_no IN ({places})", list(numbers)).fetchall()
    for (name,) in names:
        for number, text in connection.execute("SELECT note_no, text FROM lecture_notes").fetchall():
            plain = re.sub(re.escape(name), ERASED_NAME, text, flags=re.IGNORECASE)
            if plain != text:
                connection.execute("UPDATE lecture_notes SET text = ? WHERE note_no = ?", (plain, number))


def _numbers(reader: StoreReader, student_id: str) -> list[int]:
    """The student's row and those of whoever was merged into it; none for a person of a corpus."""
    return [int(row[0]) for row in reader.rows(_ALL_NUMBERS, student_id)]


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
