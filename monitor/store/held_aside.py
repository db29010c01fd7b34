"""Sets a share of the students aside for ever: nothing is trained on them, so that new models can be judged by them.

A keyed hash of the pseudonym decides, so nobody chooses who it is, and a student met years later falls to the same
side. The key lies beside the store, readable by its owner alone; without it the sides would be dealt anew, and people
a model has learned from would come to judge it. This file knows no model and no picture.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from monitor.errors import StoreError
from monitor.store.location import store_path
from monitor.store.reader import StoreReader

SHARE = 0.2
"""Of the students, when a key is made; it is kept with the key."""
_SUFFIX = ".held-aside.json"
_KEY_BYTES = 32


@dataclass(frozen=True)
class HeldAside:
    """Which students are set aside."""

    key: bytes = field(repr=False)
    share: float
    """Of all students that there could ever be, 0 to below 1."""

    def set_aside(self, pseudonym: str) -> bool:
        """Whether nothing may be trained on this student, for good."""
        digest = hmac.digest(self.key, pseudonym.encode(), "sha256")
        return int.from_bytes(digest[:8], "big") < self.share * 2**64


def key_path(store: str | Path | None = None) -> Path:
    """The file of the key that belongs to a store."""
    path = store_path(store)
    return path.with_name(path.name + _SUFFIX)


def held_aside(store: str | Path | None = None) -> HeldAside:
    """The store's own choice; the first who asks makes it.

    Args:
        store: as `store_path` takes it.

    Raises:
        StoreError: the key is damaged, or cannot be read or made.
    """
    path = key_path(store)
    found = _read(path)
    if found is None:
        make_key(store, secrets.token_bytes(_KEY_BYTES), SHARE)
        found = _read(path)
    if found is None:
        raise StoreError(f"{path}: was made and is gone again. Something deletes files there; look for it first.")
    return found


def make_key(store: str | Path | None, key: bytes, share: float) -> None:
    """Write the key of a store, whole or not at all; one that is there already stays.

    Raises:
        ValueError: a share outside 0 to below 1.
        StoreError: it cannot be written.
    """
    if not 0 <= share < 1:
        raise ValueError(f"the share of students set aside lies in 0 to below 1, found {share}")
    path = key_path(store)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"key": key.hex(), "share": share}, file)
            file.flush()
            os.fsync(file.fileno())
        _put_unless_there(unfinished, path)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot keep the key that sets students aside ({error.strerror}). The folder of a store must be "
            "writable before anything is trained on it or judged by it."
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


@dataclass(frozen=True)
class Sides:
    """Who of a store is on which side, with those counted who were merged of two pseudonyms."""

    aside: HeldAside
    merged: dict[str, tuple[str, ...]]
    """student_id -> the pseudonyms that were found to be the same person."""

    def may_teach(self, pseudonym: str) -> bool:
        """Whether a model may learn from this student: no pseudonym they ever had is set aside."""
        return not any(map(self.aside.set_aside, self._all(pseudonym)))

    def may_judge(self, pseudonym: str) -> bool:
        """Whether no model can have learned from this student: every pseudonym they ever had is set aside."""
        return all(map(self.aside.set_aside, self._all(pseudonym)))

    def _all(self, pseudonym: str) -> tuple[str, ...]:
        return (pseudonym, *self.merged.get(pseudonym, ()))


def sides_of(reader: StoreReader) -> Sides:
    """Both sides of an open store.

    Raises:
        StoreError: as `held_aside`.
    """
    into = dict(
        reader.rows("SELECT b.student_id, a.student_id FROM students b JOIN students a ON a.student_no = b.merged_into")
    )
    merged: dict[str, list[str]] = defaultdict(list)
    for before, target in into.items():
        now = target
        while now in into:  # merged again later
            now = into[now]
        merged[now].append(before)
    return Sides(held_aside(reader.path), {now: tuple(names) for now, names in merged.items()})


def _read(path: Path) -> HeldAside | None:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        key, share = bytes.fromhex(told["key"]), float(told["share"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path}: expected the key that sets students aside, cannot be read: {error!r}. Put back a copy of it; "
            "with another key, students that a model learned from would judge it."
        ) from error
    if len(key) < _KEY_BYTES // 2 or not 0 <= share < 1:
        raise StoreError(f"{path}: expected a key of {_KEY_BYTES} bytes and a share of 0 to below 1. Put back a copy.")
    return HeldAside(key, share)


if sys.platform == "win32":

    def _put_unless_there(unfinished: Path, path: Path) -> None:
        try:
            unfinished.rename(path)
        except FileExistsError:
            return
else:

    def _put_unless_there(unfinished: Path, path: Path) -> None:
        try:
            os.link(unfinished, path)  # unlike a rename, it never takes the place of a key that is there
        except FileExistsError:
            return
        except OSError:  # a disk without links, such as exFAT
            if not path.exists():
                unfinished.replace(path)
