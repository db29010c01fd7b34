"""Opens the corpora of a run of rounds and deals their people to three parts: to learn, to choose, to report.

This file knows corpora and splits, and no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from monitor.errors import BadInputError
from monitor.rubric import Rubric
from trainer.corpora.open import open_corpus
from trainer.corpora.record import HELD_ASIDE, Corpus, Item, PictureSet, join, labelled
from trainer.leakage import refuse_leaks
from trainer.round_parts import Parts
from trainer.round_settings import RoundData
from trainer.split import owners, refuse_shared, split


def load_parts(
    data: RoundData, rubric: Rubric, side_px: int, seed: int, *, earlier: Mapping[str, str] | None = None
) -> Parts:
    """All pictures of a run, at the size the model reads.

    Args:
        data: whose pictures.
        rubric: only what it labels.
        side_px: of the model's pictures.
        seed: decides who is dealt where.
        earlier: owner -> part of those who stay where they were, from `trainer.round_people.earlier_people`.

    Raises:
        BadInputError: a corpus that cannot be opened or is empty, nothing labelled, too few people, or a split that
            leaks.
    """
    corpora = [open_corpus(Path(place), rubric, data.kind) for place in data.corpora]
    owner_of: dict[str, Corpus] = {}
    items: list[Item] = []
    for number, corpus in enumerate(corpora):
        for item in labelled(corpus.items):
            # Two corpora may use one name for two pictures; a person's name is taken for the same person.
            named = replace(item, item_id=f"{number}:{item.item_id}") if len(corpora) > 1 else item
            owner_of[named.item_id] = corpus
            items.append(named)
    if not items:
        held = sum(len(corpus.items) for corpus in corpora)
        raise BadInputError(
            f"{', '.join(data.corpora)}: {held} pictures, none with a label of {rubric.rubric_id!r}. "
            "Label some: `classroom corpus annotate`, then the review page."
        )
    shares = {
        "train": 1 - data.selection_share - data.final_share,
        "selection": data.selection_share,
        "final": data.final_share,
    }
    aside = {item.owner: "final" for item in items if item.part == HELD_ASIDE}
    dealt = split(items, shares, seed, fixed={**(earlier or {}), **aside})
    part_of = {**(earlier or {}), **owners(dealt)}
    dealt["train"] = _some(dealt["train"], data.train_limit, seed)
    refuse_shared(dealt)
    train, selection, final = (_load(dealt[name], owner_of, side_px) for name in shares)
    if data.refuse_copies:
        refuse_leaks({"train": train, "selection": selection, "final": final})
    return Parts(train, tuple(item.item_id for item in train.items), selection, final, part_of)


def _some(items: list[Item], most: int, seed: int) -> list[Item]:
    if not 0 < most < len(items):
        return items
    return [items[index] for index in np.sort(np.random.default_rng(seed).permutation(len(items))[:most])]


def _load(items: Sequence[Item], owner_of: dict[str, Corpus], side_px: int) -> PictureSet:
    """The pictures of one part, corpus by corpus."""
    by_corpus: dict[int, tuple[Corpus, list[Item]]] = {}
    for item in items:
        corpus = owner_of[item.item_id]
        by_corpus.setdefault(id(corpus), (corpus, []))[1].append(item)
    return join([corpus.load(own, side_px) for corpus, own in by_corpus.values()])
