"""Files that change whole or not at all, and stay changed through a power cut. Knows nothing of models."""

from __future__ import annotations

import errno
import json
import os
import secrets
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monitor.errors import StoreError

UNFINISHED = ".unfinished-"
"""What is begun and not yet in its place starts so: readers pass over it, the next writer removes it."""
_PATIENCE_S = 2.0


def write_json(path: Path, told: Mapping[str, Any]) -> None:
    """Replace a file by another one; who reads meanwhile gets the old or the new.

    Raises:
        StoreError: full disk, no permission; what was there before is untouched.
    """
    unfinished = path.with_name(f"{UNFINISHED}{secrets.token_hex(8)}")
    try:
        write_flushed(unfinished, (json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode())
        _replace(unfinished, path)
        flush_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        unfinished.unlink(missing_ok=True)


def write_flushed(path: Path, data: bytes) -> None:
    """Write a file and wait until the disk has it."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def append_line(path: Path, told: Mapping[str, Any]) -> None:
    """Add a line to a file of JSON lines.

    Raises:
        StoreError: full disk, no permission.
    """
    line = json.dumps(told, ensure_ascii=False).encode() + b"\n"
    try:
        with path.open("ab") as file:
            if not _ends_a_line(path):
                line = b"\n" + line  # a crash cut the last one short: it stays by itself, and readers leave it out
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise cannot_write(path, error) from error


def remove(path: Path) -> None:
    """Delete a file for good; nothing happens where there is none.

    Raises:
        StoreError: no permission.
    """
    try:
        path.unlink(missing_ok=True)
        flush_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> StoreError:
    """The error of a person whose disk is full or not theirs."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT if sys.platform != "win32" else errno.ENOSPC):
        return StoreError(
            f"{path}: the disk is full. Nothing half-written can be seen, and the models there were are untouched. "
            "Free some space and try again."
        )
    return StoreError(
        f"{path}: cannot be written ({error.strerror or error}). Check that the folder is yours, or choose another "
        "with --models."
    )


def _ends_a_line(path: Path) -> bool:
    size = path.stat().st_size
    if not size:
        return True
    with path.open("rb") as file:
        file.seek(size - 1)
        return file.read(1) == b"\n"


if sys.platform == "win32":

    def flush_folder(folder: Path) -> None:
        """Windows writes the names of files with the files."""

    def _replace(unfinished: Path, path: Path) -> None:
        give_up_at_s = time.monotonic() + _PATIENCE_S
        while True:
            try:
                unfinished.replace(path)
                return
            except PermissionError:  # somebody reads it just now
                if time.monotonic() > give_up_at_s:
                    raise
                time.sleep(0.01)
else:

    def flush_folder(folder: Path) -> None:
        """Wait until the disk has the names of the files in a folder."""
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def _replace(unfinished: Path, path: Path) -> None:
        unfinished.replace(path)
