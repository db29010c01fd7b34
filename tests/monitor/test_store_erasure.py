"""Erasure: what is gone is gone from the file as well, and no pseudonym is used twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitor.errors import StoreError
from monitor.schema import Episode
from monitor.store.database import Store, StoreReader
from monitor.store.erasure import Erased, erase_student, purge_thumbnails, set_opt_out
from tests.monitor.builders import lecture, moment


def test_an_erased_student_is_gone_from_every_table_and_from_the_file(tmp_path: Path) -> None:
    path, name, picture = tmp_path / "a.db", "Zebediah Quux", b"\xff\xd8 a very private picture"
    with Store.open(path) as store:
        store.begin_lecture(lecture())
        store.commit(
            moment(
                0,
                students=["s01", "s02"],
                names={"s01": name, "s02": "Ada"},
                thumbnails={"s01": picture},
                episodes=[Episode("s01", "screen", 0.0, 1.0, 0.9)],
            )
        )
        assert erase_student(store, "s01") == Erased(("algebra",), observations=1, episodes=1, thumbnails=1)
        with StoreReader(path) as reader:
            assert [row.student_id for row in reader.observations("algebra")] == ["s02"]
            assert reader.names() == {"s02": "Ada"}
            assert reader.episodes("algebra") == []
        files = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert name.encode() not in files
        assert name.casefold().encode() not in files
        assert picture not in files
        point = store.resume_point("algebra")
        assert point is not None
        assert point.resume_state == ""


def test_an_erased_pseudonym_never_means_another_person(tmp_path: Path) -> None:
    with Store.open(tmp_path / "a.db") as store:
        store.begin_lecture(lecture())
        store.commit(moment(0, students=["s01"], names={"s01": "Ada"}))
        erase_student(store, "s01")
        store.begin_lecture(lecture("geometry"))
        store.commit(moment(0, students=["s01"], lecture_id="geometry"))
        with StoreReader(store.path) as reader:
            assert reader.students("geometry") == ["s02"]
        with pytest.raises(StoreError, match="no student 's01' here to erase"):
            erase_student(store, "s01")


def test_pictures_go_when_their_time_is_over(tmp_path: Path) -> None:
    now = datetime(2026, 11, 22, 11, 0, tzinfo=UTC)
    with Store.open(tmp_path / "a.db", thumbnails_kept_s=3600.0, clock=lambda: now) as store:
        store.begin_lecture(lecture())
        store.commit(moment(0, students=["s01"], thumbnails={"s01": b"old"}))
        now += timedelta(minutes=30)
        store.commit(moment(1, students=["s02"], thumbnails={"s02": b"new"}))
        assert purge_thumbnails(store) == 0
        now += timedelta(minutes=30)
        assert purge_thumbnails(store) == 1
        now += timedelta(minutes=30)
        store.begin_lecture(lecture("geometry"))  # each new lecture purges as well
        with StoreReader(store.path) as reader:
            assert reader.thumbnail("algebra", "s01") is None
            assert reader.thumbnail("algebra", "s02") is None


def test_nobody_unknown_can_opt_out(tmp_path: Path) -> None:
    with Store.open(tmp_path / "a.db") as store, pytest.raises(StoreError, match="no student 's99'"):
        set_opt_out(store, "s99", True)
