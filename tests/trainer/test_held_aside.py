"""Students set aside are nobody's teachers: in rounds they are in the final part, whatever an earlier run said."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.store.annotations import annotate, keep_crop
from monitor.store.database import Store
from monitor.store.held_aside import held_aside, make_key
from monitor.store.records import Answer
from tests.monitor.builders import lecture, moment
from tests.trainer.corpora.test_classroom import png
from tests.trainer.corpora.trees import ATTENTION
from trainer.corpora.open import open_corpus
from trainer.corpora.record import labelled
from trainer.finetune.run import is_kept_aside
from trainer.round_data import load_parts
from trainer.round_settings import RoundData

STUDENTS = [f"s{number:02d}" for number in range(1, 16)]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "class.db"
    make_key(path, b"a key for this test" * 2, 0.3)
    with Store.open(path, durable=False) as opened:
        opened.begin_lecture(lecture())
        opened.commit(moment(0, students=STUDENTS))
        for number, student in enumerate(STUDENTS):
            for label, name in enumerate(ATTENTION.names):
                keep_crop(opened, f"{student}-{label}", png(3 * number + label), ("algebra", student, float(label)))
                annotate(opened, Answer(f"{student}-{label}", name, "ada", may_train=True), ATTENTION)
    return path


def test_rounds_learn_from_none_of_them_and_choose_by_none(store: Path) -> None:
    aside = {student for student in STUDENTS if held_aside(store).set_aside(student)}
    assert 0 < len(aside) < len(STUDENTS)
    data = RoundData((str(store),), refuse_copies=False)
    for earlier in (None, dict.fromkeys(STUDENTS[:12], "train")):
        parts = load_parts(data, ATTENTION, 32, 0, earlier=earlier)
        assert not aside & {*parts.train.persons, *parts.selection.persons}
        assert aside <= set(parts.final.persons)


def test_supervised_training_learns_from_none_of_them(store: Path) -> None:
    aside = {student for student in STUDENTS if held_aside(store).set_aside(student)}
    items = labelled(open_corpus(store, ATTENTION).items)
    assert {item.owner for item in items if is_kept_aside(item, 0.0)} == aside
