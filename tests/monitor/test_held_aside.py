"""Students set aside: the same for ever, whoever asks first, and whatever pseudonyms are merged."""

from __future__ import annotations

import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import StoreError
from monitor.store.database import Store
from monitor.store.held_aside import SHARE, HeldAside, held_aside, key_path, make_key, sides_of
from monitor.store.people import merge
from monitor.store.reader import StoreReader
from tests.monitor.builders import lecture, moment

STUDENTS = [f"s{number:02d}" for number in range(1, 2001)]


def test_a_share_of_the_students_is_set_aside_and_stays(tmp_path: Path) -> None:
    store = tmp_path / "class.db"
    first = [held_aside(store).set_aside(student) for student in STUDENTS]
    assert abs(sum(first) / len(first) - SHARE) < 0.03
    assert [held_aside(store).set_aside(student) for student in STUDENTS] == first
    other = held_aside(tmp_path / "other.db")
    assert [other.set_aside(student) for student in STUDENTS] != first


@given(st.binary(min_size=32, max_size=32), st.text(max_size=20), st.floats(0, 0.99), st.floats(0, 0.99))
def test_a_bigger_share_never_lets_anybody_back(key: bytes, student: str, one: float, other: float) -> None:
    small, big = sorted((one, other))
    assert not HeldAside(key, small).set_aside(student) or HeldAside(key, big).set_aside(student)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_the_key_is_for_its_owner_alone_and_in_no_message(tmp_path: Path) -> None:
    found = held_aside(tmp_path / "class.db")
    assert stat.S_IMODE(key_path(tmp_path / "class.db").stat().st_mode) == 0o600
    assert found.key.hex() not in repr(found)
    assert str(found.key) not in repr(found)


def test_many_who_ask_at_once_get_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: held_aside(tmp_path / "class.db"), range(16)))
    assert len(set(found)) == 1
    assert [path.name for path in tmp_path.iterdir()] == [key_path(tmp_path / "class.db").name]


@pytest.mark.parametrize("told", ["", "{", "{}", '{"key": "00", "share": 0.2}', '{"key": "zz", "share": 0.2}'])
def test_a_damaged_key_is_never_replaced_by_another(told: str, tmp_path: Path) -> None:
    path = key_path(tmp_path / "class.db")
    path.write_text(told, encoding="utf-8")
    with pytest.raises(StoreError, match="Put back a copy"):
        held_aside(tmp_path / "class.db")
    assert path.read_text(encoding="utf-8") == told


def test_who_was_merged_of_both_sides_is_neither_taught_nor_judged(tmp_path: Path) -> None:
    path = tmp_path / "class.db"
    make_key(path, b"k" * 32, 0.5)
    aside = [student for student in STUDENTS[:40] if held_aside(path).set_aside(student)]
    free = [student for student in STUDENTS[:40] if not held_aside(path).set_aside(student)]
    with Store.open(path, durable=False) as store:
        store.begin_lecture(lecture())
        for number, student in enumerate((*aside[:3], *free[:3])):
            store.commit(moment(number, students=[student]))
        merge(store, aside[0], aside[1])
        merge(store, free[0], free[1])
        merge(store, aside[2], free[2])
    with StoreReader(path) as reader:
        sides = sides_of(reader)
    assert (sides.may_teach(aside[0]), sides.may_judge(aside[0])) == (False, True)
    assert (sides.may_teach(free[0]), sides.may_judge(free[0])) == (True, False)
    assert (sides.may_teach(aside[2]), sides.may_judge(aside[2])) == (False, False)
