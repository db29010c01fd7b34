"""Who is who over all lectures, put right by a person: names, merges and splits, each of which can be undone.

A change is kept with what it takes to undo it, newest first. Pictures and labels go with their student unseen.
"""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from monitor.errors import BadInputError, StoreError
from monitor.store.database import Store
from monitor.store.erasure import set_opt_out
from monitor.store.reader import StoreReader
from monitor.students.naming import name_key

NAME_MAX = 100
ROSTER_MAX = 5_000
"""Rows of a file that is imported."""
_OPTED_OUT = {"1", "yes", "true", "x", "opted out", "opt-out"}


@dataclass(frozen=True, slots=True)
class Person:
    """A student as the page of students lists them."""

    student_id: str
    name: str
    """Empty where none is known."""
    lectures: int
    opted_out: bool
    crops: int
    """Pictures kept for review."""


@dataclass(frozen=True, slots=True)
class Change:
    """The newest change that can be undone."""

    kind: str
    """"rename", "merge" or "split"."""
    student_id: str
    other_id: str | None
    """Who was merged into the student, or split off."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What a roster brought."""

    new: int
    known: int
    opted_out: int


def people_of(reader: StoreReader) -> list[Person]:
    """Everybody who was not erased or merged away, by number."""
    rows = reader.rows(
        """SELECT student_id, coalesce(name, ''),
            (SELECT count(DISTINCT lecture_no) FROM lecture_students l WHERE l.student_no = s.student_no),
            EXISTS (SELECT 1 FROM opt_outs o WHERE o.student_no = s.student_no),
            (SELECT count(*) FROM crops c WHERE c.student_no = s.student_no AND picture IS NOT NULL)
        FROM students s LEFT JOIN names USING (student_no) WHERE erased_at IS NULL AND merged_into IS NULL
        ORDER BY length(student_id), student_id"""
    )
    return [Person(row[0], row[1], row[2], bool(row[3]), row[4]) for row in rows]


def rename(store: Store, student_id: str, name: str) -> None:
    """Give a student another name; an empty one takes it away.

    Raises:
        StoreError: no such student.
    """
    words = _clean_name(name)
    with store.writing(f"renaming {student_id}") as (connection, now):
        number = _number(store, connection, student_id)
        before = connection.execute("SELECT name FROM names WHERE student_no = ?", (number,)).fetchone()
        _set_name(connection, number, words)
        _record(connection, "rename", (number, None), {"name": before[0] if before else ""}, now)


def merge(store: Store, student_id: str, other_id: str) -> None:
    """Two pseudonyms are one person: all that is stored of the other becomes the student's.

    Raises:
        BadInputError: both were seen in one picture, so they are two people; or the same twice.
        StoreError: no such student.
    """
    with store.writing(f"merging {other_id} into {student_id}") as (connection, now):
        target, source = _number(store, connection, student_id), _number(store, connection, other_id)
        if target == source:
            raise BadInputError(f"{student_id}: choose two students to merge")
        together = connection.execute(
            "SELECT lecture_id, pts_s FROM observations a JOIN observations b USING (lecture_no, idx) "
            "JOIN lectures USING (lecture_no) JOIN moments USING (lecture_no, idx) "
            "WHERE a.student_no = ? AND b.student_no = ? LIMIT 1",
            (target, source),
        ).fetchone()
        if together:
            raise BadInputError(
                f"{student_id} and {other_id} were seen in the same picture (lecture {together[0]}, "
                f"{together[1]:.0f} s): they are two people and stay two."
            )
        told = _move(connection, source, target, None)
        names = dict(
            connection.execute("SELECT student_no, name FROM names WHERE student_no IN (?, ?)", (source, target))
        )
        told["names"] = [names.get(source, ""), names.get(target, "")]
        _set_name(connection, target, names.get(target) or names.get(source, ""))
        _set_name(connection, source, "")
        told["opted_out"] = _opted_out(connection, target)
        if _opted_out(connection, source):
            connection.execute("INSERT OR IGNORE INTO opt_outs VALUES (?, ?)", (target, now))
        connection.execute("UPDATE students SET merged_into = ? WHERE student_no = ?", (target, source))
        _record(connection, "merge", (target, source), told, now)


def split(store: Store, student_id: str, lecture_id: str, from_s: float = 0.0) -> str:
    """From a moment of a lecture on this is somebody else: a newcomer, whose pseudonym is returned.

    Raises:
        BadInputError: nothing of the student is there from that moment on.
        StoreError: no such student or lecture.
    """
    with store.writing(f"splitting {student_id}") as (connection, now):
        source = _number(store, connection, student_id)
        row = connection.execute("SELECT lecture_no FROM lectures WHERE lecture_id = ?", (lecture_id,)).fetchone()
        if row is None:
            raise StoreError(f"{store.path}: no lecture {lecture_id!r} here. Choose another one.")
        newcomer = _newcomer(connection, now)
        told = _move(connection, source, newcomer[0], (row[0], from_s))
        if not told["observations"]:
            raise BadInputError(
                f"{student_id} was not seen in {lecture_id} from {from_s:.0f} s on: nothing to split off"
            )
        _record(connection, "split", (source, newcomer[0]), told, now)
    return newcomer[1]


def newest_change(reader: StoreReader) -> Change | None:
    """What `undo_change` would undo, or None."""
    rows = reader.rows(
        "SELECT kind, s.student_id, o.student_id FROM roster_changes c JOIN students s USING (student_no) "
        "LEFT JOIN students o ON o.student_no = c.other_no WHERE undone_at IS NULL ORDER BY change_no DESC LIMIT 1"
    )
    return Change(*rows[0]) if rows else None


def undo_change(store: Store) -> str | None:
    """Undo the newest change that is not undone; returns its kind, or None where there is nothing to undo."""
    with store.writing("undoing a change of the roster") as (connection, now):
        row = connection.execute(
            "SELECT change_no, kind, student_no, other_no, told FROM roster_changes WHERE undone_at IS NULL "
            "ORDER BY change_no DESC LIMIT 1"
        ).fetchone()
        if row is None:
            return None
        change_no, kind, student, other = row[:4]
        told = json.loads(row[4])
        if kind == "rename":
            _set_name(connection, student, told["name"])
        elif kind == "merge":
            connection.execute("UPDATE students SET merged_into = NULL WHERE student_no = ?", (other,))
            _move_back(connection, student, other, told)
            _set_name(connection, other, told["names"][0])
            _set_name(connection, student, told["names"][1])
            if not told["opted_out"]:
                connection.execute("DELETE FROM opt_outs WHERE student_no = ?", (student,))
        else:
            _move_back(connection, other, student, told)
            # The number stays taken, for files may name it, but nobody is listed under it who was never seen.
            connection.execute(
                "UPDATE students SET merged_into = ? WHERE student_no = ? AND NOT EXISTS "
                "(SELECT 1 FROM lecture_students l WHERE l.student_no = students.student_no)",
                (student, other),
            )
        connection.execute("UPDATE roster_changes SET undone_at = ? WHERE change_no = ?", (now, change_no))
    return str(kind)


def import_roster(store: Store, text: str) -> Imported:
    """Take in a list of names, so that they are known before the first lecture; those known already stay.

    Args:
        store: open for writing.
        text: CSV with a header: a column "name", and "opted_out" where somebody asked never to be judged.

    Raises:
        BadInputError: no such column, no name, or too many rows.
    """
    rows = _roster_rows(text)
    new = opted_out = 0
    with store.writing("taking in a roster") as (connection, now):
        for name, out in rows:
            found = connection.execute(
                "SELECT student_no, student_id FROM names JOIN students USING (student_no) WHERE name_key = ? "
                "AND erased_at IS NULL AND merged_into IS NULL ORDER BY student_no",
                (name_key(name),),
            ).fetchone()
            number, student_id = found or _newcomer(connection, now)
            if not found:
                new += 1
                _set_name(connection, number, name)
            if out and not _opted_out(connection, number):
                opted_out += 1
                set_opt_out(store, student_id, True)
    return Imported(new, len(rows) - new, opted_out)


def _roster_rows(text: str) -> list[tuple[str, bool]]:
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    columns = {(column or "").strip().lower(): column for column in reader.fieldnames or []}
    if "name" not in columns:
        raise BadInputError(
            f"the roster needs a column called name, found: {', '.join(reader.fieldnames or []) or 'nothing'}"
        )
    rows = []
    for row in reader:
        name = _clean_name(row.get(columns["name"]) or "")
        wish = row.get(columns.get("opted_out", "")) or ""
        if name_key(name):
            rows.append((name, wish.strip().lower() in _OPTED_OUT))
        if len(rows) > ROSTER_MAX:
            raise BadInputError(f"the roster has more than {ROSTER_MAX} names; split it into several files")
    if not rows:
        raise BadInputError("the roster names nobody: below the header it needs a name a line")
    return rows


def _clean_name(name: str) -> str:
    return " ".join("".join(c for c in name if c.isprintable() or c.isspace()).split())[:NAME_MAX]


def _number(store: Store, connection: sqlite3.Connection, student_id: str) -> int:
    row = connection.execute(
        "SELECT student_no FROM students WHERE student_id = ? AND erased_at IS NULL AND merged_into IS NULL",
        (student_id,),
    ).fetchone()
    if row is None:
        raise StoreError(f"{store.path}: no student {student_id!r} here. Reload the page: they may have been merged.")
    return int(row[0])


def _newcomer(connection: sqlite3.Connection, now: str) -> tuple[int, str]:
    (highest,) = connection.execute(
        "SELECT coalesce(max(CAST(substr(student_id, 2) AS INTEGER)), 0) FROM students WHERE student_id GLOB 's[0-9]*'"
    ).fetchone()
    student_id = f"s{highest + 1:02d}"
    cursor = connection.execute("INSERT INTO students (student_id, created_at) VALUES (?, ?)", (student_id, now))
    return int(cursor.lastrowid or 0), student_id


def _opted_out(connection: sqlite3.Connection, number: int) -> bool:
    return connection.execute("SELECT 1 FROM opt_outs WHERE student_no = ?", (number,)).fetchone() is not None


def _set_name(connection: sqlite3.Connection, number: int, name: str) -> None:
    connection.execute("DELETE FROM names WHERE student_no = ?", (number,))
    if name_key(name):
        connection.execute("INSERT INTO names VALUES (?, ?, ?)", (number, name, name_key(name)))


def _record(
    connection: sqlite3.Connection, kind: str, who: tuple[int, int | None], told: dict[str, Any], now: str
) -> None:
    connection.execute(
        "INSERT INTO roster_changes (kind, student_no, other_no, told, made_at) VALUES (?, ?, ?, ?, ?)",
        (kind, *who, json.dumps(told), now),
    )


def _move(connection: sqlite3.Connection, source: int, target: int, since: tuple[int, float] | None) -> dict[str, Any]:
    """Give rows of one student to another; since: only of one lecture, from a media time on. Returns which."""
    lecture_no, from_s = since or (None, 0.0)
    only = {"source": source, "lecture": lecture_no, "since": from_s}
    here = "student_no = :source AND (:lecture IS NULL OR lecture_no = :lecture)"
    seen = connection.execute(
        f"SELECT lecture_no, idx FROM observations JOIN moments USING (lecture_no, idx) WHERE {here} "
        "AND pts_s >= :since ORDER BY 1, 2",
        only,
    ).fetchall()
    told: dict[str, Any] = {
        "observations": _runs(seen),
        "episodes": connection.execute(
            f"SELECT lecture_no, started_s FROM episodes WHERE {here} AND started_s >= :since", only
        ).fetchall(),
        "crops": [
            n for (n,) in connection.execute(f"SELECT crop_no FROM crops WHERE {here} AND pts_s >= :since", only)
        ],
    }
    # From the start of a lecture on, the monitor's own pseudonym means the other from now on, too.
    whole = since is None or from_s <= 0.0
    lanes = connection.execute(f"SELECT lecture_no, pseudonym FROM lecture_students WHERE {here}", only).fetchall()
    told["pseudonyms"] = lanes if whole else []
    _give(connection, source, target, told)
    if not whole and seen:
        _, pseudonym = lanes[0] if lanes else (0, "")
        told["added"] = [[lecture_no, f"{pseudonym}@{target}"]]
        connection.execute(
            "INSERT INTO lecture_students VALUES (?, ?, ?)", (lecture_no, f"{pseudonym}@{target}", target)
        )
    connection.execute(f"DELETE FROM thumbnails WHERE {here}", only)  # the newest picture comes again by itself
    return told


def _move_back(connection: sqlite3.Connection, holder: int, owner: int, told: dict[str, Any]) -> None:
    for lecture_no, pseudonym in told.get("added", []):
        connection.execute(
            "DELETE FROM lecture_students WHERE lecture_no = ? AND pseudonym = ?", (lecture_no, pseudonym)
        )
    _give(connection, holder, owner, told)


def _give(connection: sqlite3.Connection, source: int, target: int, told: dict[str, Any]) -> None:
    for lecture_no, first, last in told["observations"]:
        connection.execute(
            "UPDATE observations SET student_no = ? WHERE student_no = ? AND lecture_no = ? AND idx BETWEEN ? AND ?",
            (target, source, lecture_no, first, last),
        )
    _each(
        connection,
        "UPDATE OR REPLACE episodes SET student_no = ? WHERE student_no = ? AND lecture_no = ? AND started_s = ?",
        ((target, source, *row) for row in told["episodes"]),
    )
    _each(connection, "UPDATE crops SET student_no = ? WHERE crop_no = ?", ((target, n) for n in told["crops"]))
    _each(
        connection,
        "UPDATE lecture_students SET student_no = ? WHERE student_no = ? AND lecture_no = ? AND pseudonym = ?",
        ((target, source, *row) for row in told["pseudonyms"]),
    )


def _each(connection: sqlite3.Connection, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
    connection.executemany(statement, rows)


def _runs(seen: Sequence[tuple[int, int]]) -> list[list[int]]:
    """(lecture, moment) in order -> [lecture, first, last] of each run without a gap."""
    runs: list[list[int]] = []
    for lecture_no, index in seen:
        if runs and runs[-1][0] == lecture_no and runs[-1][2] == index - 1:
            runs[-1][2] = index
        else:
            runs.append([lecture_no, index, index])
    return runs
