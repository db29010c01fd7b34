"""Crops kept for review, what people and models said about them, and the queue of those that wait for a person.

Answers are append-only: a correction or an undo is a new row. Pictures come and go as encoded bytes; this file can
read none of them, and knows no model.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import uuid
from collections.abc import Mapping
from datetime import timedelta

from monitor.errors import BadInputError, StoreError
from monitor.rubric import Rubric
from monitor.schema import Prediction, require_id
from monitor.store.database import Store
from monitor.store.encoding import time_of, time_text
from monitor.store.records import Annotation, Answer
from monitor.store.review import ANNOTATION, annotation_of

REASONS = ("correction", "uncertain", "challenger", "flicker", "random", "corpus")
"""Why a crop is in the queue: somebody asked for it, or it is worth a look, or it belongs to an unbiased sample."""
REVIEW_KEPT_S = 7 * 24 * 3600.0
"""Default retention of a lecture's crop that nobody has labelled: a week."""
TRAINING_KEPT_S = 180 * 24 * 3600.0
"""Default retention once it was labelled and may be trained on."""


def keep_crop(
    store: Store, crop_id: str, picture: bytes, place: tuple[str, str, float], *, kept_s: float = REVIEW_KEPT_S
) -> bool:
    """Keep a crop of a lecture for review; returns False for a student who opted out, of whom nothing is kept.

    Args:
        store: open for writing.
        crop_id: keeping the same bytes again is fine and changes nothing.
        picture: PNG or JPEG.
        place: lecture_id, the pseudonym that the lecture's monitor gives, media time in seconds.
        kept_s: seconds until the picture is purged.

    Raises:
        StoreError: no such lecture, nobody of that pseudonym in it, or other bytes under the same id.
    """
    require_id("crop_id", crop_id)
    lecture_id, pseudonym, pts_s = place
    with store.writing(f"keeping crop {crop_id}") as (connection, now):
        row = connection.execute(
            "SELECT lecture_no, student_no, (SELECT 1 FROM opt_outs o WHERE o.student_no = s.student_no) "
            "FROM lecture_students s JOIN lectures USING (lecture_no) WHERE lecture_id = ? AND pseudonym = ?",
            (lecture_id, pseudonym),
        ).fetchone()
        if row is None:
            raise StoreError(
                f"{store.path}: no student {pseudonym!r} in lecture {lecture_id!r} to keep a crop of. Store the moment "
                "first."
            )
        if row[2]:
            return False
        until = time_text(time_of(now) + timedelta(seconds=kept_s))
        _insert(connection, (crop_id, picture, now, until), (row[0], row[1], pts_s, None, None, None, None))
    return True


def keep_still(store: Store, crop_id: str, picture: bytes, origin: tuple[str, str, str, str]) -> None:
    """Keep a still of a corpus from outside for review; it stays until it is erased.

    Args:
        store: open for writing.
        crop_id: keeping the same bytes again is fine and changes nothing.
        picture: PNG or JPEG.
        origin: kind of the corpus, item_id, person and video in it (empty where not known).

    Raises:
        StoreError: other bytes under the same id.
    """
    require_id("crop_id", crop_id)
    with store.writing(f"keeping still {crop_id}") as (connection, now):
        _insert(connection, (crop_id, picture, now, None), (None, None, None, *origin))


def record_prediction(store: Store, prediction: Prediction, *, shadow: bool = False) -> int:
    """Keep what a model says about a kept crop; the same model's earlier answer is replaced. Returns its number.

    Args:
        store: open for writing.
        prediction: on a crop that is kept.
        shadow: a challenger said it: it is kept beside, and never given as what the model said. What the same model
            said while it was in use stays so.

    Raises:
        StoreError: no such crop.
    """
    said = json.dumps({name: round(float(value), 6) for name, value in prediction.probabilities.items()})
    model = (prediction.model_id, prediction.adapter_id or "")
    with store.writing(f"storing a prediction on {prediction.crop_id}") as (connection, now):
        crop_no = _crop_no(store, connection, prediction.crop_id)
        connection.execute("INSERT OR IGNORE INTO models (model_id, adapter_id) VALUES (?, ?)", model)
        (number,) = connection.execute(
            "INSERT INTO crop_predictions (crop_no, model_no, rubric_id, label, best, probabilities, predicted_at, "
            "shadow) SELECT ?, model_no, ?, ?, ?, ?, ?, ? FROM models WHERE model_id = ? AND adapter_id = ? "
            "ON CONFLICT (crop_no, model_no, rubric_id) DO UPDATE SET label = excluded.label, best = excluded.best, "
            "probabilities = excluded.probabilities, predicted_at = excluded.predicted_at, "
            "shadow = min(shadow, excluded.shadow) RETURNING prediction_no",
            (crop_no, prediction.rubric_id, prediction.label, prediction.best, said, now, shadow, *model),
        ).fetchone()
    return int(number)


def queue_crops(
    store: Store, priorities: Mapping[str, float], rubric_id: str, reason: str, *, annotators: int = 1
) -> int:
    """Put crops into the review queue; returns how many were not in it. A higher priority than before counts.

    Args:
        store: open for writing.
        priorities: crop_id -> priority; the highest is shown first.
        rubric_id: under which they are to be labelled.
        reason: one of REASONS.
        annotators: how many people are to label each.

    Raises:
        ValueError: a reason that is none, or fewer than one annotator.
        StoreError: no such crop; none is queued then.
    """
    if reason not in REASONS or annotators < 1:
        raise ValueError(f"a reason is one of {', '.join(REASONS)} for 1 annotator or more, found {reason!r}")
    with store.writing("filling the review queue") as (connection, now):
        before = _queue_length(connection, rubric_id)
        for crop_id, priority in priorities.items():
            connection.execute(
                "INSERT INTO review_queue VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (crop_no, rubric_id) DO UPDATE SET "
                "reason = iif(excluded.priority > priority, excluded.reason, reason), "
                "priority = max(priority, excluded.priority), annotators = max(annotators, excluded.annotators)",
                (_crop_no(store, connection, crop_id), rubric_id, reason, priority, annotators, now),
            )
        return _queue_length(connection, rubric_id) - before


def ask_people(store: Store, rubric_id: str, annotators: int) -> None:
    """How many people are to label each crop of the queue, those that are in it and have too few answers included."""
    with store.writing("asking for more answers") as (connection, _):
        connection.execute("UPDATE review_queue SET annotators = ? WHERE rubric_id = ?", (annotators, rubric_id))


def annotate(store: Store, answer: Answer, rubric: Rubric, *, kept_s: float = TRAINING_KEPT_S) -> Annotation:
    """Store an answer; it supersedes what the same person said about the crop before.

    Args:
        store: open for writing.
        answer: an annotation_id that is stored already gives that row back, and nothing is stored twice.
        rubric: the answer is one of its labels, or None.
        kept_s: seconds for which the picture stays at least, once it may be trained on.

    Raises:
        BadInputError: a label outside the rubric.
        StoreError: no such crop, or an annotation_id of another answer.
    """
    require_id("annotator_id", answer.annotator_id)
    if answer.label is not None and answer.label not in rubric.names:
        raise BadInputError(
            f"{answer.crop_id}: label {answer.label!r} is not one of the rubric's: {', '.join(rubric.names)}."
        )
    with store.writing(f"storing an answer on {answer.crop_id}") as (connection, now):
        again = _stored(connection, answer.annotation_id)
        if again is not None:
            if (again.crop_id, again.label, again.annotator_id) != (answer.crop_id, answer.label, answer.annotator_id):
                raise StoreError(f"{store.path}: annotation {answer.annotation_id} is another answer. Use a new id.")
            return again
        crop_no = _crop_no(store, connection, answer.crop_id)
        if answer.may_train:
            connection.execute(
                "UPDATE crops SET keep_until = max(keep_until, ?) WHERE crop_no = ? AND keep_until IS NOT NULL",
                (time_text(time_of(now) + timedelta(seconds=kept_s)), crop_no),
            )
        return _append(connection, crop_no, rubric.rubric_id, answer, now)


def undo(store: Store, annotation_id: str) -> Annotation | None:
    """Take an answer back: what the same person had said before counts again; returns it, None if it was nothing.

    Answers are undone newest first, as a stack. Undoing one a second time changes nothing.

    Raises:
        StoreError: no such answer, or the person has answered anew since.
    """
    with store.writing(f"undoing {annotation_id}") as (connection, now):
        row = connection.execute(
            "SELECT annotation_no, crop_no, rubric_id FROM annotations WHERE annotation_id = ?", (annotation_id,)
        ).fetchone()
        if row is None:
            raise StoreError(f"{store.path}: no annotation {annotation_id!r} here to undo.")
        number, crop_no, rubric_id = row
        earlier_no, earlier = _before(connection, number)
        if connection.execute("SELECT 1 FROM annotations WHERE undoes = ?", (number,)).fetchone():
            return earlier
        taken_back = _stored(connection, annotation_id)
        assert taken_back is not None  # found above
        current = connection.execute(
            "SELECT coalesce(restores, annotation_no) FROM annotations WHERE crop_no = ? AND rubric_id = ? "
            "AND annotator_id = ? AND superseded_by IS NULL",
            (crop_no, rubric_id, taken_back.annotator_id),
        ).fetchone()
        if current[0] != number:
            raise StoreError(
                f"{store.path}: {taken_back.annotator_id} has answered anew since {annotation_id}. Undo the newest "
                "answer first."
            )
        said = earlier or taken_back
        answer = Answer(
            *(said.crop_id, earlier.label if earlier else None, said.annotator_id, said.blind, said.may_train),
            prediction_id=said.prediction_id,
        )
        _append(connection, crop_no, rubric_id, answer, now, undo_of=(number, earlier_no))
    return earlier


def _insert(
    connection: sqlite3.Connection, kept: tuple[str, bytes, str, str | None], place: tuple[object, ...]
) -> None:
    crop_id, picture, now, until = kept
    digest = hashlib.sha256(picture).hexdigest()
    known = connection.execute("SELECT sha256 FROM crops WHERE crop_id = ?", (crop_id,)).fetchone()
    if known is None:
        connection.execute(
            "INSERT INTO crops (crop_id, sha256, picture, kept_at, keep_until, lecture_no, student_no, pts_s, corpus, "
            "item_id, person, video) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (crop_id, digest, picture, now, until, *place),
        )
    elif known[0] != digest:
        raise StoreError(f"crop {crop_id} is kept already with another picture. Give this one an id of its own.")


def _append(
    connection: sqlite3.Connection,
    crop_no: int,
    rubric_id: str,
    answer: Answer,
    now: str,
    undo_of: tuple[int, int | None] | None = None,
) -> Annotation:
    """A new current row; undo_of: the row it takes back, and the one that counts again, if any."""
    (number,) = connection.execute(
        "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'annotations'), 0) + 1"
    ).fetchone()
    undoes, restores = undo_of or (None, None)
    withdrawn = undoes is not None and restores is None
    annotation_id = answer.annotation_id or uuid.uuid4().hex
    # The old row first: there is one current row per person and crop at any time, and the index says so.
    connection.execute(
        "UPDATE annotations SET superseded_by = ? WHERE crop_no = ? AND rubric_id = ? AND annotator_id = ? "
        "AND superseded_by IS NULL",
        (number, crop_no, rubric_id, answer.annotator_id),
    )
    connection.execute(
        "INSERT INTO annotations (annotation_no, annotation_id, crop_no, prediction_no, rubric_id, label, withdrawn, "
        "annotator_id, blind, may_train, created_at, undoes, restores) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(number, annotation_id, crop_no, answer.prediction_id, rubric_id, answer.label, withdrawn),
            *(answer.annotator_id, answer.blind, answer.may_train, now, undoes, restores),
        ),
    )
    stored = _stored(connection, annotation_id)
    assert stored is not None  # written above
    return stored


def _before(connection: sqlite3.Connection, number: int) -> tuple[int | None, Annotation | None]:
    """What counted before an answer of the same person: its row, None where there was nothing."""
    row = connection.execute(
        "SELECT coalesce(restores, annotation_no) FROM annotations WHERE superseded_by = ? AND NOT withdrawn", (number,)
    ).fetchone()
    if row is None:
        return None, None
    (annotation_id,) = connection.execute(
        "SELECT annotation_id FROM annotations WHERE annotation_no = ?", row
    ).fetchone()
    return int(row[0]), _stored(connection, annotation_id)


def _stored(connection: sqlite3.Connection, annotation_id: str) -> Annotation | None:
    row = connection.execute(f"{ANNOTATION} WHERE a.annotation_id = ?", (annotation_id,)).fetchone()
    return annotation_of(row) if row else None


def _crop_no(store: Store, connection: sqlite3.Connection, crop_id: str) -> int:
    row = connection.execute("SELECT crop_no FROM crops WHERE crop_id = ?", (crop_id,)).fetchone()
    if row is None:
        raise StoreError(f"{store.path}: no crop {crop_id!r} is kept here. Keep it first, or it was erased.")
    return int(row[0])


def _queue_length(connection: sqlite3.Connection, rubric_id: str) -> int:
    return int(connection.execute("SELECT count(*) FROM review_queue WHERE rubric_id = ?", (rubric_id,)).fetchone()[0])
