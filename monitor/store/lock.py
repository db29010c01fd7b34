"""Keeps two writers from recording the same lecture. Knows files and processes, no database.

The operating system holds the lock, so a killed process leaves none behind; only an empty file may stay.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from monitor.errors import BusyError


class LectureLock:
    """Exclusive until `release`, or until the process dies.

    Args:
        store: the store's file; the lock lies beside it.
        lecture_id: what is locked. Other lectures of the same store stay free.

    Raises:
        BusyError: another writer holds it.
    """

    def __init__(self, store: Path, lecture_id: str) -> None:
        self._path = store.with_name(f"{store.name}.{re.sub(r'[^A-Za-z0-9_.-]', '_', lecture_id)}.lock")
        while True:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
            try:
                _lock(self._file)
            except OSError as error:
                os.close(self._file)
                raise BusyError(
                    f"lecture {lecture_id} is being recorded by another monitor on {store}. "
                    "End that one first, or start a lecture of its own with another --lecture."
                ) from error
            if self._is_current():
                return
            os.close(self._file)  # its last holder removed it between our open and our lock

    def release(self) -> None:
        """Give it back; a second call does nothing."""
        if self._file < 0:
            return
        if sys.platform != "win32":
            self._path.unlink(missing_ok=True)  # while it is held: nobody can have locked it in between
        os.close(self._file)
        self._file = -1

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._file), self._path.stat())
        except FileNotFoundError:
            return False


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
