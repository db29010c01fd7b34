"""Renames, merges and splits of students, undone to the very same rows; rosters; nothing is left of who was erased."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.errors import BadInputError, StoreError
from monitor.schema import Episode
from monitor.store.annotations import keep_crop
from monitor.store.database import Store, StoreReader
from monitor.store.erasure import erase_student, set_opt_out
from monitor.store.people import (
    Change,
    Imported,
    import_roster,
    merge,
    newest_change,
    people_of,
    rename,
    split,
    undo_change,
)
from tests.monitor.builders import lecture, moment

TABLES = ("observations", "episodes", "crops", "names", "lecture_students", "opt_outs")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """s01 for four seconds, then s02 for four; s03 all the time."""
    with Store.open(tmp_path / "classroom.db", durable=False) as opened:
        opened.begin_lecture(lecture())
        for index in range(8):
            here = "s01" if index < 4 else "s02"
            began = 0.0 if index < 4 else 4.0
            episodes = [
                Episode(here, "screen", began, index + 1.0, 0.9),
                Episode("s03", "screen", 0.0, index + 1.0, 0.9),
            ]
            names = {"s01": "Ada"} if index == 0 else {}
            opened.commit(moment(index, students=[here, "s03"], episodes=episodes, names=names))
        keep_crop(opened, "c1", b"jpeg", ("algebra", "s02", 5.0))
        yield opened


def rows(store: Store) -> dict[str, list[tuple[object, ...]]]:
    with StoreReader(store.path) as reader:
        return {table: sorted(reader.rows(f"SELECT * FROM {table}"), key=repr) for table in TABLES}


def people(store: Store) -> dict[str, str]:
    with StoreReader(store.path) as reader:
        return {person.student_id: person.name for person in people_of(reader)}


def test_a_merge_moves_all_and_is_undone_to_the_same_rows(store: Store) -> None:
    set_opt_out(store, "s02", True)
    before = rows(store)
    merge(store, "s01", "s02")
    assert people(store) == {"s01": "Ada", "s03": ""}
    with StoreReader(store.path) as reader:
        assert len([row for row in reader.observations("algebra") if row.student_id == "s01"]) == 8
        assert newest_change(reader) == Change("merge", "s01", "s02")
        assert people_of(reader)[0].opted_out, "a wish of either counts for the one person"
        assert people_of(reader)[0].crops == 1
    store.commit(moment(8, students=["s02"]))
    with StoreReader(store.path) as reader:
        assert [row.student_id for row in reader.observations("algebra", 8.0)] == ["s01"], (
            "the monitor's s02 is s01 now"
        )
    assert undo_change(store) == "merge"
    after = rows(store)
    after["observations"] = [row for row in after["observations"] if row[1] != 8]
    assert after == before
    assert undo_change(store) is None


def test_two_people_of_one_picture_stay_two(store: Store) -> None:
    before = rows(store)
    with pytest.raises(BadInputError, match="same picture"):
        merge(store, "s01", "s03")
    assert rows(store) == before


@pytest.mark.parametrize(("from_s", "moved"), [(0.0, 8), (5.0, 3)])
def test_a_split_makes_a_newcomer_and_is_undone(store: Store, from_s: float, moved: int) -> None:
    before = rows(store)
    newcomer = split(store, "s03", "algebra", from_s)
    assert newcomer == "s04"
    with StoreReader(store.path) as reader:
        assert len([row for row in reader.observations("algebra") if row.student_id == "s04"]) == moved
        assert "s04" in reader.students("algebra")
    assert undo_change(store) == "split"
    assert rows(store) == before
    assert "s04" not in people(store)


def test_a_split_of_nothing_leaves_no_newcomer(store: Store) -> None:
    with pytest.raises(BadInputError, match="nothing to split off"):
        split(store, "s01", "algebra", 7.0)
    assert list(people(store)) == ["s01", "s02", "s03"]


def test_a_rename_is_undone_and_text_stays_text(store: Store) -> None:
    rename(store, "s01", "  <script>alert(1)</script>\x00 ")
    assert people(store)["s01"] == "<script>alert(1)</script>"
    rename(store, "s01", "")
    assert people(store)["s01"] == ""
    undo_change(store)
    assert people(store)["s01"] == "<script>alert(1)</script>"
    undo_change(store)
    assert people(store)["s01"] == "Ada"


def test_a_roster_is_taken_in_once(store: Store) -> None:
    text = "\ufeffName,Opted_Out\nADA,\nEmmy Noether,yes\n,\n"
    assert import_roster(store, text) == Imported(new=1, known=1, opted_out=1)
    assert import_roster(store, text) == Imported(new=0, known=2, opted_out=0)
    assert people(store)["s04"] == "Emmy Noether"
    assert "s04" in store.opted_out()


@pytest.mark.parametrize(
    ("text", "said"), [("who\nAda\n", "column called name"), ("name\n\n", "names nobody"), ("", "nothing")]
)
def test_a_roster_that_cannot_be_read_says_why(store: Store, text: str, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        import_roster(store, text)


def test_an_erasure_takes_what_undo_would_need(store: Store) -> None:
    rename(store, "s01", "Ada Lovelace")
    merge(store, "s01", "s02")
    erase_student(store, "s01")
    with StoreReader(store.path) as reader:
        assert newest_change(reader) is None
        assert reader.rows("SELECT count(*) FROM roster_changes") == [(0,)]
    assert b"Lovelace" not in store.path.read_bytes()
    with pytest.raises(StoreError, match="no student"):
        rename(store, "s01", "Ada")
