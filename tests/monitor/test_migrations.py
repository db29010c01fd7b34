"""Migrations: each step once and whole, a newer store is refused, an older one is brought up to date."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.errors import StoreError
from monitor.store.database import Store, StoreReader
from monitor.store.location import open_for_writing
from monitor.store.migrations import MIGRATIONS, Migration, migrate, stored_version

NEXT = Migration("notes", ("CREATE TABLE notes (text TEXT)", "INSERT INTO notes VALUES ('hello')"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "classroom.db"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    opened = open_for_writing(path)
    yield opened
    opened.close()


def test_steps_are_recorded_and_taken_once(path: Path, connection: sqlite3.Connection) -> None:
    assert stored_version(connection, path) == 0
    assert migrate(connection, path) == len(MIGRATIONS)
    assert migrate(connection, path) == 0
    assert [row[0] for row in connection.execute("SELECT version FROM migrations")] == [*range(1, len(MIGRATIONS) + 1)]


def test_an_older_store_is_brought_up_to_date(path: Path, connection: sqlite3.Connection) -> None:
    migrate(connection, path)
    assert migrate(connection, path, (*MIGRATIONS, NEXT)) == 1
    assert connection.execute("SELECT text FROM notes").fetchone() == ("hello",)
    assert connection.execute("SELECT name FROM migrations ORDER BY version").fetchall()[-1] == ("notes",)


def test_a_step_that_fails_leaves_the_store_as_it_was(path: Path, connection: sqlite3.Connection) -> None:
    migrate(connection, path)
    broken = Migration("broken", ("CREATE TABLE notes (text TEXT)", "INSERT INTO nowhere VALUES (1)"))
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        migrate(connection, path, (*MIGRATIONS, broken))
    assert stored_version(connection, path) == len(MIGRATIONS)
    assert migrate(connection, path, (*MIGRATIONS, NEXT)) == 1


def test_a_store_of_a_newer_version_is_refused_and_left_alone(path: Path, connection: sqlite3.Connection) -> None:
    migrate(connection, path, (*MIGRATIONS, NEXT))
    connection.close()
    before = path.read_bytes()
    known = len(MIGRATIONS)
    for opening in (Store.open, StoreReader):
        with pytest.raises(StoreError, match=rf"version {known + 1}, and this program knows up to version {known}\."):
            opening(path)
    assert path.read_bytes() == before


def test_a_reader_refuses_an_older_store_since_it_cannot_mend_it(path: Path, connection: sqlite3.Connection) -> None:
    migrate(connection, path, ())
    connection.execute("PRAGMA user_version = 1")  # an empty file of nobody
    connection.close()
    with pytest.raises(StoreError, match=rf"version 0, expected {len(MIGRATIONS)}"):
        StoreReader(path)


def test_many_programs_may_make_one_store_at_once(path: Path) -> None:
    failures: list[Exception] = []
    gate = threading.Barrier(6)

    def make() -> None:
        try:
            gate.wait()
            Store.open(path).close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with StoreReader(path) as reader:
        assert reader.lectures() == []
