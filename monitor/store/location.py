"""Where a store lies and how its file is opened, for writing or for reading. Knows no table.

Also turns what SQLite reports into errors that a person can act on.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from monitor.errors import BusyError, ClassroomError, StoreError

FILE_NAME = "classroom.db"
BUSY_TIMEOUT_S = 5.0
_NEARLY_FULL_BYTES = 1 << 20


def store_path(location: str | Path | None = None) -> Path:
    """The file a store lies in.

    Args:
        location: a path, "sqlite:///PATH", or None: then CLASSROOM_STORE, else the user's data folder.

    Raises:
        StoreError: another kind of database URL, or a folder.
    """
    text = str(location) if location is not None else os.environ.get("CLASSROOM_STORE", "")
    if not text:
        return platformdirs.user_data_path("classroom", appauthor=False) / FILE_NAME
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):/", text)  # two letters at least: C:/ is a drive
    if scheme and not text.startswith("sqlite:///"):
        raise StoreError(f"{text}: a store is a path or sqlite:///PATH, found {scheme[1]}:. Give a path to a file.")
    path = Path(text.removeprefix("sqlite:///")).expanduser()
    if path.is_dir():
        raise StoreError(f"{path}: a folder, expected the file of a store. Try {path / FILE_NAME}.")
    return path


def open_for_writing(path: Path, *, durable: bool = True) -> sqlite3.Connection:
    """Open or create the file, with the settings every writer shares.

    Args:
        path: the file; missing folders are made.
        durable: synchronous=FULL, so that a committed moment also outlives a power cut: one flush a second is
            nothing. False is NORMAL, which outlives a kill of the process all the same; for recordings, which can be
            scored again.
    """
    with explained(path, "opening the store"):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{path.parent}: cannot make the folder of the store: {error.strerror}.") from error
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        try:
            _use_log(connection)
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection.execute("PRAGMA foreign_keys = ON")
            # An erased name must not be readable in the free pages of the file.
            connection.execute("PRAGMA secure_delete = ON")
        except BaseException:
            connection.close()
            raise
    return connection


def _use_log(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; SQLite does not wait by itself while another program switches a new file."""
    give_up_at_s = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > give_up_at_s:
                raise
            time.sleep(0.02)


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open an existing file so that nothing can be written through this connection, whether or not a writer runs.

    Raises:
        StoreError: no such file.
    """
    if not path.is_file():
        raise StoreError(f"{path}: no store here yet. `classroom live` or `classroom score` makes one.")
    with explained(path, "opening the store"):
        try:
            return _readable(path, "mode=ro")
        except sqlite3.OperationalError as error:
            # A folder that cannot be written (an archive): SQLite may then not make the files that WAL wants.
            log = Path(f"{path}-wal")
            refused = error.sqlite_errorname.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY"))
            if not refused or (log.exists() and log.stat().st_size > 0):
                raise
            return _readable(path, "mode=ro&immutable=1")


def _readable(path: Path, options: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{options}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def explained(path: Path, doing: str) -> Iterator[None]:
    """Turn an error of SQLite into one that names the file, what happened and what to do next.

    Raises:
        StoreError: full disk, unreadable file, no permission, and all that is left.
        BusyError: another program has been writing for longer than BUSY_TIMEOUT_S.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _explanation(path, doing, error) from error


def _explanation(path: Path, doing: str, error: sqlite3.Error) -> ClassroomError:
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith("SQLITE_FULL") or (name.startswith("SQLITE_IOERR") and _disk_is_full(path)):
        return StoreError(
            f"{path}: the disk is full, met while {doing}. Nothing half-written stays and what was stored before is "
            "safe. Free some space and start again: the lecture goes on."
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StoreError(
            f"{path}: damaged, or no store at all ({error}), met while {doing}. Move the file away to start a new "
            "store, or put a copy of yours in its place."
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return BusyError(
            f"{path}: another program has been writing for more than {BUSY_TIMEOUT_S:.0f} s, met while {doing}. "
            "Wait for it or end it, then start again."
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return StoreError(
            f"{path}: cannot be opened or written ({error}), met while {doing}. Check that the folder exists and is "
            "yours, or choose another place with --store."
        )
    return StoreError(f"{path}: the store failed while {doing}: {error}. Try again; if it stays, move the file away.")


def _disk_is_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _NEARLY_FULL_BYTES
    except OSError:
        return False
