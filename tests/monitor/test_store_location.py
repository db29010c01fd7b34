"""Opening a store: where it lies, and every way in which the file can be wrong."""

from __future__ import annotations

import os
import re
import sqlite3
import sys
from pathlib import Path

import pytest

from monitor.errors import StoreError
from monitor.store.database import Store, StoreReader
from monitor.store.location import store_path
from tests.monitor.builders import lecture, moment


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("lectures/a.db", Path("lectures/a.db")),
        (Path("a.db"), Path("a.db")),
        ("sqlite:///a.db", Path("a.db")),
        ("sqlite:////var/a.db", Path("/var/a.db")),
        ("C:/data/a.db", Path("C:/data/a.db")),
        ("sqlite:///C:/data/a.db", Path("C:/data/a.db")),
    ],
)
def test_a_store_is_a_path_or_a_sqlite_url(location: str | Path, path: Path) -> None:
    assert store_path(location) == path


def test_the_default_store_is_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLASSROOM_STORE", raising=False)
    assert store_path().name == "classroom.db"
    assert store_path().is_absolute()
    monkeypatch.setenv("CLASSROOM_STORE", "sqlite:///elsewhere.db")
    assert store_path() == Path("elsewhere.db")


def test_another_kind_of_database_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"found postgresql:"):
        store_path("postgresql://host/db")
    with pytest.raises(StoreError, match=r"a folder.*classroom\.db"):
        store_path(tmp_path)


def test_a_new_store_makes_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "deeper" / "a#?%20.db"
    with Store.open(path) as store:
        store.begin_lecture(lecture())
    with StoreReader(path) as reader:
        assert [record.lecture_id for record in reader.lectures()] == ["algebra"]


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("Dear diary, " * 1000)
    for opening in (Store.open, StoreReader):
        with pytest.raises(StoreError, match=r"notes\.db: damaged, or no store at all"):
            opening(path)
    assert path.read_text() == "Dear diary, " * 1000


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "photos.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE migrations (version INTEGER)")
    connection.commit()
    connection.close()
    for opening in (Store.open, StoreReader):
        with pytest.raises(StoreError, match="a database of another program"):
            opening(path)


def test_a_store_damaged_in_the_middle_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with Store.open(path, durable=False) as store:
        store.begin_lecture(lecture())
        for index in range(200):
            store.commit(moment(index, students=["s01", "s02", "s03"]))
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=re.escape(str(path)) + ": damaged"), StoreReader(path) as reader:
        list(reader.observations("algebra"))


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot make the folder of the store"):
        Store.open(tmp_path / "file" / "a.db")


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    with Store.open(tmp_path / "a.db"):
        pass
    with StoreReader(tmp_path / "a.db") as reader, pytest.raises(StoreError, match="cannot be opened or written"):
        reader._rows("DELETE FROM lectures")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="POSIX permissions, which root does not obey")
def test_an_archive_that_cannot_be_written_can_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    with Store.open(folder / "a.db") as store:
        store.begin_lecture(lecture())
    (folder / "a.db").chmod(0o400)
    folder.chmod(0o500)
    try:
        with StoreReader(folder / "a.db") as reader:
            assert len(reader.lectures()) == 1
    finally:
        folder.chmod(0o700)
