"""A label put right while the lecture runs: an answer on the student's newest picture. Knows no page and no monitor."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.errors import BadInputError
from monitor.rubric import Rubric
from monitor.schema import Prediction
from monitor.store.annotations import annotate, keep_crop, record_prediction
from monitor.store.database import Store
from monitor.store.encoding import rubric_of, unpack_probabilities
from monitor.store.reader import StoreReader
from monitor.store.records import Annotation, Answer
from monitor.store.wishes import DAY_S, Wishes

ANSWERED_WITHIN_S = 5.0
"""The newest picture may be a few seconds old, and the student may have been seen anew since."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What a person last said about a student in a lecture."""

    annotation_id: str
    label: str
    pts_s: float
    """Media time at which it was said; where that was later, ANSWERED_WITHIN_S after the picture that was labelled."""


def correct_now(store: Store, place: tuple[str, str], label: str, who: tuple[str, str], wishes: Wishes) -> Annotation:
    """Label the newest picture of a student; what the model said of it is kept beside.

    Args:
        store: open for writing.
        place: lecture_id and student_id.
        label: a word of the lecture's rubric.
        who: annotator_id, and an annotation_id made by who asks, so that a click sent twice is stored once.
        wishes: consent and retention.

    Raises:
        BadInputError: no picture of the student is kept, a student who opted out, or a label outside the rubric.
    """
    lecture_id, student_id = place
    with store.writing(f"correcting {student_id}") as (connection, _):
        found = connection.execute(
            "SELECT jpeg, t.pts_s, lecture_no, student_no, rubric, rubric_id FROM thumbnails t "
            "JOIN lectures USING (lecture_no) JOIN students USING (student_no) WHERE lecture_id = ? AND student_id = ?",
            place,
        ).fetchone()
        if found is None:
            raise BadInputError(f"{student_id}: no picture is kept to label. Corrections need `--pictures`.")
        jpeg, pts_s, lecture_no, student_no = found[:4]
        rubric = rubric_of(found[4])
        prediction = _prediction(store, (lecture_no, student_no, pts_s), (student_id, rubric))
        crop_id = prediction.crop_id if prediction else f"{lecture_id}.{student_id}.{round(1000 * pts_s):09d}"
        kept = connection.execute("SELECT 1 FROM crops WHERE crop_id = ?", (crop_id,)).fetchone()
        if not kept:
            (pseudonym,) = connection.execute(
                "SELECT pseudonym FROM lecture_students WHERE lecture_no = ? AND student_no = ?",
                (lecture_no, student_no),
            ).fetchone()
            kept_s = wishes.pictures_kept_days * DAY_S
            if not keep_crop(store, crop_id, jpeg, (lecture_id, pseudonym, pts_s), kept_s=kept_s):
                raise BadInputError(f"{student_id} has opted out and is not labelled")
        said = record_prediction(store, prediction) if prediction else None
        answer = Answer(crop_id, label, who[0], may_train=wishes.may_train, prediction_id=said, annotation_id=who[1])
        return annotate(store, answer, rubric, kept_s=wishes.training_kept_days * DAY_S)


def newest_corrections(reader: StoreReader, lecture_id: str) -> dict[str, Correction]:
    """student_id -> what a person last said about them in this lecture; can't tell is left out."""
    rows = reader.rows(
        """SELECT student_id, coalesce(o.annotation_id, a.annotation_id), a.label,
            coalesce((SELECT max(m.pts_s) FROM moments m WHERE m.lecture_no = c.lecture_no
                AND m.pts_s BETWEEN c.pts_s AND c.pts_s + :within AND m.committed_at <= a.created_at), c.pts_s)
        FROM annotations a JOIN crops c USING (crop_no) JOIN lectures USING (lecture_no)
        JOIN students USING (student_no) LEFT JOIN annotations o ON o.annotation_no = a.restores
        WHERE lecture_id = :lecture AND a.superseded_by IS NULL AND NOT a.withdrawn AND a.label IS NOT NULL
        ORDER BY c.pts_s, a.annotation_no""",
        {"lecture": lecture_id, "within": ANSWERED_WITHIN_S},
    )
    return {row[0]: Correction(*row[1:]) for row in rows}


def _prediction(store: Store, at: tuple[int, int, float], about: tuple[str, Rubric]) -> Prediction | None:
    """What the lecture's model said at the moment of the picture."""
    student_id, rubric = about
    with store.reading("reading what the model said") as connection:
        row = connection.execute(
            "SELECT crop_id, label, best, probabilities, model_id, adapter_id FROM observations "
            "JOIN moments USING (lecture_no, idx) JOIN models USING (model_no) "
            "WHERE lecture_no = ? AND student_no = ? AND pts_s = ?",
            at,
        ).fetchone()
    if row is None or row[0] is None:
        return None
    said = unpack_probabilities(row[3], rubric.names)
    return Prediction(row[0], student_id, at[2], row[1], row[2], said, row[4], rubric.rubric_id, row[5] or None)
