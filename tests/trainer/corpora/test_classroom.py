"""The store as a corpus: what people agree on and consented to is learned from, the rest is counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from monitor.errors import BadInputError
from monitor.rubric import Label, Rubric
from monitor.store.annotations import annotate, keep_crop, keep_still, record_prediction
from monitor.store.database import Store
from monitor.store.held_aside import held_aside, make_key
from monitor.store.records import Answer
from tests.monitor.builders import lecture, moment, prediction
from tests.trainer.corpora.trees import ATTENTION, picture
from trainer.corpora.classroom import doubly_labelled
from trainer.corpora.open import open_corpus
from trainer.corpora.record import HELD_ASIDE, NO_LABEL
from trainer.noise import DoubleLabel


def png(seed: int) -> bytes:
    return cv2.imencode(".png", picture(seed))[1].tobytes()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with Store.open(tmp_path / "classroom.db", durable=False) as opened:
        opened.begin_lecture(lecture())
        opened.commit(moment(0, students=["s01", "s02"]))
        for number in range(7):
            place = ("algebra", f"s0{number % 2 + 1}", float(number))
            keep_crop(opened, f"c{number}", png(number), place)
        keep_still(opened, "still", png(9), ("daisee", "1100011002_3", "daisee-110001", "1100011002"))

        def say(crop: str, label: str | None, who: str = "ada", may_train: bool = True) -> None:
            annotate(opened, Answer(crop, label, who, may_train=may_train), ATTENTION)

        say("c0", "screen")
        say("c1", "paper")
        say("c1", "wander", "bob")
        say("c2", "paper")
        say("c2", "paper", "bob")
        say("c3", None)
        say("c4", "paper", may_train=False)
        say("still", "wander")
        keep_crop(opened, "broken", b"no picture at all", ("algebra", "s01", 8.0))
        say("broken", "paper")
    return tmp_path / "classroom.db"


def test_labels_count_when_all_agree_and_consent(store: Path) -> None:
    corpus = open_corpus(store, ATTENTION)
    assert corpus.name == "classroom"
    found = {item.item_id: (item.label, item.person, item.video) for item in corpus.items}
    assert found == {
        "c0": (0, "s01", "algebra"),
        "c2": (1, "s01", "algebra"),
        "c5": (NO_LABEL, "s02", "algebra"),
        "c6": (NO_LABEL, "s01", "algebra"),
        "still": (2, "daisee-110001", "1100011002"),
        "broken": (1, "s01", "algebra"),
    }
    assert {refusal.what: refusal.why for refusal in corpus.refused} == {
        "c1": "people disagree",
        "c3": "can't tell",
        "c4": "may not be trained on",
    }


def test_who_is_set_aside_is_in_a_part_of_their_own(store: Path) -> None:
    make_key(store, bytes(range(32)), 0.5)
    aside = held_aside(store)
    corpus = open_corpus(store, ATTENTION)
    parts = {item.owner: item.part for item in corpus.items}
    assert parts == {owner: HELD_ASIDE if aside.set_aside(owner) else "" for owner in parts}
    assert set(parts.values()) == {"", HELD_ASIDE}


def test_pictures_come_back_as_they_were_kept(store: Path) -> None:
    corpus = open_corpus(store, ATTENTION)
    found = dict(corpus.pictures(corpus.items))
    first = next(place for place, item in enumerate(corpus.items) if item.item_id == "c0")
    shown = found[first]
    assert not isinstance(shown, str)
    assert (shown[:, :, ::-1] == picture(0)).all()
    pictures = corpus.load(corpus.items, 32)
    assert len(pictures) == 5
    assert [(refusal.what, refusal.why) for refusal in pictures.skipped] == [("broken", "not a readable picture")]


def test_what_two_people_said_becomes_an_estimate_of_noise(store: Path) -> None:
    with Store.open(store, durable=False) as opened:
        said = prediction("s02", 1.0, "wander")
        number = record_prediction(opened, replace(said, crop_id="c5"))
        annotate(opened, Answer("c5", "screen", "bob", prediction_id=number), ATTENTION)
        annotate(opened, Answer("c5", "wander", "ada"), ATTENTION)
        annotate(opened, Answer("c3", "paper", "bob"), ATTENTION)
    assert doubly_labelled(store, ATTENTION) == [
        DoubleLabel("s02", 1, 2),
        DoubleLabel("s01", 1, 1),
        DoubleLabel("s02", 0, 2, predicted=2),
    ]


def test_labels_of_a_rubric_that_was_changed_since(store: Path) -> None:
    labels = tuple(Label(name, name, "", "#000000") for name in ("screen", "desk"))
    changed = Rubric("attention", "Changed", "behaviour", "Where?", labels)
    with pytest.raises(BadInputError, match=r"crop c2: label 'paper' is not one of the rubric's: screen, desk"):
        open_corpus(store, changed)
