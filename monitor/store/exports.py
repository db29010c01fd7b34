"""Remembers what was copied out of a store, and where it went: tables, reports, training runs. Reads none of it."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from monitor.store.database import Store
from monitor.store.encoding import time_of
from monitor.store.reader import StoreReader

RESULTS, DOWNLOAD, TRAINING = "results", "download", "training"
"""A folder that `classroom score` wrote, a file that a browser was given, the folder of a training run."""


@dataclass(frozen=True, slots=True)
class Export:
    """One copy that the store does not hold in its own hands."""

    kind: str
    place: str
    lecture_ids: tuple[str, ...]
    """Empty: of the whole store."""
    written_at: datetime
    """The last time."""


def note_export(store: Store, kind: str, place: str, lecture_ids: Collection[str] = ()) -> None:
    """Write down that something was copied out; the same place again counts once.

    Args:
        store: open for writing.
        kind: RESULTS, DOWNLOAD or TRAINING.
        place: a folder, or what a browser was given.
        lecture_ids: of what; empty = of the whole store.

    Raises:
        StoreError, BusyError: it cannot be written.
    """
    with store.writing(f"noting what went to {place}") as (connection, now):
        row = connection.execute("SELECT lectures FROM exports WHERE kind = ? AND place = ?", (kind, place)).fetchone()
        before = json.loads(row[0]) if row else None
        whole = not lecture_ids or before == []
        lectures = [] if whole else sorted({*lecture_ids, *(before or ())})
        connection.execute(
            "INSERT INTO exports (kind, place, lectures, written_at) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (kind, place) DO UPDATE SET lectures = excluded.lectures, written_at = excluded.written_at",
            (kind, place, json.dumps(lectures), now),
        )


def exports_of(reader: StoreReader, lecture_ids: Collection[str] | None = None) -> list[Export]:
    """What was copied out, the oldest first.

    Args:
        reader: an open store.
        lecture_ids: only what holds one of these; None = all there is.
    """
    rows = reader.rows("SELECT kind, place, lectures, written_at FROM exports ORDER BY export_no")
    found = [Export(row[0], row[1], tuple(json.loads(row[2])), time_of(row[3])) for row in rows]
    if lecture_ids is None:
        return found
    wanted = set(lecture_ids)
    return [one for one in found if not one.lecture_ids or wanted & set(one.lecture_ids)]
