"""Moves the aliases of a registry, one writer at a time, and writes down each move. It asks no gate.

An alias file is replaced in one step and then a line is added to the history; if a crash comes between, the next
writer adds the line from the file, which says the same. So the files are always the truth about now, and the history
loses nothing.
"""

from __future__ import annotations

import getpass
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime

from export.registry.atomic import UNFINISHED, append_line, cannot_write, remove, write_json
from monitor.errors import BadInputError, BusyError, StoreError
from monitor.registry import CHALLENGER, CHAMPION, SHIPPED, Entry, Registry
from monitor.registry_history import (
    CLEARED,
    HISTORY,
    PROMOTED,
    ROLLED_BACK,
    Change,
    alias_change,
    alias_now,
    champions,
    read_history,
)
from monitor.store.lock import FileLock

LOCK = ".writing.lock"
WAIT_S = 20.0


@contextmanager
def writing(registry: Registry, *, wait_s: float = WAIT_S) -> Iterator[Registry]:
    """The same registry, with nobody else writing to it; what a crash left behind is tidied up first.

    Args:
        registry: its folder is made where there is none.
        wait_s: for how long to wait for another writer.

    Raises:
        BusyError: another writer is still there.
        StoreError: the folder cannot be made or locked.
    """
    models = registry.folder
    try:
        models.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(models, error) from error
    taken = f"{models}: another command is changing the models there. Wait until it is done, then try again."
    lock = FileLock(models / LOCK, taken, wait_s=wait_s)
    try:
        _tidy(registry)
        yield registry
    finally:
        lock.release()


def set_champion(
    registry: Registry,
    entry: Entry,
    *,
    by: str,
    reason: str,
    objections: Sequence[str] = (),
    expected: str | None = None,
) -> Change:
    """Make an entry the champion; it stops being the challenger. An entry that is the champion already stays it.

    Args:
        registry: from `writing`.
        entry: opened, so checked.
        by: who says so; empty = the user of this machine.
        reason: why; needed where there are objections.
        objections: what the gate has against it; any makes it forced.
        expected: the champion that the gate compared with; None = whichever.

    Raises:
        BadInputError: objections and no reason.
        BusyError: the champion is another one by now.
        StoreError: full disk, no permission; then nothing has changed.
    """
    if objections and not reason.strip():
        raise BadInputError(f"{entry.model_id}: whoever forces a promotion says why: add --reason.")
    now = alias_now(registry, CHAMPION)
    if expected is not None and now != expected:
        raise BusyError(
            f"{entry.model_id} was compared with the champion {expected}, and somebody made {now} the champion "
            "meanwhile. Try again."
        )
    if now == entry.model_id and _is_same(registry, entry):
        return _newest(registry, CHAMPION) or _change(CHAMPION, PROMOTED, entry, by, reason, now)
    change = _change(CHAMPION, PROMOTED, entry, by, reason, now, objections)
    _put(registry, change)
    _tidy_challenger(registry)
    return change


def set_challenger(registry: Registry, entry: Entry | None, *, by: str, reason: str) -> Change:
    """Let an entry run beside the champion, or nobody.

    Raises:
        BadInputError: it is the champion.
        StoreError: full disk, no permission; then nothing has changed.
    """
    if entry is not None and entry.model_id == alias_now(registry, CHAMPION):
        raise BadInputError(f"{entry.model_id} is the champion: beside itself it would tell nothing.")
    before = alias_now(registry, CHALLENGER)
    change = _change(CHALLENGER, PROMOTED if entry else CLEARED, entry, by, reason, before)
    _put(registry, change)
    return change


def roll_back(registry: Registry, *, by: str, reason: str, to: str | None = None) -> Change:
    """Make the champion before this one the champion again; done twice, the one before that.

    Args:
        registry: from `writing`.
        by: who says so; empty = the user of this machine.
        reason: why; may be empty.
        to: an earlier champion; None = the last one before.

    Raises:
        BadInputError: there is none before, or `to` never was the champion.
        BundleError: the earlier one is damaged or gone.
        StoreError: full disk, no permission; then nothing has changed.
    """
    standing = champions(read_history(registry.folder))
    earlier = [name for name in standing[:-1] if name != standing[-1]]
    if to is None and not earlier:
        raise BadInputError(f"{standing[-1]} is the champion, and there was none before it to go back to.")
    target = earlier[-1] if to is None else to
    if target not in earlier:
        if target == standing[-1]:
            raise BadInputError(f"{target} is the champion already.")
        raise BadInputError(
            f"{target} was not the champion before, so it passes the gate first: `classroom models promote {target}`. "
            f"Before {standing[-1]} there were: {', '.join(dict.fromkeys(reversed(earlier))) or 'none'}."
        )
    change = _change(CHAMPION, ROLLED_BACK, registry.entry(target), by, reason, standing[-1])
    _put(registry, change)
    _tidy_challenger(registry)
    return change


def _put(registry: Registry, change: Change) -> None:
    path = registry.folder / f"{change.alias}.json"
    if change.model_id is None:
        remove(path)
    else:
        write_json(path, asdict(change))
    with suppress(StoreError):  # the alias has moved, and that is what was asked for: the next writer adds the line
        append_line(registry.folder / HISTORY, asdict(change))


def _change(  # the columns of the history
    alias: str,
    action: str,
    entry: Entry | None,
    by: str,
    reason: str,
    previous: str | None,
    objections: Sequence[str] = (),
) -> Change:
    return Change(
        alias=alias,
        action=action,
        model_id=entry.model_id if entry else None,
        sha256=entry.manifest_sha256 if entry else "",
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        by=by.strip() or _user(),
        reason=reason.strip(),
        forced=bool(objections),
        previous=previous,
        objections=tuple(objections),
    )


def _tidy(registry: Registry) -> None:
    """Remove what was never finished, and write down a move whose line a crash has swallowed."""
    for left in registry.folder.glob(f"{UNFINISHED}*"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)
    history = read_history(registry.folder)
    for name in (CHAMPION, CHALLENGER):
        written = next((one for one in reversed(history) if one.alias == name), None)
        here = alias_change(registry, name)
        if here is not None and (written is None or (here.model_id, here.at) != (written.model_id, written.at)):
            append_line(registry.folder / HISTORY, asdict(here))
        elif here is None and written is not None and written.model_id is not None:
            _note_missing(registry, name, written)
    _tidy_challenger(registry)


def _note_missing(registry: Registry, name: str, written: Change) -> None:
    """An alias file that the history knows is gone: a crash after its removal, or somebody's hand."""
    if (registry.folder / f"{name}.json").exists():
        return  # damaged; `roll_back` or a new choice replaces it
    entry = registry.entry(SHIPPED) if name == CHAMPION else None
    if written.model_id == SHIPPED:
        return
    action = ROLLED_BACK if entry else CLEARED
    change = _change(name, action, entry, "", "its file was found missing", written.model_id)
    append_line(registry.folder / HISTORY, asdict(change))


def _tidy_challenger(registry: Registry) -> None:
    """Who is the champion is no challenger any more."""
    challenger = alias_now(registry, CHALLENGER)
    if challenger is not None and challenger == alias_now(registry, CHAMPION):
        _put(registry, _change(CHALLENGER, CLEARED, None, "", "it is the champion now", challenger))


def _newest(registry: Registry, name: str) -> Change | None:
    return next((one for one in reversed(read_history(registry.folder)) if one.alias == name), None)


def _is_same(registry: Registry, entry: Entry) -> bool:
    alias = registry.alias(CHAMPION)
    return alias is None or entry.model_id == SHIPPED or alias.sha256 == entry.manifest_sha256


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no name for this user id, or none asked for on this system
        return "unknown"
