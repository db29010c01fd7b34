"""Keeps two writers off the same thing: a lecture, or a folder of models. Knows files and processes, no database.

The operating system holds the lock, so a killed process leaves none behind; only an empty file may stay.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import time
from pathlib import Path

from monitor.errors import BusyError, ClassroomError, StoreError

_POLL_S = 0.02


class FileLock:
    """Exclusive until `release`, or until the process dies.

    Args:
        path: the lock's file; its folder must exist.
        taken: what to say when somebody else holds it.
        wait_s: for how long to try before saying so.

    Raises:
        BusyError: another holds it.
        StoreError: no file can be made or locked there.
    """

    def __init__(self, path: Path, taken: str, *, wait_s: float = 0.0) -> None:
        self._path = path
        give_up_at_s = time.monotonic() + wait_s
        while True:
            try:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            except OSError as error:
                raise StoreError(f"{self._path}: cannot make the lock: {error.strerror}.") from error
            try:
                _lock(self._file)
            except OSError as error:
                os.close(self._file)
                if _is_taken(error) and time.monotonic() < give_up_at_s:
                    time.sleep(_POLL_S)
                    continue
                raise self._refusal(error, taken) from error
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

    def _refusal(self, error: OSError, taken: str) -> ClassroomError:
        if _is_taken(error):
            return BusyError(taken)
        return StoreError(f"{self._path}: files cannot be locked here ({error.strerror}). Choose a local disk.")

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._file), self._path.stat())
        except FileNotFoundError:
            return False


class LectureLock(FileLock):
    """One writer a lecture.

    Args:
        store: the store's file; the lock lies beside it.
        lecture_id: what is locked. Other lectures of the same store stay free.

    Raises:
        BusyError: another writer holds it.
        StoreError: no file can be made or locked there.
    """

    def __init__(self, store: Path, lecture_id: str) -> None:
        super().__init__(
            store.with_name(f"{store.name}.{re.sub(r'[^A-Za-z0-9_.-]', '_', lecture_id)}.lock"),
            f"lecture {lecture_id} is being recorded by another monitor on {store}. "
            "End that one first, or let this one start a lecture of its own.",
        )


def _is_taken(error: OSError) -> bool:
    return error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK)


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
