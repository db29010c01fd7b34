"""Reads the tables that corpora come with, .csv and .xlsx, and forgives what their authors forgot.

Header names lose surrounding space and case; a byte-order mark is dropped. Knows no corpus.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from monitor.errors import BadInputError
from trainer.corpora.record import label_index

Row = Mapping[str, str]
"""Column, lower case and stripped -> value, stripped."""


def read_table(path: Path, columns: Sequence[str]) -> list[tuple[int, Row]]:
    """The rows of a table, each with its line number (1 is the header).

    Args:
        path: .csv in UTF-8, or .xlsx (first sheet).
        columns: those that must be there, lower case.

    Raises:
        BadInputError: no such file, unreadable, or a column is missing.
    """
    if not path.is_file():
        raise BadInputError(f"{path}: no such table. Copy the corpus again, or check the path.")
    lines = _sheet(path) if path.suffix.lower() == ".xlsx" else _csv(path)
    header = [name.strip().casefold() for name in next(lines, [])]
    missing = [name for name in columns if name not in header]
    if missing:
        raise BadInputError(
            f"{path}: no column {missing[0]!r}, found {', '.join(header) or 'an empty table'}. "
            "Expected the table as the corpus ships it."
        )
    rows = [(number, dict(zip(header, values, strict=False))) for number, values in enumerate(lines, start=2)]
    return [(number, row) for number, row in rows if any(row.values())]


def _csv(path: Path) -> Iterator[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for values in csv.reader(file):
                yield [value.strip() for value in values]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInputError(f"{path}: not a table in UTF-8 ({error}). Save it as CSV in UTF-8.") from error


def _sheet(path: Path) -> Iterator[list[str]]:
    # Here, since only one corpus has such tables.
    import openpyxl  # type: ignore[import-untyped]  # no types are published
    from openpyxl.utils.exceptions import InvalidFileException  # type: ignore[import-untyped]  # no types are published

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, OSError) as error:
        raise BadInputError(f"{path}: not a readable .xlsx ({error}). Copy it again, or save it as CSV.") from error
    try:
        for values in book.worksheets[0].iter_rows(values_only=True):
            yield ["" if value is None else str(value).strip() for value in values]
    finally:
        book.close()


Relabels = Mapping[tuple[str, int | None], int]
"""(clip without its suffix, second or None for the whole clip) -> number of the label."""


def read_relabels(folder: Path, rubric_id: str, label_names: Sequence[str], key: str) -> Relabels:
    """Somebody's own labels for a corpus, from `<rubric_id>.csv` in its folder of labels; empty where there is none.

    Args:
        folder: where the corpus keeps its labels.
        rubric_id: names the file: "attention" reads attention.csv.
        label_names: of that rubric, in order.
        key: the column that names the clip, lower case; the others are `second` (empty: the whole clip) and `label`.

    Raises:
        BadInputError: a missing column, a label outside the rubric, a second that is no number, or two labels for one
            still.
    """
    path = folder / f"{rubric_id}.csv"
    if not path.is_file():
        return {}
    found: dict[tuple[str, int | None], int] = {}
    for line, row in read_table(path, (key, "second", "label")):
        where = f"{path}, line {line}"
        if row["second"] and not row["second"].isdigit():
            raise BadInputError(f"{where}: second must be a whole number or empty, found {row['second']!r}")
        place = Path(row[key]).stem, int(row["second"]) if row["second"] else None
        label = label_index(row["label"], label_names, where)
        if found.setdefault(place, label) != label:
            raise BadInputError(f"{where}: a second, different label for {row[key]} {row['second']}. Keep one of them.")
    return found


def relabel(relabels: Relabels, clip: str, second: int) -> int | None:
    """The label of one still, else that of its whole clip, else None."""
    return relabels.get((clip, second), relabels.get((clip, None)))
