"""From the store to files that others read: labels.parquet, students.csv, episodes.csv.

The same rows give the same bytes; a file appears whole or not at all; memory does not grow with the lecture. Names go
into students.csv only. Knows no writer and no model.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from monitor.errors import BadInputError, StoreError
from monitor.rubric import Rubric
from monitor.store.reader import StoreReader
from monitor.store.records import LectureRecord, StoredObservation

STUDENT_COLUMNS = ("student_id", "name")
EPISODE_COLUMNS = ("lecture_id", "recording", "student_id", "state", "started_s", "ended_s", "confidence")
_ROWS_PER_GROUP = 8_192
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


def label_columns(rubric: Rubric) -> list[str]:
    """Names of the columns of labels.parquet, in order."""
    place = ["lecture_id", "recording", "time_s", "student_id", "x1", "y1", "x2", "y2", "presence"]
    answer = ["label", "confidence", *(f"p_{name}" for name in rubric.names), "state"]
    return [*place, *answer, "model_id", "adapter_id", "rubric_id"]


def write_labels_parquet(
    reader: StoreReader, lecture_ids: Sequence[str], path: Path, *, recordings: Mapping[str, str] | None = None
) -> int:
    """One row per student and sample, lectures in the given order, each by (time_s, student_id); returns the rows.

    label, confidence, p_* and model_id are null where a student was not judged.

    Args:
        reader: an open store.
        lecture_ids: all under one rubric.
        path: replaced when the file is whole.
        recordings: lecture_id -> the "recording" column; a lecture not in it has its source there.

    Raises:
        BadInputError: no lecture, or lectures under different rubrics: their columns do not fit in one table.
        StoreError: no such lecture, or the file cannot be written.
    """
    import pyarrow.parquet  # here, since it is heavy: only who exports waits for it

    lectures = _lectures(reader, lecture_ids)
    rubric = lectures[0].rubric
    for lecture in lectures:
        if lecture.rubric.names != rubric.names or lecture.rubric.rubric_id != rubric.rubric_id:
            raise BadInputError(
                f"{lectures[0].lecture_id} was judged under {rubric.rubric_id!r} and {lecture.lecture_id} under "
                f"{lecture.rubric.rubric_id!r}: their labels do not fit in one table. Export them into two folders."
            )
    schema = _schema(rubric)
    count = 0
    rows = (
        _label_row(lecture, (recordings or {}).get(lecture.lecture_id, lecture.source), row)
        for lecture in lectures
        for row in reader.observations(lecture.lecture_id)
    )
    with (
        whole_file(path) as unfinished,
        pyarrow.parquet.ParquetWriter(
            unfinished, schema, version="2.6", compression="zstd", store_schema=False
        ) as writer,
    ):
        while written := _write_group(writer, schema, islice(rows, _ROWS_PER_GROUP)):
            count += written
    return count


def write_students_csv(reader: StoreReader, lecture_ids: Sequence[str], path: Path) -> int:
    """student_id, name: who took part in any of the lectures; an empty name where none was read. Returns the rows.

    The one file with names.

    Raises:
        StoreError: no such lecture, or the file cannot be written.
    """
    names = reader.names()
    students = sorted({student_id for lecture_id in lecture_ids for student_id in reader.students(lecture_id)})
    return write_csv(path, STUDENT_COLUMNS, ((student_id, names.get(student_id, "")) for student_id in students))


def write_episodes_csv(
    reader: StoreReader, lecture_ids: Sequence[str], path: Path, *, recordings: Mapping[str, str] | None = None
) -> int:
    """One row per episode, by lecture, student and start; seconds of media time; returns the rows.

    Raises:
        StoreError: no such lecture, or the file cannot be written.
    """
    rows = (
        (
            lecture.lecture_id,
            (recordings or {}).get(lecture.lecture_id, lecture.source),
            episode.student_id,
            episode.state,
            repr(episode.started_s),
            repr(episode.ended_s),
            "" if episode.confidence is None else repr(episode.confidence),
        )
        for lecture in _lectures(reader, lecture_ids)
        for episode in reader.episodes(lecture.lecture_id)
    )
    return write_csv(path, EPISODE_COLUMNS, rows)


def formula_safe(text: str) -> str:
    """Text from outside as a spreadsheet must see it: one that would run as a formula gets an apostrophe in front."""
    return f"'{text}" if text.startswith(_FORMULA_SIGNS) else text


def _lectures(reader: StoreReader, lecture_ids: Sequence[str]) -> list[LectureRecord]:
    if not lecture_ids:
        raise BadInputError(f"{reader.path}: no lecture was chosen to export. `classroom dashboard` lists those there.")
    found = []
    for lecture_id in lecture_ids:
        lecture = reader.lecture(lecture_id)
        if lecture is None:
            raise StoreError(f"{reader.path}: no lecture {lecture_id!r} here to export. Check the id and the store.")
        found.append(lecture)
    return found


def _schema(rubric: Rubric) -> Any:
    import pyarrow

    numbers = dict.fromkeys(("x1", "y1", "x2", "y2"), pyarrow.int32())
    numbers |= dict.fromkeys(("confidence", *(f"p_{name}" for name in rubric.names)), pyarrow.float32())
    numbers |= {"time_s": pyarrow.float64()}
    nullable = {"label", "confidence", "state", "model_id", "adapter_id", *(f"p_{name}" for name in rubric.names)}
    return pyarrow.schema(
        [
            pyarrow.field(name, numbers.get(name, pyarrow.string()), nullable=name in nullable)
            for name in label_columns(rubric)
        ]
    )


def _write_group(writer: Any, schema: Any, rows: Iterable[tuple[object, ...]]) -> int:
    """Write one group of rows, and let go of it before the next is read."""
    import pyarrow

    columns = [list(column) for column in zip(*rows, strict=True)]
    if not columns:
        return 0
    writer.write_table(pyarrow.table(columns, schema=schema), row_group_size=_ROWS_PER_GROUP)
    return len(columns[0])


def _label_row(lecture: LectureRecord, recording: str, row: StoredObservation) -> tuple[object, ...]:
    names = lecture.rubric.names
    chances = [row.probabilities[name] for name in names] if row.probabilities else [None] * len(names)
    return (
        *(lecture.lecture_id, recording, row.pts_s, row.student_id, *row.box.as_tuple(), row.presence.value),
        *(row.label, row.confidence, *chances, row.state),
        *(row.model_id, row.adapter_id, lecture.rubric.rubric_id),
    )


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> int:
    """A CSV file, UTF-8, every cell safe from running as a formula; returns the rows.

    Raises:
        StoreError: the file cannot be written.
    """
    count = 0
    with whole_file(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow([formula_safe(cell) for cell in row])
            count += 1
    return count


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file beside `path` to write into; it takes the place of `path` only when all went well.

    Raises:
        StoreError: the file cannot be written there.
    """
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        unfinished.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreError(f"{path}: cannot be written: {reason}. Free some space or choose another folder.") from error
    finally:
        if unfinished.exists():
            unfinished.unlink()
