"""What a person asks of a lecture from the dashboard: pause it, note something on its timeline. Knows no monitor."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from monitor.errors import BadInputError, StoreError
from monitor.schema import require_id
from monitor.store.database import Store
from monitor.store.encoding import time_of
from monitor.store.reader import StoreReader

NOTE_MAX = 500
"""Characters of a note."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the instructor wrote down during a lecture, or after it."""

    note_id: str
    pts_s: float
    """Media time it belongs to."""
    text: str
    created_at: datetime


def set_paused(store: Store, lecture_id: str, paused: bool) -> None:
    """Ask the lecture's monitor to look away, or to go on; asking twice is the same as once.

    Raises:
        StoreError: no such lecture.
    """
    with store.writing(f"pausing {lecture_id}" if paused else f"going on with {lecture_id}") as (connection, now):
        lecture_no = _lecture_no(store, connection, lecture_id)
        if paused:
            connection.execute("INSERT OR IGNORE INTO pauses VALUES (?, ?)", (lecture_no, now))
        else:
            connection.execute("DELETE FROM pauses WHERE lecture_no = ?", (lecture_no,))


def is_paused(store: Store, lecture_id: str) -> bool:
    """Whether the lecture's monitor is to look away; cheap enough to ask at each moment."""
    with store.reading("reading whether to pause") as connection:
        row = connection.execute(
            "SELECT 1 FROM pauses JOIN lectures USING (lecture_no) WHERE lecture_id = ?", (lecture_id,)
        ).fetchone()
    return row is not None


def pause_asked(reader: StoreReader, lecture_id: str) -> bool:
    """The same, for who only looks."""
    return bool(reader.rows("SELECT 1 FROM pauses JOIN lectures USING (lecture_no) WHERE lecture_id = ?", lecture_id))


def add_note(store: Store, lecture_id: str, note_id: str, text: str, pts_s: float) -> None:
    """Put a note on the timeline; one of the same id is there already and stays.

    Raises:
        BadInputError: an empty note.
        StoreError: no such lecture.
    """
    require_id("note_id", note_id)
    words = " ".join(text.split())[:NOTE_MAX]
    if not words:
        raise BadInputError("a note needs some text")
    with store.writing(f"noting something on {lecture_id}") as (connection, now):
        connection.execute(
            "INSERT OR IGNORE INTO lecture_notes (note_id, lecture_no, pts_s, text, created_at) VALUES (?, ?, ?, ?, ?)",
            (note_id, _lecture_no(store, connection, lecture_id), pts_s, words, now),
        )


def withdraw_note(store: Store, note_id: str) -> None:
    """Take a note off the timeline; a second time changes nothing."""
    with store.writing("taking a note back") as (connection, now):
        connection.execute(
            "UPDATE lecture_notes SET withdrawn_at = ? WHERE note_id = ? AND withdrawn_at IS NULL", (now, note_id)
        )


def notes_of(reader: StoreReader, lecture_id: str, since_s: float = 0.0) -> list[Note]:
    """The notes of a lecture from a media time on, in its order."""
    rows = reader.rows(
        "SELECT note_id, pts_s, text, created_at FROM lecture_notes JOIN lectures USING (lecture_no) "
        "WHERE lecture_id = ? AND withdrawn_at IS NULL AND pts_s >= ? ORDER BY pts_s, note_no",
        *(lecture_id, since_s),
    )
    return [Note(row[0], row[1], row[2], time_of(row[3])) for row in rows]


def _lecture_no(store: Store, connection: sqlite3.Connection, lecture_id: str) -> int:
    row = connection.execute("SELECT lecture_no FROM lectures WHERE lecture_id = ?", (lecture_id,)).fetchone()
    if row is None:
        raise StoreError(f"{store.path}: no lecture {lecture_id!r} here. Reload the page: it may have been erased.")
    return int(row[0])
