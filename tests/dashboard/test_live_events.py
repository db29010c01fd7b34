"""What is asked for on the live page: done once however often it is sent, and nothing that a page may not ask."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dashboard.live_events import Done, apply_events, pending
from dashboard.queries import room_view
from monitor.schema import Episode
from monitor.store.control import is_paused
from monitor.store.database import Store, StoreReader
from monitor.store.erasure import set_opt_out
from monitor.store.review import annotation_history, kept_crop
from monitor.store.wishes import change_wishes
from tests.dashboard.lectures import running, thumbnail
from tests.monitor.builders import lecture, moment, observation

CROP = "algebra.s01.000000000"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """s01 at the screen with a picture, s02 without."""
    with Store.open(tmp_path / "classroom.db", durable=False) as opened:
        opened.begin_lecture(lecture())
        opened.commit(room(0, "screen", 0.0))
        opened.heartbeat("algebra", running(1))
        yield opened


def room(index: int, label: str, began_s: float) -> Any:
    episodes = [Episode(who, label, began_s, index + 1.0, 0.9) for who in ("s01", "s02")]
    rows = [observation(who, float(index), label) for who in ("s01", "s02")]
    return moment(index, rows, episodes=episodes, thumbnails={"s01": thumbnail(0)} if index == 0 else {})


def ask(store: Store, *events: dict[str, Any]) -> Done:
    shaped = [{"id": f"{number:08x}", "lecture": "algebra", **event} for number, event in enumerate(events, start=1)]
    return apply_events(store, "algebra", pending(shaped, ()), "ada", 7.0)


def view(store: Store) -> dict[str, Any]:
    with StoreReader(store.path) as reader:
        record = reader.lecture("algebra")
        assert record is not None
        return room_view(reader, "algebra", record.active_at + timedelta(seconds=1))


def tile(store: Store, student: str = "s01") -> dict[str, Any]:
    return next(one for one in view(store)["students"] if one["id"] == student)


def test_a_correction_counts_in_the_room_until_something_new_is_seen(store: Store) -> None:
    wish = {"kind": "correct", "student": "s01", "label": "paper"}
    for _ in range(2):
        assert ask(store, wish).trouble is None
    assert (tile(store)["word"], tile(store)["tag"], tile(store)["corrected"]) == ("at paper", None, "00000001")
    assert [part["text"] for part in view(store)["sentence"]][:2] == ["1 of 2 at the screen", "1 at paper"]
    with StoreReader(store.path) as reader:
        (row,) = annotation_history(reader, CROP)
        crop = kept_crop(reader, CROP)
    assert (row.label, row.annotator_id, row.blind, row.prediction_id is not None) == ("paper", "ada", False, True)
    assert crop is not None
    assert crop.picture == thumbnail(0)
    store.commit(room(1, "wander", 1.0))
    assert (tile(store)["word"], tile(store)["corrected"]) == ("elsewhere", None)


def test_an_undo_gives_the_models_word_back(store: Store) -> None:
    ask(store, {"kind": "correct", "student": "s01", "label": "paper"})
    ask(store, {"kind": "undo", "of": "00000001"})
    assert (tile(store)["word"], tile(store)["corrected"]) == ("at the screen", None)


@pytest.mark.parametrize(
    "event",
    [
        {"kind": "correct", "student": "s01", "label": "bored"},
        {"kind": "correct", "student": "s02", "label": "paper"},
        {"kind": "correct", "student": "../s01", "label": "paper"}, {"kind": "undo", "of": "nothing"},
        {"kind": "erase"}, {"kind": "pause", "lecture": "geometry"},
    ],
)  # fmt: skip
def test_what_cannot_be_done_says_so_and_changes_nothing(store: Store, event: dict[str, Any]) -> None:
    done = ask(store, event)
    assert done.trouble
    assert done.ids == ["00000001"], "it is not asked again"
    assert tile(store)["corrected"] is None
    assert not is_paused(store, "algebra")


def test_who_opted_out_is_not_labelled(store: Store) -> None:
    set_opt_out(store, "s01", True)
    assert "opted out" in (ask(store, {"kind": "correct", "student": "s01", "label": "paper"}).trouble or "")


def test_pause_resume_and_notes(store: Store) -> None:
    ask(store, {"kind": "pause"}, {"kind": "note", "text": "<b>exercise</b>"})
    assert is_paused(store, "algebra")
    shown = view(store)
    assert shown["pause_asked"]
    assert [(note["text"], note["at_s"]) for note in shown["notes"]] == [("<b>exercise</b>", 7.0)]
    apply_events(store, "algebra", [{"id": "a" * 8, "lecture": "algebra", "kind": "resume"}], "ada", 0.0)
    apply_events(
        store, "algebra", [{"id": "b" * 8, "lecture": "algebra", "kind": "unnote", "of": "00000002"}], "ada", 0.0
    )
    assert not is_paused(store, "algebra")
    assert view(store)["notes"] == []


def test_events_that_were_handled_or_are_none_are_left(store: Store) -> None:
    assert pending([{"id": "0000000a"}, {"id": "x"}, 7, {"id": "0000000b"}], {"0000000a"}) == [{"id": "0000000b"}]
    assert pending("text", ()) == []


def test_the_room_looking_away_for_long_is_said(store: Store) -> None:
    change_wishes(store, alert_share=0.5, alert_after_s=20.0)
    for index in range(1, 19):
        store.commit(room(index, "wander", 1.0))
    assert view(store)["alert"] == "", "not for so long yet"
    store.commit(room(19, "wander", 1.0))
    assert view(store)["alert"] == "For 0:20, 100% of the room has looked elsewhere"
    for index in range(20, 23):
        store.commit(room(index, "paper", 20.0))
    assert view(store)["alert"] == "", "paper is no reason"


def test_room_only_shows_counts_alone(store: Store) -> None:
    change_wishes(store, room_only=True)
    shown = view(store)
    assert shown["students"] == []
    assert shown["sentence"][0]["text"] == "2 of 2 at the screen"
