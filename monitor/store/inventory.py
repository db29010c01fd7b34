"""What a store keeps, where and how big: for the person who has to answer for it. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from monitor.store.reader import StoreReader


@dataclass(frozen=True, slots=True)
class Holding:
    """One kind of thing that is kept."""

    what: str
    count: int
    size_bytes: int | None
    """Of pictures; None for rows, which are small."""
    until: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """All of it."""

    path: Path
    size_bytes: int
    """Of the file and its log."""
    holdings: tuple[Holding, ...]


def inventory_of(reader: StoreReader) -> Inventory:
    """Count everything; one pass over each table."""
    (rows,) = reader.rows(
        """SELECT (SELECT count(*) FROM lectures), (SELECT count(*) FROM observations), (SELECT count(*) FROM names),
            (SELECT count(*) FROM thumbnails), (SELECT coalesce(sum(length(jpeg)), 0) FROM thumbnails),
            (SELECT count(*) FROM crops WHERE picture IS NOT NULL),
            (SELECT coalesce(sum(length(picture)), 0) FROM crops WHERE picture IS NOT NULL),
            (SELECT count(*) FROM annotations), (SELECT count(*) FROM lecture_notes WHERE withdrawn_at IS NULL)"""
    )
    erased = "until you erase the student"
    holdings = (
        Holding("Lectures", rows[0], None, "until the file is deleted"),
        Holding("Labels, a student and second each", rows[1], None, erased),
        Holding("Names", rows[2], None, erased),
        Holding("Newest pictures of students", rows[3], rows[4], "until their time is over"),
        Holding("Crops kept for review", rows[5], rows[6], "until their time is over"),
        Holding("Answers of people", rows[7], None, erased),
        Holding("Notes on lectures", rows[8], None, "until you take them back"),
    )
    files = (reader.path, Path(f"{reader.path}-wal"))
    return Inventory(reader.path, sum(file.stat().st_size for file in files if file.is_file()), holdings)
