"""Who a lecture's pseudonyms mean in this store: names matched, provisional students merged.

Each monitor counts its students from s01, so the same pseudonym in two lectures may be two people. A pseudonym
carries over only where a name says so; else the newcomer gets one that is free. Runs inside the writer's transaction
and knows nothing of pictures or labels.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from monitor.students.naming import name_key


class Roster:
    """The students of one lecture, in the transaction that is open on the connection."""

    def __init__(self, connection: sqlite3.Connection, lecture_no: int, now: str) -> None:
        self._connection = connection
        self._lecture_no = lecture_no
        self._now = now

    def student_no(self, pseudonym: str) -> int:
        """Whom this lecture means by a pseudonym; a new student at first sight."""
        row = self._connection.execute(
            "SELECT student_no FROM lecture_students WHERE lecture_no = ? AND pseudonym = ?",
            (self._lecture_no, pseudonym),
        ).fetchone()
        if row:
            return int(row[0])
        number = self._known(pseudonym) or self._newcomer(pseudonym)
        self._connection.execute("INSERT INTO lecture_students VALUES (?, ?, ?)", (self._lecture_no, pseudonym, number))
        return number

    def name(self, pseudonym: str, name: str) -> None:
        """Record the name read for a student; one that the store knows from before turns out to be that one."""
        number, key = self.student_no(pseudonym), name_key(name)
        if not key:
            return
        mine = self._connection.execute("SELECT name FROM names WHERE student_no = ?", (number,)).fetchone()
        if mine and mine[0] == name:
            return
        owner = self._connection.execute(
            "SELECT student_no FROM names WHERE name_key = ? ORDER BY student_no", (key,)
        ).fetchone()
        if owner and owner[0] != number and not mine and not self._takes_part(owner[0]):
            self._move(number, int(owner[0]))
            return
        self._connection.execute(
            "INSERT INTO names VALUES (?, ?, ?) "
            "ON CONFLICT (student_no) DO UPDATE SET name = excluded.name, name_key = excluded.name_key",
            (number, name, key),
        )

    def merge(self, merges: Mapping[str, str]) -> None:
        """Move the rows of provisional students of this lecture to whom they turned out to be."""
        for provisional, known in merges.items():
            source, target = self.student_no(provisional), self.student_no(known)
            if source != target:
                self._move(source, target)

    def start_anew(self, resume_index: int) -> None:
        """The monitor has lost count and will give pseudonyms from s01 again: let the old ones mean nobody."""
        self._connection.execute(
            "UPDATE lecture_students SET pseudonym = pseudonym || '@' || ? WHERE lecture_no = ?",
            (resume_index, self._lecture_no),
        )
        self._connection.execute(
            "UPDATE lectures SET students_before = (SELECT coalesce(max(student_no), 0) FROM students) "
            "WHERE lecture_no = ?",
            (self._lecture_no,),
        )

    def _known(self, pseudonym: str) -> int | None:
        """A student of earlier lectures whose name the monitor was told when this one began.

        Of those who share a name only the first is told (see `Store.known_names`): another's id means nobody yet.
        """
        row = self._connection.execute(
            "SELECT student_no FROM students JOIN names USING (student_no) WHERE student_id = ? "
            "AND student_no <= (SELECT students_before FROM lectures WHERE lecture_no = ?) "
            "AND student_no = (SELECT min(n.student_no) FROM names n WHERE n.name_key = names.name_key)",
            (pseudonym, self._lecture_no),
        ).fetchone()
        return int(row[0]) if row else None

    def _newcomer(self, pseudonym: str) -> int:
        taken = self._connection.execute("SELECT 1 FROM students WHERE student_id = ?", (pseudonym,)).fetchone()
        if taken:
            highest = self._connection.execute(
                "SELECT max(CAST(substr(student_id, 2) AS INTEGER)) FROM students WHERE student_id GLOB 's[0-9]*'"
            ).fetchone()[0]
            pseudonym = f"s{(highest or 0) + 1:02d}"
        cursor = self._connection.execute(
            "INSERT INTO students (student_id, created_at) VALUES (?, ?)", (pseudonym, self._now)
        )
        return int(cursor.lastrowid or 0)

    def _takes_part(self, number: int) -> bool:
        return bool(
            self._connection.execute(
                "SELECT 1 FROM lecture_students WHERE lecture_no = ? AND student_no = ?", (self._lecture_no, number)
            ).fetchone()
        )

    def _move(self, source: int, target: int) -> None:
        """All rows of one student of this lecture become another's. Where both have one, the other's stays."""
        for table in ("observations", "episodes", "thumbnails", "crops", "lecture_students"):
            rows = (self._lecture_no, source)
            self._connection.execute(
                f"UPDATE OR IGNORE {table} SET student_no = ? WHERE lecture_no = ? AND student_no = ?", (target, *rows)
            )
            self._connection.execute(f"DELETE FROM {table} WHERE lecture_no = ? AND student_no = ?", rows)
        self._connection.execute(
            "INSERT OR IGNORE INTO opt_outs SELECT ?, since_at FROM opt_outs WHERE student_no = ?", (target, source)
        )
        elsewhere = self._connection.execute(
            "SELECT 1 FROM lecture_students WHERE student_no = ?", (source,)
        ).fetchone()
        if not elsewhere:
            # The pseudonym stays taken, so that it never comes to mean another person.
            self._connection.execute("UPDATE OR IGNORE names SET student_no = ? WHERE student_no = ?", (target, source))
            self._connection.execute("DELETE FROM names WHERE student_no = ?", (source,))
            self._connection.execute("UPDATE students SET merged_into = ? WHERE student_no = ?", (target, source))
