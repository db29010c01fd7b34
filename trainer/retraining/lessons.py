"""What there is to learn in a store: labelled crops that may teach, and why the others may not.

A model is taught all answers that count, old ones too, and is taught anew when enough of them are new. This file knows
no model.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from monitor.errors import BadInputError
from monitor.rubric import Rubric
from monitor.store.reader import StoreReader
from monitor.store.records import Annotation
from monitor.store.review import current_annotations, predictions_on
from trainer.corpora.classroom import NAME, open_classroom
from trainer.corpora.record import HELD_ASIDE, Corpus, Item, labelled

FEWEST = 8
"""Corrections that are new; with fewer, chance decides what is learned."""
SET_ASIDE = "set aside to judge models"


@dataclass(frozen=True)
class Lessons:
    """What a retraining would learn."""

    corpus: Corpus
    items: tuple[Item, ...]
    """Those that teach, by crop_id."""
    corrections: tuple[str, ...]
    """crop_ids of those among them to which the model said something else, or nothing is known of what it said."""
    fresh: tuple[str, ...]
    """Corrections that were made since the last time."""
    annotators: tuple[str, ...]
    left_out: Mapping[str, int]
    """Why labelled crops do not teach, and how many."""
    newest_at: datetime | None

    @property
    def students(self) -> tuple[str, ...]:
        """Whom it would learn from."""
        return tuple(sorted({item.owner for item in self.items}))

    @property
    def lectures(self) -> tuple[str, ...]:
        """Out of which lectures."""
        return tuple(sorted({item.video for item in self.items if item.groups.get("corpus") == NAME and item.video}))

    @property
    def corrected_students(self) -> tuple[str, ...]:
        """Whose labels were corrected since the last time."""
        fresh = set(self.fresh)
        return tuple(sorted({item.owner for item in self.items if item.item_id in fresh}))

    def digest(self) -> str:
        """Changes with every crop and label that teaches."""
        lines = sorted(f"{item.item_id} {item.label} {item.owner}" for item in self.items)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def find_lessons(store: Path, rubric: Rubric, since: datetime | None = None) -> Lessons:
    """Look through a store.

    Args:
        store: its file.
        rubric: under which people labelled.
        since: answers after this are new; None = all are.

    Raises:
        BadInputError: a stored label that the rubric lacks.
        StoreError: no store, or one of another version.
    """
    corpus = open_classroom(store, rubric)
    known = labelled(corpus.items)
    items = tuple(item for item in known if item.part != HELD_ASIDE)
    left_out = Counter(refusal.why for refusal in corpus.refused)
    if len(known) > len(items):
        left_out[SET_ASIDE] = len(known) - len(items)
    with StoreReader(store) as reader:
        answers: dict[str, list[Annotation]] = defaultdict(list)
        for annotation in current_annotations(reader, rubric.rubric_id):
            answers[annotation.crop_id].append(annotation)
        corrections = tuple(item.item_id for item in items if _corrects(reader, answers[item.item_id]))
    used = [annotation for item in items for annotation in answers[item.item_id]]
    fresh = tuple(
        crop_id
        for crop_id in corrections
        if since is None or max(answer.created_at for answer in answers[crop_id]) > since
    )
    return Lessons(
        corpus=corpus,
        items=items,
        corrections=corrections,
        fresh=fresh,
        annotators=tuple(sorted({annotation.annotator_id for annotation in used})),
        left_out=dict(left_out),
        newest_at=max((annotation.created_at for annotation in used), default=None),
    )


def require_enough(lessons: Lessons, since: datetime | None, fewest: int = FEWEST) -> None:
    """Refuse to train where there is too little to learn from.

    Raises:
        BadInputError: says how many there are, how many it takes, and what else could be used.
    """
    if len(lessons.fresh) >= fewest:
        return
    when = f" since {since:%Y-%m-%d %H:%M} UTC" if since else ""
    others = "; ".join(f"{count} {why}" for why, count in lessons.left_out.items())
    advice = "Correct more labels on the Live page or under Review"
    if lessons.left_out.get("may not be trained on"):
        advice += ", or ask those concerned whether a model may learn from their pictures (Students, Privacy)"
    raise BadInputError(
        f"too little to learn from: {len(lessons.fresh)} corrections that may teach{when}, expected {fewest} or more"
        f"{f' (left out: {others})' if others else ''}. {advice}."
    )


def _corrects(reader: StoreReader, answers: list[Annotation]) -> bool:
    """Whether people said something else than the model whose answer was corrected."""
    said = predictions_on(reader, answers[0].crop_id)
    shown = [said[number].best for answer in answers if (number := answer.prediction_id or 0) in said]
    before = shown or [one.best for one in said.values()]
    return not before or any(best != answers[0].label for best in before)
