"""Who is who: names carry a student over to another lecture, bare pseudonyms never do, merges move rows at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitor.schema import Episode
from monitor.store.database import Store, StoreReader
from monitor.store.erasure import set_opt_out
from tests.monitor.builders import lecture, moment


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "classroom.db", durable=False) as opened:
        opened.begin_lecture(lecture())
        yield opened


def seen(store: Store, lecture_id: str = "algebra") -> list[tuple[int, str]]:
    with StoreReader(store.path) as reader:
        return [(row.index, row.student_id) for row in reader.observations(lecture_id)]


def names(store: Store) -> dict[str, str]:
    with StoreReader(store.path) as reader:
        return reader.names()


def test_a_name_carries_a_student_over_to_the_next_lecture(store: Store) -> None:
    store.commit(moment(0, students=["s01", "s02"], names={"s02": "Zoë Müller"}))
    assert store.known_names() == {"zoemuller": "s02"}
    store.begin_lecture(lecture("geometry"))
    store.commit(moment(0, students=["s02"], names={"s02": "Zoe Muller"}, lecture_id="geometry"))
    assert seen(store, "geometry") == [(0, "s02")]


def test_a_bare_pseudonym_of_another_lecture_is_another_person(store: Store) -> None:
    store.commit(moment(0, students=["s01", "s02"], names={"s02": "Zoë"}))
    store.begin_lecture(lecture("geometry"))
    for index in range(2):
        store.commit(moment(index, students=["s01", "s02"], lecture_id="geometry"))
    assert seen(store, "geometry") == [(0, "s02"), (0, "s03"), (1, "s02"), (1, "s03")]


def test_two_lectures_at_once_that_both_count_from_s01(store: Store) -> None:
    with Store.open(store.path) as other:
        other.begin_lecture(lecture("geometry"))
        store.commit(moment(0, names={"s01": "Ada"}))
        other.commit(moment(0, names={"s01": "Emmy"}, lecture_id="geometry"))
        store.commit(moment(1))
    assert (seen(store), seen(store, "geometry")) == ([(0, "s01"), (1, "s01")], [(0, "s02")])
    assert names(store) == {"s01": "Ada", "s02": "Emmy"}


def test_a_newcomer_whose_name_the_store_knows_becomes_that_student(store: Store) -> None:
    with Store.open(store.path) as other:
        other.begin_lecture(lecture("geometry"))
        store.commit(moment(0, names={"s01": "Ada"}))
        other.commit(moment(0, lecture_id="geometry"))
        other.commit(moment(1, names={"s01": "ADA"}, lecture_id="geometry"))
    assert seen(store, "geometry") == [(0, "s01"), (1, "s01")]
    assert names(store) == {"s01": "Ada"}


def test_two_students_of_one_name_stay_two(store: Store) -> None:
    store.commit(moment(0, students=["s01", "s02"], names={"s01": "Anna", "s02": "Anna"}))
    assert seen(store) == [(0, "s01"), (0, "s02")]
    assert names(store) == {"s01": "Anna", "s02": "Anna"}
    assert store.known_names() == {"anna": "s01"}


def test_a_better_reading_of_a_name_replaces_the_first(store: Store) -> None:
    store.commit(moment(0, names={"s01": "Ada Love…"}))
    store.commit(moment(1, names={"s01": "Ada Lovelace"}))
    assert names(store) == {"s01": "Ada Lovelace"}
    assert store.known_names() == {"adalovelace": "s01"}


def test_a_merge_moves_what_the_provisional_student_had_in_this_lecture(store: Store) -> None:
    store.commit(moment(0, names={"s01": "Ada"}, episodes=[Episode("s01", "screen", 0.0, 1.0, 0.9)]))
    store.commit(
        moment(1, students=["s07"], episodes=[Episode("s07", "paper", 1.0, 2.0, 0.9)], thumbnails={"s07": b"jpeg"})
    )
    store.commit(moment(2, students=["s01"], merges={"s07": "s01"}, episodes=[Episode("s01", "paper", 1.0, 3.0, 0.9)]))
    store.commit(moment(3, students=["s07"]))  # a late row under the old pseudonym still finds its way
    assert seen(store) == [(0, "s01"), (1, "s01"), (2, "s01"), (3, "s01")]
    with StoreReader(store.path) as reader:
        assert reader.episodes("algebra") == [
            Episode("s01", "screen", 0.0, 1.0, 0.9),
            Episode("s01", "paper", 1.0, 3.0, 0.9),
        ]
        assert reader.thumbnail("algebra", "s07") is None
        assert reader.thumbnail("algebra", "s01") is not None
        assert reader.students("algebra") == ["s01"]


def test_a_merge_takes_a_name_and_an_opt_out_along(store: Store) -> None:
    store.commit(moment(0, students=["s01", "s07"], names={"s07": "Ada"}))
    set_opt_out(store, "s07", True)
    store.commit(moment(1, merges={"s07": "s01"}))
    assert names(store) == {"s01": "Ada"}
    assert "s01" in store.opted_out("algebra")


def test_where_both_were_seen_the_known_students_row_stays(store: Store) -> None:
    store.commit(moment(0, students=["s01", "s07"]))
    store.commit(moment(1, merges={"s07": "s01"}))
    assert seen(store) == [(0, "s01"), (1, "s01")]


def test_a_merge_is_undone_with_its_moment(store: Store) -> None:
    store.commit(moment(0, students=["s01", "s07"]))
    row = moment(1).observations[0]
    with pytest.raises(Exception, match="UNIQUE"):
        store.commit(moment(1, [row, row], merges={"s07": "s01"}))
    assert seen(store) == [(0, "s01"), (0, "s07")]


def test_a_lecture_that_lost_its_state_does_not_mix_people_up(tmp_path: Path) -> None:
    now = datetime(2026, 11, 22, 11, 0, tzinfo=UTC)
    with Store.open(tmp_path / "a.db", clock=lambda: now) as store:
        store.begin_lecture(lecture())
        store.commit(moment(0, students=["s01", "s02"], names={"s02": "Zoë"}))
        store.end_lecture("algebra")
        now += timedelta(hours=1)
        store.begin_lecture(lecture("geometry"))  # forgets what the ended lecture kept to go on from
        point = store.resume_point("algebra")
        assert point is not None
        assert point.resume_state == ""
        store.commit(moment(1, students=["s01", "s02"], names={"s02": "Zoë"}))
        assert seen(store) == [(0, "s01"), (0, "s02"), (1, "s02"), (1, "s03")]


def test_an_opt_out_is_told_by_the_pseudonym_of_the_lecture(store: Store) -> None:
    store.commit(moment(0, students=["s01", "s02"], names={"s02": "Zoë"}))
    set_opt_out(store, "s01", True)
    set_opt_out(store, "s02", True)
    store.begin_lecture(lecture("geometry"))
    assert store.opted_out() == {"s02"}  # a new lecture can know nobody by a bare pseudonym
    store.commit(moment(0, students=["s01"], lecture_id="geometry"))
    assert store.opted_out("geometry") == {"s02"}  # its s01 is somebody else
    set_opt_out(store, "s03", True)
    assert store.opted_out("geometry") == {"s01", "s02"}
    assert store.opted_out("algebra") == {"s01", "s02"}


def test_the_second_bearer_of_a_name_is_not_taken_for_a_newcomer(store: Store) -> None:
    """The monitor is told the first Ada alone, so it may give the second one's pseudonym to anybody."""
    store.commit(moment(0, students=["s01", "s02"], names={"s01": "Ada", "s02": "Ada"}))
    store.begin_lecture(lecture("geometry"))
    store.commit(moment(0, students=["s01", "s02"], names={"s01": "Ada"}, lecture_id="geometry"))
    assert seen(store, "geometry") == [(0, "s01"), (0, "s03")]
