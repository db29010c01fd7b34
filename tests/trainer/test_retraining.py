"""Retraining's own parts: replayed people who stay in their part, and what earlier runs kept to judge by."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from monitor.errors import BadInputError
from monitor.rubric import Rubric, load_rubric
from trainer.corpora.record import Item, PictureSet
from trainer.retraining.replay import PREFIX, load_replay
from trainer.retraining.teach import TeachSettings, deal, rounds_settings

RUBRIC = load_rubric("attention")


def a_class(*persons: str) -> PictureSet:
    """One picture each, all called paper."""
    count = len(persons)
    return PictureSet(
        np.zeros((count, 32, 32, 3), np.uint8),
        np.ones(count, np.int64),
        persons,
        np.full((count, 4), np.nan, np.float32),
        np.full((count, 4), np.nan, np.float32),
        items=tuple(Item(f"crop-{row}", "", None, 1, person, "") for row, person in enumerate(persons)),
    )


def test_the_shipped_pictures_show_each_label_as_often_and_nobody_who_judges() -> None:
    replay = load_replay(RUBRIC, 32)
    assert set(Counter(replay.labels.tolist()).values()) == {96}
    assert len(set(replay.persons)) == len(replay) == 288
    assert all(person.startswith(PREFIX) for person in replay.persons)
    seeds = [int(person.removeprefix(f"{PREFIX}r")) for person in replay.persons]
    assert not [seed for seed in seeds if 15_000_000 <= seed < 16_000_000], "those seeds are the gate's people"
    assert replay.images_rgb.std() > 20, "they show something"


def test_another_rubric_needs_pictures_of_its_own() -> None:
    other = Rubric("sleep", "Sleep", "behaviour", "Is the student asleep?", RUBRIC.labels[:2])
    with pytest.raises(BadInputError, match=r"show wander, which the rubric 'sleep' lacks.*--replay FOLDER"):
        load_replay(other, 32)


def test_the_class_teaches_and_replayed_people_stay_where_they_are() -> None:
    replay = load_replay(RUBRIC, 32)
    parts = deal(a_class("s01", "s01", "s02"), replay, {})
    again = deal(a_class("s03"), replay, {})
    assert {one for one in parts.train.persons if not one.startswith(PREFIX)} == {"s01", "s02"}
    assert parts.item_ids[:3] == ("crop-0", "crop-1", "crop-2")
    assert parts.selection.persons == again.selection.persons and parts.final.persons == again.final.persons
    for part in (parts.selection, parts.final):
        assert set(part.labels.tolist()) == {0, 1, 2} and len(part) > 30


def test_who_judged_in_an_earlier_run_does_not_teach_now() -> None:
    replay = load_replay(RUBRIC, 32)
    parts = deal(a_class("s01", "s02"), replay, {"s02": "final", "gone": "train"})
    assert "s02" not in parts.train.persons and "s02" in parts.final.persons
    assert parts.part_of["gone"] == "train"
    with pytest.raises(BadInputError, match="used to judge in an earlier run"):
        deal(a_class("s02"), replay, {"s02": "final"})


def test_a_forced_retraining_keeps_what_it_learned() -> None:
    plain = rounds_settings(Path("base"), None, TeachSettings(), RUBRIC)
    forced = rounds_settings(Path("base"), Path("adapter"), replace(TeachSettings(), lenient=True), RUBRIC)
    assert plain.acceptance.least_points > -20 and forced.acceptance.least_points == -100
    assert (plain.model.adapter, forced.model.adapter) == ("", "adapter")
