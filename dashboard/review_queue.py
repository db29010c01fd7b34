"""What the review board shows and what its answers mean: plain data out, events in. Knows no Streamlit.

Events come from a browser: each is checked, and each may come twice.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dashboard import wording
from dashboard.queries import lecture_title
from monitor.clips import clip_around, recording_of
from monitor.errors import ClassroomError
from monitor.rubric import Rubric, load_rubric
from monitor.schema import Prediction
from monitor.store.annotations import annotate, undo
from monitor.store.database import Store
from monitor.store.reader import StoreReader
from monitor.store.records import Answer, KeptCrop, QueuedCrop
from monitor.store.review import (
    answer_count,
    kept_crop,
    newest_answers,
    predictions_on,
    waiting,
    waiting_count,
)
from monitor.store.wishes import DAY_S, Wishes

SENT_AT_ONCE = 8
"""Crops that the board gets ahead, so that a key never waits for the server."""
EVENTS_MAX = 200
HELD_MAX = 200
_EVENT_ID = re.compile(r"[0-9a-f-]{8,64}")
_PERSON = re.compile(r"[\w.@-]{1,80}")

REASON_WORDS: Mapping[str, str] = {
    "correction": "Somebody asked for a look",
    "uncertain": "The model was not sure",
    "challenger": "Two models disagree",
    "flicker": "The answer stands against those before it",
    "random": "Drawn at random, to measure without favour",
    "corpus": "From a collection of pictures",
}


@dataclass(slots=True)
class Handled:
    """What became of the events of one look."""

    stored: list[str] = field(default_factory=list)
    """Ids that the board need not send again: stored, or never to be."""
    gone: list[str] = field(default_factory=list)
    """Crops that are not here any more."""
    trouble: str | None = None


def annotator_id(name: str) -> str:
    """A person's name as an id: "Ada Lovelace" becomes "Ada-Lovelace"; empty where nothing of it is left."""
    return re.sub(r"[^\w.@-]+", "-", name.strip()).strip("-")[:80]


def rubric_named(reader: StoreReader, rubric_id: str) -> Rubric:
    """The rubric as a lecture had it, else the shipped one.

    Raises:
        RubricError: neither is there.
    """
    return reader.newest_rubric(rubric_id) or load_rubric(rubric_id, research=True)


def handle(store: Store, reader: StoreReader, events: object, rubric: Rubric, wishes: Wishes) -> Handled:
    """Store answers and undos in the order they were given; one that came before changes nothing.

    Args:
        store: open for writing.
        reader: of the same store.
        events: as the browser sent them: not to be trusted.
        rubric: under which the board asks.
        wishes: consent and retention.
    """
    handled = Handled()
    for event in events[:EVENTS_MAX] if isinstance(events, list) else []:
        if not isinstance(event, dict) or not _EVENT_ID.fullmatch(str(event.get("id", ""))):
            continue
        try:
            _apply(store, reader, event, rubric, wishes)
        except (ClassroomError, ValueError) as error:
            # Sent again it would fail again: say so, and let go of it.
            handled.trouble = str(error)
            if kept_crop(reader, str(event.get("crop_id", ""))) is None:
                handled.gone.append(str(event.get("crop_id", "")))
        handled.stored.append(str(event["id"]))
    return handled


def board_view(
    reader: StoreReader, rubric: Rubric, annotator: str, *, blind: bool, held: Collection[str], handled: Handled
) -> dict[str, Any]:
    """All that the board needs after one look.

    Args:
        reader: the open store.
        rubric: under which crops wait.
        annotator: id of the person who labels.
        blind: hold the model's answer back until theirs is stored.
        held: crops that the board has already.
        handled: what became of the events it sent.
    """
    known = set(list(held)[:HELD_MAX])
    queue = waiting(reader, rubric.rubric_id, annotator, most=SENT_AT_ONCE + len(known))
    fresh = [queued for queued in queue if queued.crop.crop_id not in known][:SENT_AT_ONCE]
    answered = newest_answers(reader, rubric.rubric_id, annotator)
    left = waiting_count(reader, rubric.rubric_id, annotator)
    return {
        "annotator": annotator,
        "rubric_id": rubric.rubric_id,
        "blind": blind,
        "locked": not annotator,
        "question": rubric.question if len(rubric.question) <= 90 else "Where does this student look?",
        "labels": [
            {"name": label.name, "phrase": label.phrase, "color": label.color, "mark": number, "key": str(number + 1)}
            for number, label in enumerate(rubric.labels)
        ],
        "items": [_item(reader, rubric, queued, blind=blind) for queued in fresh],
        "answered": [
            {
                "annotation_id": row.annotation_id,
                "crop_id": row.crop_id,
                "label": row.label,
                "model": model_said(reader, row.crop_id, rubric) if row.crop_id in known else None,
            }
            for row in answered
        ],
        "left": left,
        "mine": answer_count(reader, rubric.rubric_id, annotator),
        "stored": handled.stored,
        "gone": handled.gone,
        "trouble": handled.trouble,
        "done_title": "All looked at",
        "done_advice": "Nothing waits for you. Crops worth a look come with the next lecture; a second person can "
        "label the same ones under another name.",
    }


def clip_view(reader: StoreReader, crop_id: str) -> dict[str, Any] | None:
    """The seconds around a crop as pictures to be shown one after the other; None where there is no recording."""
    crop = kept_crop(reader, crop_id)
    if crop is None or crop.lecture_id is None or crop.student_id is None or crop.pts_s is None:
        return None
    clip = clip_around(reader, crop.lecture_id, crop.student_id, crop.pts_s)
    if clip is None:
        return None
    return {"crop_id": crop_id, "period_ms": 1000 * clip.period_s, "frames": [picture_uri(jpeg) for jpeg in clip.jpegs]}


def picture_uri(picture: bytes) -> str:
    """A picture that a page can show without asking anybody for it."""
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def model_said(reader: StoreReader, crop_id: str, rubric: Rubric) -> dict[str, str] | None:
    """The newest model's answer in words, and which model."""
    found = _newest_prediction(reader, crop_id, rubric)
    if found is None:
        return None
    prediction = found[1]
    phrase = {label.name: label.phrase for label in rubric.labels}.get(prediction.best, prediction.best)
    sure = "" if prediction.label == prediction.best else ", unsure"
    named = prediction.model_id + (f" with {prediction.adapter_id}" if prediction.adapter_id else "")
    return {"words": f"{phrase} ({prediction.confidence:.0%}{sure})", "id": wording.model_words(named)}


def _apply(store: Store, reader: StoreReader, event: Mapping[str, Any], rubric: Rubric, wishes: Wishes) -> None:
    if event.get("kind") == "undo":
        undo(store, str(event.get("of", "")))
        return
    annotator, label, crop_id = str(event.get("annotator", "")), event.get("label"), str(event.get("crop_id", ""))
    if not _PERSON.fullmatch(annotator):
        raise ValueError("Say who is labelling first.")
    found = _newest_prediction(reader, crop_id, rubric)
    answer = Answer(
        crop_id,
        None if label is None else str(label),
        annotator,
        blind=event.get("blind") is True,
        may_train=wishes.may_train,
        prediction_id=found[0] if found else None,
        annotation_id=str(event["id"]),
    )
    annotate(store, answer, rubric, kept_s=wishes.training_kept_days * DAY_S)


def _newest_prediction(reader: StoreReader, crop_id: str, rubric: Rubric) -> tuple[int, Prediction] | None:
    found = [(key, one) for key, one in predictions_on(reader, crop_id).items() if one.rubric_id == rubric.rubric_id]
    return found[-1] if found else None


def _item(reader: StoreReader, rubric: Rubric, queued: QueuedCrop, *, blind: bool) -> dict[str, Any]:
    crop = kept_crop(reader, queued.crop.crop_id)
    picture = crop.picture if crop is not None else None
    return {
        "crop_id": queued.crop.crop_id,
        "image": picture_uri(picture) if picture else "",
        "where": _where(reader, queued.crop),
        "why": REASON_WORDS.get(queued.reason, queued.reason)
        + (f" · {queued.answers} other {'answer' if queued.answers == 1 else 'answers'}" if queued.answers else ""),
        "playable": queued.crop.lecture_id is not None and recording_of(reader, queued.crop.lecture_id) is not None,
        "model": None if blind else model_said(reader, queued.crop.crop_id, rubric),
    }


def _where(reader: StoreReader, crop: KeptCrop) -> str:
    """Who and when, or of which collection."""
    if crop.lecture_id is None:
        return " · ".join(filter(None, (crop.corpus, crop.person, crop.item_id)))
    lecture = reader.lecture(crop.lecture_id)
    name = reader.names().get(crop.student_id or "", crop.student_id or "")
    title = lecture_title(lecture) if lecture else crop.lecture_id
    return f"{name} · {title} · at {wording.duration_words(crop.pts_s or 0.0)}"


def agreement_rows(
    annotations: Sequence[Any], reasons: Mapping[str, str], predicted: Mapping[str, tuple[str, str, str]]
) -> dict[str, tuple[list[tuple[str, str]], list[str]]]:
    """Pairs of answers to compare, can't tell left out, each with who is in the picture.

    Args:
        annotations: what each person says now.
        reasons: crop_id -> why it was kept.
        predicted: crop_id -> (label, who is in it, model).

    Returns:
        Under "random" and "all": (model, person) of blind answers; under "people": (one person, another).
    """
    found: dict[str, tuple[list[tuple[str, str]], list[str]]] = {key: ([], []) for key in ("random", "all", "people")}
    by_crop: dict[str, list[Any]] = {}
    for row in annotations:
        if row.label is None:
            continue
        by_crop.setdefault(row.crop_id, []).append(row)
        said = predicted.get(row.crop_id)
        if said is None or not row.blind:
            continue
        for key in ("all", "random") if reasons.get(row.crop_id) == "random" else ("all",):
            found[key][0].append((said[0], row.label))
            found[key][1].append(said[1])
    for crop_id, rows in by_crop.items():
        ordered = sorted(rows, key=lambda row: str(row.annotator_id))
        for place, first in enumerate(ordered):
            for second in ordered[place + 1 :]:
                found["people"][0].append((first.label, second.label))
                found["people"][1].append(predicted[crop_id][1] if crop_id in predicted else crop_id)
    return found
