"""Answers of people: append-only, one current row a person, undo exact, gone with the student."""

from __future__ import annotations

import random
import sqlite3
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from monitor.errors import BadInputError, StoreError
from monitor.rubric import load_rubric
from monitor.store.annotations import (
    annotate,
    keep_crop,
    keep_still,
    queue_crops,
    record_prediction,
    undo,
)
from monitor.store.database import Store, StoreReader
from monitor.store.erasure import Erased, erase_student, purge_thumbnails, set_opt_out
from monitor.store.location import open_for_writing
from monitor.store.migrations import MIGRATIONS, migrate
from monitor.store.records import Answer
from monitor.store.review import (
    annotation_history,
    current_annotations,
    double_annotations,
    kept_crop,
    kept_crops,
    predictions_on,
    queue_counts,
    waiting,
)
from tests.monitor.builders import Clock, lecture, moment, prediction

RUBRIC = load_rubric("attention")
PICTURE = b"\x89PNG a student"


@pytest.fixture
def store(store: Store) -> Store:
    store.commit(moment(0, students=["s01", "s02"]))
    return store


def keep(store: Store, crop_id: str = "c1", student_id: str = "s01") -> str:
    assert keep_crop(store, crop_id, PICTURE + crop_id.encode(), ("algebra", student_id, 0.0))
    return crop_id


def labels(store: Store) -> list[tuple[str, str, str | None]]:
    with StoreReader(store.path) as reader:
        return [(row.crop_id, row.annotator_id, row.label) for row in current_annotations(reader, "attention")]


def test_a_correction_supersedes_and_nothing_is_overwritten(store: Store) -> None:
    keep(store)
    first = annotate(store, Answer("c1", "screen", "ada"), RUBRIC)
    second = annotate(store, Answer("c1", None, "ada", blind=True), RUBRIC)
    annotate(store, Answer("c1", "paper", "bob"), RUBRIC)
    assert labels(store) == [("c1", "ada", None), ("c1", "bob", "paper")]
    with StoreReader(store.path) as reader:
        history = annotation_history(reader, "c1")
        (pair,) = double_annotations(reader, "attention")
    assert [row.label for row in history] == ["screen", None, "paper"]
    assert history[0].superseded_by == second.annotation_id and history[0].annotation_id == first.annotation_id
    assert (pair[0].label, pair[0].blind, pair[1].label) == (None, True, "paper")
    with store.writing("forging") as (connection, _), pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("UPDATE annotations SET label = 'wander'")


def test_a_click_sent_twice_counts_once(store: Store) -> None:
    keep(store)
    answer = Answer("c1", "paper", "ada", annotation_id="click-1")
    assert annotate(store, answer, RUBRIC) == annotate(store, answer, RUBRIC)
    assert labels(store) == [("c1", "ada", "paper")]
    with pytest.raises(StoreError, match="click-1 is another answer"):
        annotate(store, Answer("c1", "screen", "ada", annotation_id="click-1"), RUBRIC)


def test_undo_is_exact_step_by_step_and_the_second_time_nothing(store: Store) -> None:
    keep(store)
    stack = [annotate(store, Answer("c1", label, "ada"), RUBRIC) for label in ("screen", "paper", "wander")]
    restored = undo(store, stack[2].annotation_id)
    assert restored == undo(store, stack[2].annotation_id)
    assert labels(store) == [("c1", "ada", "paper")]
    with pytest.raises(StoreError, match="answered anew"):
        undo(store, stack[0].annotation_id)
    undo(store, stack[1].annotation_id)
    assert labels(store) == [("c1", "ada", "screen")]
    assert undo(store, stack[0].annotation_id) is None
    assert labels(store) == []
    again = annotate(store, Answer("c1", "paper", "ada"), RUBRIC)
    assert labels(store) == [("c1", "ada", "paper")]
    assert undo(store, again.annotation_id) is None
    assert labels(store) == []
    with StoreReader(store.path) as reader:
        assert len(annotation_history(reader, "c1")) == 8
    with pytest.raises(StoreError, match="no annotation 'nothing'"):
        undo(store, "nothing")


@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_answers_and_undos_is_what_a_stack_says(store: Store, seed: int) -> None:
    keep(store)
    rng = random.Random(seed)
    stacks: dict[str, list[tuple[str, str | None]]] = {"ada": [], "bob": []}
    for _ in range(40):
        who = rng.choice(["ada", "bob"])
        if stacks[who] and rng.random() < 0.5:
            restored = undo(store, stacks[who].pop()[0])
            assert (restored.label if restored else "") == (stacks[who][-1][1] if stacks[who] else "")
        else:
            label = rng.choice([*RUBRIC.names, None])
            stacks[who].append((annotate(store, Answer("c1", label, who), RUBRIC).annotation_id, label))
        assert {row[1]: row[2] for row in labels(store)} == {name: own[-1][1] for name, own in stacks.items() if own}


def test_a_label_outside_the_rubric_or_an_unknown_crop_is_refused(store: Store) -> None:
    keep(store)
    with pytest.raises(BadInputError, match=r"'asleep' is not one of the rubric's: screen, paper, wander"):
        annotate(store, Answer("c1", "asleep", "ada"), RUBRIC)
    with pytest.raises(StoreError, match="no crop 'c2' is kept here"):
        annotate(store, Answer("c2", "paper", "ada"), RUBRIC)
    with pytest.raises(StoreError, match="no crop 'c2'"):
        queue_crops(store, {"c1": 1.0, "c2": 1.0}, "attention", "random")
    assert labels(store) == []
    with StoreReader(store.path) as reader:
        assert waiting(reader, "attention", "ada") == []


def test_the_queue_shows_each_person_what_they_have_not_answered(store: Store) -> None:
    crops = [keep(store, f"c{number}") for number in range(4)]
    assert queue_crops(store, {crop: number for number, crop in enumerate(crops)}, "attention", "uncertain") == 4
    assert queue_crops(store, {"c0": 9.0, "c3": 0.0}, "attention", "random", annotators=2) == 0
    annotate(store, Answer("c2", "paper", "ada"), RUBRIC)
    undone = annotate(store, Answer("c1", "paper", "ada"), RUBRIC)
    annotate(store, Answer("c0", None, "ada"), RUBRIC)
    undo(store, undone.annotation_id)
    with StoreReader(store.path) as reader:
        mine, others = waiting(reader, "attention", "ada"), waiting(reader, "attention", "bob")
        assert queue_counts(reader, "attention") == {"random": 1, "uncertain": 3}
    assert [entry.crop.crop_id for entry in mine] == ["c3", "c1"]
    assert [(entry.crop.crop_id, entry.reason, entry.answers) for entry in others] == [
        ("c0", "random", 1),
        ("c3", "uncertain", 0),
        ("c1", "uncertain", 0),
    ]
    assert others[0].crop.picture is None and others[0].crop.student_id == "s01"


def test_what_models_said_stays_beside_the_answer(store: Store) -> None:
    keep(store)
    said = prediction("s01", 0.0, "wander")
    about = type(said)(**{name: getattr(said, name) for name in said.__slots__} | {"crop_id": "c1"})
    number = record_prediction(store, about)
    assert record_prediction(store, about) == number
    annotate(store, Answer("c1", "paper", "ada", prediction_id=number), RUBRIC)
    with StoreReader(store.path) as reader:
        (annotation,) = current_annotations(reader, "attention")
        found = predictions_on(reader, "c1")
    assert annotation.prediction_id is not None
    assert found[annotation.prediction_id].best == "wander"
    assert found[annotation.prediction_id].probabilities == pytest.approx(said.probabilities, abs=1e-6)


def test_pictures_go_when_their_time_is_over_and_answers_stay(store: Store, clock: Clock) -> None:
    for crop in ("c1", "c2"):
        keep(store, crop)
    keep_still(store, "out", PICTURE, ("daisee", "1100011002_3", "daisee-110001", "1100011002"))
    annotate(store, Answer("c1", "paper", "ada", may_train=True), RUBRIC)
    annotate(store, Answer("c2", "paper", "ada"), RUBRIC)
    clock.now += timedelta(days=8)
    assert purge_thumbnails(store) == 1
    with StoreReader(store.path) as reader:
        assert [crop.crop_id for crop in kept_crops(reader)] == ["c1", "out"]
        gone = kept_crop(reader, "c2")
        still = kept_crop(reader, "out")
    assert gone is not None and gone.picture is None
    assert still is not None and (still.picture, still.keep_until, still.person) == (PICTURE, None, "daisee-110001")
    assert len(labels(store)) == 2
    clock.now += timedelta(days=200)
    store.begin_lecture(lecture("geometry"))  # a new lecture forgets the past
    with StoreReader(store.path) as reader:
        assert [crop.crop_id for crop in kept_crops(reader)] == ["out"]


def test_a_crop_has_one_picture(store: Store) -> None:
    keep(store)
    keep(store)
    with pytest.raises(StoreError, match="c1 is kept already with another picture"):
        keep_crop(store, "c1", b"another", ("algebra", "s01", 0.0))
    with pytest.raises(StoreError, match="no student 's09' in lecture 'algebra'"):
        keep_crop(store, "c2", PICTURE, ("algebra", "s09", 0.0))


def test_nothing_is_kept_of_who_opted_out(store: Store) -> None:
    set_opt_out(store, "s02", True)
    assert not keep_crop(store, "c1", PICTURE, ("algebra", "s02", 0.0))
    with StoreReader(store.path) as reader:
        assert list(kept_crops(reader)) == []


def test_an_erased_student_takes_crops_and_answers_along(store: Store) -> None:
    keep(store)
    keep(store, "c2", "s02")
    queue_crops(store, {"c1": 1.0, "c2": 1.0}, "attention", "random")
    undo(store, annotate(store, Answer("c1", "paper", "ada"), RUBRIC).annotation_id)
    annotate(store, Answer("c2", "paper", "ada"), RUBRIC)
    assert erase_student(store, "s01") == Erased(("algebra",), observations=1, episodes=0, thumbnails=0, crops=1)
    assert labels(store) == [("c2", "ada", "paper")]
    files = b"".join(file.read_bytes() for file in store.path.parent.iterdir())
    assert PICTURE + b"c1" not in files and PICTURE + b"c2" in files


def test_a_merged_student_brings_the_crops(store: Store) -> None:
    keep(store)
    store.commit(moment(1, students=["s02"], merges={"s01": "s02"}))
    with StoreReader(store.path) as reader:
        (crop,) = kept_crops(reader)
    assert crop.student_id == "s02"


def test_a_store_of_the_first_version_takes_crops_after_its_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    connection = open_for_writing(path)
    migrate(connection, path, MIGRATIONS[:1])
    connection.close()
    with pytest.raises(StoreError, match=f"a store of version 1, expected {len(MIGRATIONS)}"):
        StoreReader(path)
    with Store.open(path, durable=False) as store:
        keep_still(store, "out", PICTURE, ("daisee", "1_1", "ada", "1"))
        annotate(store, Answer("out", "paper", "ada"), RUBRIC)
        assert labels(store) == [("out", "ada", "paper")]


def test_two_dashboards_at_once_leave_one_current_answer_each(store: Store) -> None:
    keep(store)
    failures: list[Exception] = []

    def click(annotator: str) -> None:
        try:
            with Store.open(store.path, durable=False) as mine:
                for number in range(20):
                    annotate(mine, Answer("c1", RUBRIC.names[number % 3], annotator), RUBRIC)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=click, args=(name,)) for name in ("ada", "ada", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [row[1] for row in sorted(labels(store))] == ["ada", "bob"]
    with StoreReader(store.path) as reader:
        assert len(annotation_history(reader, "c1")) == 60
