"""Crops come with their moment or not at all; wishes, pauses and notes of the dashboard are kept once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.errors import BadInputError, StoreError
from monitor.schema import Moment, ReviewCrop
from monitor.store.control import add_note, is_paused, notes_of, pause_asked, set_paused, withdraw_note
from monitor.store.database import Store, StoreReader
from monitor.store.erasure import set_opt_out
from monitor.store.keeping import commit_with_crops
from monitor.store.review import kept_crop, predictions_on, waiting
from monitor.store.wishes import DAY_S, Wishes, acknowledge, acknowledged, change_wishes, current_wishes, wishes_of
from tests.monitor.builders import lecture, moment, prediction

JPEG = b"\xff\xd8 somebody"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "classroom.db", durable=False) as opened:
        opened.begin_lecture(lecture())
        yield opened


def with_crop(index: int = 0, student_id: str = "s01") -> Moment:
    crop = ReviewCrop(student_id, JPEG, "uncertain", 3.5)
    return replace(moment(index, students=["s01", "s02"]), to_review=(crop,))


def test_a_crop_comes_with_its_moment_and_what_the_model_said(store: Store) -> None:
    assert commit_with_crops(store, with_crop()) == 1
    with StoreReader(store.path) as reader:
        (queued,) = waiting(reader, "attention", "ada")
        assert (queued.reason, queued.priority, queued.crop.student_id) == ("uncertain", 3.5, "s01")
        (said,) = predictions_on(reader, queued.crop.crop_id).values()
        assert (said.label, said.model_id) == (prediction().label, prediction().model_id)
        crop = kept_crop(reader, queued.crop.crop_id)
    assert crop is not None
    assert crop.picture == JPEG


def test_nothing_of_a_moment_is_stored_when_its_crop_cannot_be(store: Store) -> None:
    broken = replace(moment(0), to_review=(ReviewCrop("s01", JPEG, "boredom", 1.0),))
    with pytest.raises(ValueError, match="boredom"):
        commit_with_crops(store, broken)
    with StoreReader(store.path) as reader:
        record = reader.lecture("algebra")
    assert record is not None
    assert record.moments == 0
    assert commit_with_crops(store, with_crop()) == 1


def test_of_who_opted_out_no_crop_is_kept(store: Store) -> None:
    commit_with_crops(store, moment(0, students=["s01", "s02"]))
    set_opt_out(store, "s01", True)
    assert commit_with_crops(store, with_crop(1)) == 0


def test_wishes_are_kept_and_wrong_ones_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert current_wishes(store) == Wishes()
    change_wishes(store, review_crops_per_hour=10, may_train=True)
    with pytest.raises(BadInputError, match="730 days"):
        change_wishes(store, pictures_kept_days=0)
    with StoreReader(store.path) as reader:
        assert wishes_of(reader) == Wishes(review_crops_per_hour=10, may_train=True)
    monkeypatch.setenv("CLASSROOM_ROOM_ONLY", "1")
    assert current_wishes(store).room_only
    change_wishes(store, room_only=False)
    assert not current_wishes(store).room_only, "what the store says counts more"


def test_a_shorter_time_counts_for_what_is_kept_already(store: Store) -> None:
    commit_with_crops(store, with_crop(), kept_s=30 * DAY_S)
    crop_id = prediction().crop_id
    for days, left in ((40.0, 30), (2.0, 2), (9.0, 2)):
        change_wishes(store, pictures_kept_days=days)
        with StoreReader(store.path) as reader:
            crop = kept_crop(reader, crop_id)
        assert crop is not None
        assert crop.keep_until is not None
        assert round((crop.keep_until - crop.kept_at).total_seconds() / DAY_S) == left


def test_room_only_takes_the_pictures_away(store: Store) -> None:
    store.commit(moment(0, thumbnails={"s01": b"jpeg"}))
    change_wishes(store, room_only=True)
    with StoreReader(store.path) as reader:
        assert reader.thumbnail("algebra", "s01") is None


def test_the_acknowledgement_says_who_and_when(store: Store) -> None:
    with StoreReader(store.path) as reader:
        assert acknowledged(reader) is None
        acknowledge(store, " Ada ")
        found = acknowledged(reader)
    assert found is not None
    assert found[0] == "Ada"
    with pytest.raises(BadInputError, match="name"):
        acknowledge(store, "  ")


def test_a_pause_asked_for_twice_is_one(store: Store) -> None:
    assert not is_paused(store, "algebra")
    for _ in range(2):
        set_paused(store, "algebra", True)
    with StoreReader(store.path) as reader:
        assert pause_asked(reader, "algebra")
    set_paused(store, "algebra", False)
    assert not is_paused(store, "algebra")
    with pytest.raises(StoreError, match="geometry"):
        set_paused(store, "geometry", True)


def test_a_note_sent_twice_is_one_and_can_be_taken_back(store: Store) -> None:
    for _ in range(2):
        add_note(store, "algebra", "n1", "  started the\nexercise ", 12.0)
    add_note(store, "algebra", "n2", "break", 5.0)
    with StoreReader(store.path) as reader:
        assert [(note.pts_s, note.text) for note in notes_of(reader, "algebra")] == [
            (5.0, "break"),
            (12.0, "started the exercise"),
        ]
        withdraw_note(store, "n2")
        assert [note.note_id for note in notes_of(reader, "algebra")] == ["n1"]
    with pytest.raises(BadInputError, match="text"):
        add_note(store, "algebra", "n3", " \n", 0.0)
