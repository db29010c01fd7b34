"""Puts stills of a corpus into the review queue of a store, cut as the monitor cuts them, so that people label them.

What they say comes back through `trainer.corpora.classroom`. Knows no page and no model.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from monitor.errors import BadInputError
from monitor.rubric import Rubric
from monitor.schema import Image
from monitor.store.annotations import keep_still, queue_crops
from monitor.store.database import Store
from monitor.store.reader import StoreReader
from monitor.store.review import queued_stills
from trainer.corpora import classroom
from trainer.corpora.record import NO_LABEL, Corpus, Cut, Item, Refusal, head_cut, whole

_CHUNK = 200
"""Stills between two writes: what was queued before an interruption stays."""
_LONGEST_PX = 512
"""Longer side of what is kept; a person sees no more on the page, and a model less."""


@dataclass(frozen=True, slots=True)
class Queued:
    """What came of it."""

    queued: int
    people: int
    """Students (or videos) they are of."""
    left: int
    """Stills that could be asked for next time."""
    skipped: tuple[Refusal, ...]
    """Stills that cannot be read, or in which nobody is found."""


def queue_stills(  # noqa: PLR0913  # the last five have defaults that most callers keep
    corpus: Corpus,
    store: Store,
    rubric: Rubric,
    *,
    most: int,
    seed: int = 0,
    annotators: int = 1,
    relabel: bool = False,
    cut: Cut | None = None,
) -> Queued:
    """Keep and queue up to `most` stills that have no label yet, from as many people as there are.

    The same call again goes on with others: stills that are queued already are left out.

    Args:
        corpus: opened under the rubric that people are to label by.
        store: open for writing.
        rubric: names the queue.
        most: how many at most.
        seed: decides which.
        annotators: how many people are to label each.
        relabel: also those that have a label.
        cut: see `Corpus.load`.

    Raises:
        BadInputError: the corpus is a store itself, or nothing is left to label.
    """
    if corpus.name == classroom.NAME:
        raise BadInputError("a store's own crops are queued by the monitor; give the folder of a corpus.")
    with StoreReader(store.path) as reader:
        known = queued_stills(reader, rubric.rubric_id)
    fresh = [
        item
        for item in corpus.items
        if (relabel or item.label == NO_LABEL) and (corpus.name, item.item_id) not in known
    ]
    if not fresh:
        raise BadInputError(
            f"{corpus.name}: nothing left to label under {rubric.rubric_id!r}: of {len(corpus.items)} pictures "
            f"{sum(item.label == NO_LABEL for item in corpus.items)} have no label, and all of those are in the queue. "
            "Labelled ones too: --relabel."
        )
    chosen = _spread(fresh, most, seed)
    cut = cut or (head_cut() if corpus.frames else whole)
    queued: list[Item] = []
    skipped: list[Refusal] = []
    for start in range(0, len(chosen), _CHUNK):
        some = chosen[start : start + _CHUNK]
        kept = _keep(corpus, store, some, cut, skipped)
        # Earlier ones first, all before what asks for less: an order that goes round the students.
        order = {crop_id: 1.0 - (start + place) / len(chosen) for place, crop_id in kept.items()}
        queue_crops(store, order, rubric.rubric_id, "corpus", annotators=annotators)
        queued += [some[place] for place in kept]
    return Queued(len(queued), len({item.owner for item in queued}), len(fresh) - len(chosen), tuple(skipped))


def crop_id_of(corpus: str, item_id: str) -> str:
    """The id of a still in a store: short, without spaces and slashes, another one for each still."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", item_id)
    if plain != item_id or len(plain) > 80:
        plain = f"{plain[:60]}.{hashlib.sha256(item_id.encode()).hexdigest()[:12]}"
    return f"{corpus}.{plain}"


def _keep(corpus: Corpus, store: Store, items: Sequence[Item], cut: Cut, skipped: list[Refusal]) -> dict[int, str]:
    """Place in `items` -> crop_id of those that were kept."""
    kept: dict[int, str] = {}
    for place, picture in corpus.pictures(items):
        item = items[place]
        shown = picture if isinstance(picture, str) else cut(picture)
        if isinstance(shown, str) or shown is None:
            skipped.append(Refusal(item.item_id, shown or "nobody found in it"))
            continue
        crop_id = crop_id_of(corpus.name, item.item_id)
        keep_still(store, crop_id, _png(shown), (corpus.name, item.item_id, item.person, item.video))
        kept[place] = crop_id
    return kept


def _png(picture_rgb: Image) -> bytes:
    """Without loss, so that what was labelled is what is learned from."""
    longest = max(picture_rgb.shape[:2])
    if longest > _LONGEST_PX:
        scale = _LONGEST_PX / longest
        size = (max(1, round(picture_rgb.shape[1] * scale)), max(1, round(picture_rgb.shape[0] * scale)))
        picture_rgb = np.asarray(cv2.resize(picture_rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    return bytes(cv2.imencode(".png", picture_rgb[:, :, ::-1])[1].tobytes())


def _spread(items: Sequence[Item], most: int, seed: int) -> list[Item]:
    """Up to `most`, going round people, and within one round their videos."""
    rng = np.random.default_rng(seed)
    turns: dict[str, list[Item]] = defaultdict(list)
    for place in rng.permutation(len(items)):
        turns[items[place].owner].append(items[place])
    for owner, own in turns.items():
        turns[owner] = _by_video(own)
    order = [turns[owner] for owner in rng.permutation(sorted(turns))]
    longest = max(map(len, order))
    return [own[step] for step in range(longest) for own in order if step < len(own)][:most]


def _by_video(items: Sequence[Item]) -> list[Item]:
    """In an order that goes round the videos."""
    seen: dict[str, int] = defaultdict(int)
    rank = []
    for item in items:
        rank.append(seen[item.video])
        seen[item.video] += 1
    return [items[place] for place in sorted(range(len(items)), key=lambda place: rank[place])]
