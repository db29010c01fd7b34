"""Typed, read-only looks at what is reviewed: crops, answers, the queue. Knows no writer and no picture format."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from monitor.schema import Prediction
from monitor.store.encoding import time_of
from monitor.store.reader import StoreReader
from monitor.store.records import Annotation, KeptCrop, QueuedCrop

ANNOTATION = """
    SELECT a.annotation_id, crop_id, a.rubric_id, a.label, a.annotator_id, a.blind, a.may_train, a.created_at,
        a.prediction_no, later.annotation_id, a.withdrawn
    FROM annotations a JOIN crops c USING (crop_no)
    LEFT JOIN annotations later ON later.annotation_no = a.superseded_by"""
_CROP = """c.crop_id, c.sha256, {picture}, c.kept_at, c.keep_until, lecture_id, student_id, c.pts_s, c.corpus,
    c.item_id, c.person, c.video"""
_CROP_JOINS = "LEFT JOIN lectures USING (lecture_no) LEFT JOIN students USING (student_no)"


def kept_crop(reader: StoreReader, crop_id: str) -> KeptCrop | None:
    """One crop with its picture, or None."""
    rows = reader.rows(
        f"SELECT {_CROP.format(picture='c.picture')} FROM crops c {_CROP_JOINS} WHERE crop_id = ?", crop_id
    )
    return _crop(rows[0]) if rows else None


def kept_crops(reader: StoreReader) -> Iterator[KeptCrop]:
    """All crops whose picture is still there, without their pictures, oldest first."""
    for row in reader.rows(
        f"SELECT {_CROP.format(picture='NULL')} FROM crops c {_CROP_JOINS} WHERE c.picture IS NOT NULL ORDER BY crop_no"
    ):
        yield _crop(row)


def crops_of_student(reader: StoreReader, lecture_id: str, student_id: str, near_s: float, most: int) -> list[KeptCrop]:
    """Crops of one student in one lecture with their pictures, those nearest to a media time, in its order."""
    rows = reader.rows(
        f"""SELECT {_CROP.format(picture="c.picture")} FROM crops c JOIN lectures USING (lecture_no)
        JOIN students USING (student_no) WHERE lecture_id = ? AND student_id = ? AND c.picture IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM opt_outs o WHERE o.student_no = c.student_no)
        ORDER BY abs(c.pts_s - ?), crop_no LIMIT ?""",
        *(lecture_id, student_id, near_s, most),
    )
    return sorted((_crop(row) for row in rows), key=lambda crop: crop.pts_s or 0.0)


def current_annotations(reader: StoreReader, rubric_id: str) -> list[Annotation]:
    """What each person says now about each crop, in the order of the answers; can't tell is among them."""
    rows = reader.rows(
        f"{ANNOTATION} WHERE a.rubric_id = ? AND a.superseded_by IS NULL AND NOT a.withdrawn ORDER BY a.annotation_no",
        rubric_id,
    )
    return [annotation_of(row) for row in rows]


def annotation_history(reader: StoreReader, crop_id: str) -> list[Annotation]:
    """Everything that was ever said about a crop, undone and superseded answers included, oldest first."""
    return [
        annotation_of(row) for row in reader.rows(f"{ANNOTATION} WHERE crop_id = ? ORDER BY a.annotation_no", crop_id)
    ]


def double_annotations(reader: StoreReader, rubric_id: str) -> list[tuple[Annotation, Annotation]]:
    """Answers of two people on one crop, can't tell included; three people give three pairs."""
    by_crop: dict[str, list[Annotation]] = defaultdict(list)
    for annotation in current_annotations(reader, rubric_id):
        by_crop[annotation.crop_id].append(annotation)
    return [
        pair
        for answers in by_crop.values()
        for pair in combinations(sorted(answers, key=lambda answer: answer.annotator_id), 2)
    ]


def predictions_on(reader: StoreReader, crop_id: str, *, shadow: bool = False) -> dict[int, Prediction]:
    """What models said about a kept crop, by prediction_id, newest last.

    shadow: instead of theirs the answers of challengers, which were only asked beside them.
    """
    rows = reader.rows(
        """SELECT prediction_no, crop_id, coalesce(student_id, ''), coalesce(c.pts_s, 0), p.label, best, probabilities,
            model_id, p.rubric_id, adapter_id
        FROM crop_predictions p JOIN crops c USING (crop_no) JOIN models USING (model_no)
        LEFT JOIN students USING (student_no) WHERE crop_id = ? AND shadow = ? ORDER BY predicted_at, prediction_no""",
        *(crop_id, shadow),
    )
    return {row[0]: _prediction(row[1:]) for row in rows}


def waiting(reader: StoreReader, rubric_id: str, annotator_id: str, most: int = 100) -> list[QueuedCrop]:
    """The crops that one person has not answered yet and that want another answer, most useful first.

    Pictures are left out; `kept_crop` has them. Students who opted out since are left out, too.
    """
    rows = reader.rows(
        f"""SELECT {_CROP.format(picture="NULL")}, reason, priority,
            (SELECT count(*) FROM annotations a WHERE a.crop_no = q.crop_no AND a.rubric_id = q.rubric_id
                AND a.superseded_by IS NULL AND NOT a.withdrawn) AS answers
        FROM review_queue q JOIN crops c USING (crop_no) {_CROP_JOINS}
        WHERE q.rubric_id = :rubric AND c.picture IS NOT NULL AND answers < q.annotators
            AND NOT EXISTS (SELECT 1 FROM opt_outs o WHERE o.student_no = c.student_no)
            AND NOT EXISTS (SELECT 1 FROM annotations a WHERE a.crop_no = q.crop_no AND a.rubric_id = q.rubric_id
                AND a.annotator_id = :annotator AND a.superseded_by IS NULL AND NOT a.withdrawn)
        ORDER BY priority DESC, q.crop_no LIMIT :most""",
        {"rubric": rubric_id, "annotator": annotator_id, "most": most},
    )
    return [QueuedCrop(_crop(row[:12]), *row[12:]) for row in rows]


def waiting_count(reader: StoreReader, rubric_id: str, annotator_id: str) -> int:
    """How many crops `waiting` would list, had it no end."""
    rows = reader.rows(
        """SELECT count(*) FROM review_queue q JOIN crops c USING (crop_no)
        WHERE q.rubric_id = :rubric AND c.picture IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM opt_outs o WHERE o.student_no = c.student_no)
            AND q.annotators > (SELECT count(*) FROM annotations a WHERE a.crop_no = q.crop_no
                AND a.rubric_id = q.rubric_id AND a.superseded_by IS NULL AND NOT a.withdrawn)
            AND NOT EXISTS (SELECT 1 FROM annotations a WHERE a.crop_no = q.crop_no AND a.rubric_id = q.rubric_id
                AND a.annotator_id = :annotator AND a.superseded_by IS NULL AND NOT a.withdrawn)""",
        {"rubric": rubric_id, "annotator": annotator_id},
    )
    return int(rows[0][0])


def newest_answers(reader: StoreReader, rubric_id: str, annotator_id: str, most: int = 50) -> list[Annotation]:
    """What one person said last and still says, oldest first: what `undo` can take back, from the end.

    After an undo the answer that counts again is listed under its own id, not that of the undo.
    """
    rows = reader.rows(
        f"""{ANNOTATION} WHERE a.annotation_no IN (
            SELECT coalesce(restores, annotation_no) FROM annotations
            WHERE rubric_id = :rubric AND annotator_id = :annotator AND superseded_by IS NULL AND NOT withdrawn
            ORDER BY 1 DESC LIMIT :most)
        ORDER BY a.annotation_no""",
        {"rubric": rubric_id, "annotator": annotator_id, "most": most},
    )
    return [annotation_of(row) for row in rows]


def answer_count(reader: StoreReader, rubric_id: str, annotator_id: str) -> int:
    """Crops that one person has answered, can't tell included."""
    rows = reader.rows(
        "SELECT count(*) FROM annotations WHERE rubric_id = ? AND annotator_id = ? AND superseded_by IS NULL "
        "AND NOT withdrawn",
        *(rubric_id, annotator_id),
    )
    return int(rows[0][0])


def annotators(reader: StoreReader) -> list[str]:
    """Everybody who has answered anything, in order of the alphabet."""
    return [row[0] for row in reader.rows("SELECT DISTINCT annotator_id FROM annotations ORDER BY 1")]


def queued_rubrics(reader: StoreReader) -> list[str]:
    """Rubrics under which crops were queued, the fullest queue first."""
    return [row[0] for row in reader.rows("SELECT rubric_id FROM review_queue GROUP BY 1 ORDER BY count(*) DESC, 1")]


def crop_reasons(reader: StoreReader, rubric_id: str) -> dict[str, str]:
    """crop_id -> why it is in the queue."""
    return dict(
        reader.rows(
            "SELECT crop_id, reason FROM review_queue JOIN crops USING (crop_no) WHERE rubric_id = ?", rubric_id
        )
    )


def current_predictions(reader: StoreReader, rubric_id: str) -> dict[str, tuple[str, str, str]]:
    """crop_id -> (likeliest label, student_id or person in the corpus, model_id), of the newest prediction on each."""
    return {
        row[0]: (row[1], row[2], row[3])
        for row in reader.rows(
            """SELECT crop_id, best, coalesce(student_id, nullif(person, ''), crop_id), model_id
            FROM crop_predictions p JOIN crops c USING (crop_no) JOIN models USING (model_no)
            LEFT JOIN students USING (student_no) WHERE p.rubric_id = ? AND NOT shadow
            ORDER BY predicted_at, prediction_no""",
            rubric_id,
        )
    }


def queue_counts(reader: StoreReader, rubric_id: str) -> Mapping[str, int]:
    """Crops in the queue by reason, answered or not."""
    return dict(
        reader.rows("SELECT reason, count(*) FROM review_queue WHERE rubric_id = ? GROUP BY 1 ORDER BY 1", rubric_id)
    )


def queued_stills(reader: StoreReader, rubric_id: str) -> set[tuple[str, str]]:
    """Kind of the corpus and item_id of the stills from outside that are, or were, in the queue under a rubric."""
    return set(
        reader.rows(
            "SELECT corpus, item_id FROM review_queue JOIN crops USING (crop_no) WHERE rubric_id = ? "
            "AND corpus IS NOT NULL",
            rubric_id,
        )
    )


def annotation_of(row: tuple[Any, ...]) -> Annotation:
    """A row of ANNOTATION as a record."""
    return Annotation(
        annotation_id=row[0],
        crop_id=row[1],
        rubric_id=row[2],
        label=row[3],
        annotator_id=row[4],
        blind=bool(row[5]),
        may_train=bool(row[6]),
        created_at=time_of(row[7]),
        prediction_id=row[8],
        superseded_by=row[9],
        withdrawn=bool(row[10]),
    )


def _crop(row: tuple[Any, ...]) -> KeptCrop:
    return KeptCrop(row[0], row[1], row[2], time_of(row[3]), time_of(row[4]) if row[4] else None, *row[5:])


def _prediction(row: tuple[Any, ...]) -> Prediction:
    crop_id, student_id, pts_s, label, best, probabilities, model_id, rubric_id, adapter_id = row
    said = json.loads(probabilities)
    place = (crop_id, student_id, pts_s, label, best, said, model_id, rubric_id, adapter_id or None)
    return Prediction(*place)
