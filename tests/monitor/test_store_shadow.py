"""What a challenger answers is kept beside what the model said: counted, reviewed, erased, and never shown as it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.schema import Moment, Observation, ReviewCrop
from monitor.store.annotations import record_prediction
from monitor.store.database import Store, StoreReader
from monitor.store.erasure import erase_student, set_opt_out
from monitor.store.keeping import commit_with_crops
from monitor.store.people import merge
from monitor.store.review import current_predictions, predictions_on, waiting
from monitor.store.shadow import shadow_tallies
from tests.monitor.builders import lecture, moment, observation, prediction

JPEG = b"\xff\xd8 somebody"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "classroom.db", durable=False) as opened:
        opened.begin_lecture(lecture())
        yield opened


def challenged(student_id: str, pts_s: float, best: str, other: str) -> Observation:
    """A student of whom the model says one thing and its challenger another."""
    second = replace(prediction(student_id, pts_s, other, 0.7), adapter_id="glasses-1")
    said = replace(prediction(student_id, pts_s, best), shadow=second)
    return replace(observation(student_id, pts_s, best), prediction=said)


def disputed(index: int = 0) -> Moment:
    """Two students, both models agree on the second; the first one's crop is kept."""
    seen = [challenged("s01", index, "screen", "paper"), challenged("s02", index, "wander", "wander")]
    return replace(moment(index, seen), to_review=(ReviewCrop("s01", JPEG, "challenger", 3.7),))


def test_answers_side_by_side_are_counted(store: Store) -> None:
    for index in range(3):
        store.commit(replace(disputed(index), to_review=()))
    store.commit(moment(3))
    with StoreReader(store.path) as reader:
        (tally,) = shadow_tallies(reader, "attention")
        assert shadow_tallies(reader, "engagenet") == []
    assert (tally.champion, tally.challenger) == (("tiny-1", None), ("tiny-1", "glasses-1"))
    assert (tally.lectures, tally.samples, tally.disagreed) == (1, 6, 3)
    assert tally.answers == {("screen", "paper"): 3, ("wander", "wander"): 3}


def test_a_disputed_crop_waits_for_a_person_and_the_model_in_use_keeps_its_say(store: Store) -> None:
    assert commit_with_crops(store, disputed()) == 1
    with StoreReader(store.path) as reader:
        (queued,) = waiting(reader, "attention", "ada")
        crop_id = queued.crop.crop_id
        assert queued.reason == "challenger"
        (shown,) = predictions_on(reader, crop_id).values()
        (aside,) = predictions_on(reader, crop_id, shadow=True).values()
        assert (shown.best, shown.adapter_id) == ("screen", None)
        assert (aside.best, aside.adapter_id) == ("paper", "glasses-1")
        assert current_predictions(reader, "attention") == {crop_id: ("screen", "s01", "tiny-1")}
        assert [row.label for row in reader.observations("algebra")] == ["screen", "wander"]


def test_a_challenger_that_was_promoted_may_say_it_again_as_the_model(store: Store) -> None:
    commit_with_crops(store, disputed())
    promoted = replace(prediction("s01", 0.0, "paper", 0.7), adapter_id="glasses-1")
    for shadow in (False, True):
        record_prediction(store, promoted, shadow=shadow)
        with StoreReader(store.path) as reader:
            said = [one.adapter_id for one in predictions_on(reader, promoted.crop_id).values()]
            assert said == [None, "glasses-1"]
            assert predictions_on(reader, promoted.crop_id, shadow=True) == {}


def test_it_goes_wherever_its_student_goes(store: Store) -> None:
    commit_with_crops(store, disputed())
    store.commit(moment(1, students=["s03"]))
    merge(store, "s03", "s01")
    assert shadow_rows(store) == 2
    erase_student(store, "s03")
    assert shadow_rows(store) == 1
    with sqlite3.connect(store.path) as connection:
        assert connection.execute("SELECT count(*) FROM crop_predictions").fetchone() == (0,)


def test_of_who_opted_out_a_challenger_keeps_nothing(store: Store) -> None:
    store.commit(moment(0, students=["s01", "s02"]))
    set_opt_out(store, "s01", True)
    commit_with_crops(store, disputed(1))
    assert shadow_rows(store) == 1


def test_the_lecture_tells_the_model_it_goes_on_with(store: Store) -> None:
    store.use_model("algebra", "tiny-2", "glasses-1")
    with StoreReader(store.path) as reader:
        record = reader.lecture("algebra")
    assert record is not None
    assert (record.model_id, record.adapter_id) == ("tiny-2", "glasses-1")


def test_not_a_number_is_no_probability() -> None:
    with pytest.raises(ValueError, match="sum to nan"):
        prediction(confidence=float("nan"))


def test_a_challenger_is_asked_about_the_same_crop() -> None:
    with pytest.raises(ValueError, match=r"algebra\.s01\.\d+ was asked about algebra\.s02"):
        replace(prediction("s01"), shadow=prediction("s02"))


def shadow_rows(store: Store) -> int:
    with sqlite3.connect(store.path) as connection:
        (count,) = connection.execute("SELECT count(*) FROM observations WHERE shadow_no IS NOT NULL").fetchone()
    return int(count)
