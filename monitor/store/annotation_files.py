"""What people answered on kept crops as a table: annotations.parquet, annotations.csv. One row an answer that counts.

Each row says who answered, when, whether blind, and what which model had said. No names of students, no pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from monitor.store.exchange import whole_file, write_csv
from monitor.store.reader import StoreReader

COLUMNS = (
    *("annotation_id", "crop_id", "crop_sha256", "lecture_id", "recording", "student_id", "time_s"),
    *("corpus", "item_id", "person", "reason", "rubric_id", "label", "cannot_tell"),
    *("annotator_id", "created_at", "blind", "may_train"),
    *("model_id", "adapter_id", "model_label", "model_best", "model_confidence"),
)
_BOOLEANS = ("cannot_tell", "blind", "may_train")
_NUMBERS = ("time_s", "model_confidence")


def answer_rows(reader: StoreReader, rubric_id: str) -> Iterator[dict[str, Any]]:
    """The answers that count, in the order they were given; what is not known is None."""
    rows = reader.rows(
        """SELECT a.annotation_id, crop_id, c.sha256, lecture_id, source, student_id, c.pts_s, c.corpus, c.item_id,
            c.person, q.reason, a.rubric_id, a.label, a.label IS NULL, a.annotator_id, a.created_at, a.blind,
            a.may_train, m.model_id, nullif(m.adapter_id, ''), p.label, p.best, json_extract(p.probabilities,
            '$."' || p.best || '"')
        FROM annotations a JOIN crops c USING (crop_no) LEFT JOIN lectures USING (lecture_no)
        LEFT JOIN students USING (student_no)
        LEFT JOIN review_queue q ON q.crop_no = a.crop_no AND q.rubric_id = a.rubric_id
        LEFT JOIN crop_predictions p USING (prediction_no) LEFT JOIN models m USING (model_no)
        WHERE a.rubric_id = ? AND a.superseded_by IS NULL AND NOT a.withdrawn ORDER BY a.annotation_no""",
        rubric_id,
    )
    for values in rows:
        row = dict(zip(COLUMNS, values, strict=True))
        row["recording"] = recording_name(row["recording"]) if row["recording"] else None
        yield row | {name: bool(row[name]) for name in _BOOLEANS}


def recording_name(source: str) -> str:
    """What was watched, without the folders of this machine."""
    return source.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def write_answers_csv(reader: StoreReader, rubric_id: str, path: Path) -> int:
    """The table as CSV, an empty cell where something is not known; returns the rows.

    Raises:
        StoreError: the file cannot be written.
    """
    rows = ([_cell(row[name]) for name in COLUMNS] for row in answer_rows(reader, rubric_id))
    return write_csv(path, COLUMNS, rows)


def write_answers_parquet(reader: StoreReader, rubric_id: str, path: Path) -> int:
    """The table as Parquet, null where something is not known; returns the rows.

    Raises:
        StoreError: the file cannot be written.
    """
    import pyarrow
    import pyarrow.parquet  # here, since it is heavy: only who exports waits for it

    kinds = dict.fromkeys(_BOOLEANS, pyarrow.bool_()) | dict.fromkeys(_NUMBERS, pyarrow.float64())
    schema = pyarrow.schema([pyarrow.field(name, kinds.get(name, pyarrow.string())) for name in COLUMNS])
    rows = list(answer_rows(reader, rubric_id))
    with whole_file(path) as unfinished:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), unfinished, compression="zstd")
    return len(rows)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
