"""What the review board is given and what its events do: stored once, undone exactly, never trusted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dashboard.agreement import cohen_kappa
from dashboard.review_queue import Handled, agreement_rows, annotator_id, board_view, handle
from monitor.rubric import load_rubric
from monitor.schema import ReviewCrop
from monitor.store.annotations import ask_people
from monitor.store.database import Store, StoreReader
from monitor.store.erasure import erase_student, set_opt_out
from monitor.store.keeping import commit_with_crops
from monitor.store.review import annotation_history, crop_reasons, current_annotations, current_predictions
from monitor.store.wishes import Wishes
from tests.dashboard.lectures import thumbnail
from tests.monitor.builders import lecture, moment

RUBRIC = load_rubric("attention")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Four crops, most useful first: of s01 to s04."""
    with Store.open(tmp_path / "classroom.db", durable=False) as opened:
        opened.begin_lecture(lecture())
        ids = ["s01", "s02", "s03", "s04"]
        reasons = ("uncertain", "uncertain", "flicker", "random")
        crops = tuple(ReviewCrop(s, thumbnail(n), reasons[n], 4.0 - n) for n, s in enumerate(ids))
        plain = moment(0, students=ids)
        commit_with_crops(opened, replace(plain, to_review=crops))
        yield opened


def label(number: int, word: str | None, crop: str = "s01", **more: Any) -> dict[str, Any]:
    event = {"id": f"{number:08x}", "kind": "label", "crop_id": f"algebra.{crop}.000000000", "label": word}
    return event | {"annotator": "ada", "blind": True} | more


def undo(number: int, of: int) -> dict[str, Any]:
    return {"id": f"{number:08x}", "kind": "undo", "of": f"{of:08x}", "annotator": "ada"}


def send(store: Store, *events: object, wishes: Wishes | None = None) -> Handled:
    with StoreReader(store.path) as reader:
        return handle(store, reader, list(events), RUBRIC, wishes or Wishes())


def view(store: Store, person: str = "ada", *, blind: bool = True, held: tuple[str, ...] = ()) -> dict[str, Any]:
    with StoreReader(store.path) as reader:
        return board_view(reader, RUBRIC, person, blind=blind, held=held, handled=Handled())


def answers(store: Store) -> dict[str, str | None]:
    with StoreReader(store.path) as reader:
        return {row.crop_id.split(".")[1]: row.label for row in current_annotations(reader, "attention")}


def test_the_most_useful_come_first_and_blind_hides_the_model(store: Store) -> None:
    items = view(store)["items"]
    assert [item["crop_id"].split(".")[1] for item in items] == ["s01", "s02", "s03", "s04"]
    assert {item["model"] for item in items} == {None}
    assert items[0]["image"].startswith("data:image/jpeg;base64,")
    assert "at the screen (90%)" in view(store, blind=False)["items"][0]["model"]["words"]


def test_crops_that_the_board_holds_are_not_sent_again(store: Store) -> None:
    held = tuple(item["crop_id"] for item in view(store)["items"][:3])
    assert [item["crop_id"] for item in view(store, held=held)["items"]] == ["algebra.s04.000000000"]


def test_a_rerun_in_the_middle_of_a_click_stores_it_once(store: Store) -> None:
    for _ in range(3):
        handled = send(store, label(1, "paper"), label(2, None, "s02"))
        assert handled.stored == ["00000001", "00000002"]
    assert answers(store) == {"s01": "paper", "s02": None}
    with StoreReader(store.path) as reader:
        (row,) = annotation_history(reader, "algebra.s01.000000000")
    assert (row.annotator_id, row.blind, row.may_train) == ("ada", True, False)
    assert row.prediction_id is not None, "which model had said what"
    shown = view(store)
    assert (shown["left"], shown["mine"]) == (2, 2)


def test_undo_is_exact_and_may_come_twice(store: Store) -> None:
    send(store, label(1, "paper"), label(2, "screen"))
    send(store, undo(3, 2))
    send(store, undo(3, 2))
    assert answers(store) == {"s01": "paper"}
    assert [row["annotation_id"] for row in view(store)["answered"]] == ["00000001"], "the next to be undone"
    send(store, undo(4, 1))
    assert answers(store) == {}
    assert view(store)["left"] == 4


def test_two_people_answer_apart(store: Store) -> None:
    send(store, label(1, "paper"))
    assert view(store, "bob")["left"] == 3
    with Store.open(store.path, durable=False) as other:
        ask_people(other, "attention", 2)
    assert view(store, "bob")["left"] == 4
    assert view(store)["left"] == 3
    send(store, label(2, "screen", annotator="bob"))
    with StoreReader(store.path) as reader:
        rows = current_annotations(reader, "attention")
        pairs = agreement_rows(rows, crop_reasons(reader, "attention"), current_predictions(reader, "attention"))
    assert pairs["people"] == ([("paper", "screen")], ["s01"])
    assert pairs["all"][0] == [("screen", "paper"), ("screen", "screen")]
    assert pairs["random"][0] == []


@pytest.mark.parametrize(
    "event",
    [
        "text", {"id": "../../x"}, {"id": "00000001"}, label(1, "bored"), label(1, "paper", annotator="a b/../c"),
        label(1, "paper", "nobody"), undo(1, 99), {"id": "00000001", "kind": "undo"},
    ],
)  # fmt: skip
def test_what_a_browser_must_not_do_changes_nothing(store: Store, event: object) -> None:
    handled = send(store, event, label(7, "screen", "s02"))
    assert handled.stored[-1] == "00000007"
    assert answers(store) == {"s02": "screen"}


def test_a_crop_erased_meanwhile_is_let_go_of(store: Store) -> None:
    erase_student(store, "s01")
    handled = send(store, label(1, "paper"))
    assert handled.gone == ["algebra.s01.000000000"]
    assert handled.stored == ["00000001"]
    assert "Keep it first, or it was erased" in (handled.trouble or "")


def test_who_opted_out_is_not_shown(store: Store) -> None:
    set_opt_out(store, "s01", True)
    shown = view(store)
    assert shown["left"] == 3
    assert all("s01" not in item["crop_id"] for item in shown["items"])


def test_consent_travels_with_each_answer(store: Store) -> None:
    send(store, label(1, "paper"), wishes=Wishes(may_train=True))
    with StoreReader(store.path) as reader:
        assert [row.may_train for row in current_annotations(reader, "attention")] == [True]


@pytest.mark.parametrize(("name", "person"), [("Ada Lovelace", "Ada-Lovelace"), ("  ", ""), ("<b>", "b"), ("李", "李")])
def test_names_become_ids(name: str, person: str) -> None:
    assert annotator_id(name) == person


def test_kappa_of_a_table_worked_by_hand() -> None:
    pairs = [("a", "a")] * 20 + [("a", "b")] * 5 + [("b", "a")] * 10 + [("b", "b")] * 15
    found = cohen_kappa(pairs, [str(n % 10) for n in range(50)])
    assert found.value == pytest.approx(0.4)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.4 < found.high
    assert (found.items, found.same) == (50, 35)


def test_kappa_is_undefined_where_it_is() -> None:
    assert cohen_kappa([], []).value is None
    assert cohen_kappa([("a", "a")] * 9, list("abcabcabc")).value is None
    few = cohen_kappa([("a", "a"), ("b", "b")], ["x", "y"])
    assert (few.value, few.low) == (1.0, None)
