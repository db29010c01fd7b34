"""Reads what happened to a folder of models: each choice of a champion or challenger, each verdict, each mark.

    history.jsonl              a line each time an alias changed: what was chosen, by whom, why, forced or not
    verdicts/<model_id>.json   what the gate said of a model, the last time it was asked
    marks.json                 models that learned from somebody who was erased since

The alias files themselves are the truth about now (`monitor.registry`); this is about before. It writes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.errors import BundleError
from monitor.registry import CHAMPION, SHIPPED, Registry

HISTORY, VERDICTS, MARKS = "history.jsonl", "verdicts", "marks.json"
PROMOTED, ROLLED_BACK, CLEARED = "promoted", "rolled back", "cleared"


@dataclass(frozen=True, slots=True)
class Change:
    """An alias that came to mean another model."""

    alias: str
    """CHAMPION or CHALLENGER."""
    action: str
    """PROMOTED, ROLLED_BACK or CLEARED."""
    model_id: str | None
    """None: the alias means nothing any more."""
    sha256: str
    """Of the manifest of the model; empty for none."""
    at: str
    """UTC, ISO 8601."""
    by: str
    reason: str
    forced: bool
    """Whether the gate had refused, or could not be asked."""
    previous: str | None
    """What the alias meant before."""
    objections: tuple[str, ...] = ()
    """What the gate had said against it."""


@dataclass(frozen=True, slots=True)
class KeptVerdict:
    """What the gate said of a model."""

    model_id: str
    champion: str
    """Against which model."""
    at: str
    passed: bool
    reasons: tuple[str, ...]
    figures: Mapping[str, Any]


def read_history(models: Path) -> list[Change]:
    """Every change there is a line of, oldest first; a line that a crash cut short is left out."""
    try:
        lines = (models / HISTORY).read_text(encoding="utf-8", errors="replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [change for line in lines if (change := change_of(_json(line))) is not None]


def change_of(told: Any) -> Change | None:
    """A line of the history, or an alias file, as a record; None for something else."""
    if not isinstance(told, Mapping) or not isinstance(told.get("alias"), str):
        return None
    model_id, previous = told.get("model_id"), told.get("previous")
    if not isinstance(model_id, str | None) or not isinstance(previous, str | None):
        return None
    return Change(
        alias=told["alias"],
        action=str(told.get("action", PROMOTED)),
        model_id=model_id,
        sha256=str(told.get("sha256", "")),
        at=str(told.get("at", "")),
        by=str(told.get("by", "")),
        reason=str(told.get("reason", "")),
        forced=told.get("forced") is True,
        previous=previous,
        objections=texts(told.get("objections")),
    )


def alias_change(registry: Registry, name: str) -> Change | None:
    """What an alias file says about itself; None where there is none, or a damaged one."""
    change = change_of({"alias": name, **read_object(registry.folder / f"{name}.json")})
    return change if change is not None and change.model_id is not None else None


def champions(history: Sequence[Change]) -> list[str]:
    """The champions that still stand, oldest first: promotions put one on top, going back takes it off again.

    The last is the champion now, the one before it is where a rollback leads. The shipped model is always the first.
    """
    standing = [SHIPPED]
    for change in history:
        if change.alias != CHAMPION or change.model_id is None:
            continue
        if change.action == ROLLED_BACK and change.model_id in standing:
            while standing[-1] != change.model_id:
                standing.pop()
        else:
            if change.previous is not None and standing[-1] != change.previous:
                standing.append(change.previous)  # its own line is lost
            if standing[-1] != change.model_id:
                standing.append(change.model_id)
    return standing


def read_verdict(models: Path, model_id: str) -> KeptVerdict | None:
    """The last one on a model, or None."""
    verdict = verdict_of(read_object(models / VERDICTS / f"{model_id}.json"))
    return verdict if verdict is not None and verdict.model_id == model_id else None


def verdict_of(told: Mapping[str, Any]) -> KeptVerdict | None:
    """A verdict from plain values; None for something else."""
    figures = told.get("figures")
    if not isinstance(told.get("model_id"), str):
        return None
    return KeptVerdict(
        model_id=told["model_id"],
        champion=str(told.get("champion", "")),
        at=str(told.get("at", "")),
        passed=told.get("passed") is True,
        reasons=texts(told.get("reasons")),
        figures=figures if isinstance(figures, Mapping) else {},
    )


def read_marks(models: Path) -> dict[str, tuple[str, ...]]:
    """model_id -> pseudonyms of erased students whom it learned from, as marked since it was made."""
    return {str(model_id): texts(names) for model_id, names in read_object(models / MARKS).items()}


def alias_now(registry: Registry, name: str) -> str | None:
    """Which model an alias means, None for no challenger or a damaged file."""
    try:
        alias = registry.alias(name)
    except BundleError:
        return None
    if alias is None:
        return SHIPPED if name == CHAMPION else None
    return alias.model_id


def texts(told: Any) -> tuple[str, ...]:
    """A list of JSON as texts; nothing for anything else."""
    return tuple(map(str, told)) if isinstance(told, list) else ()


def read_object(path: Path) -> Mapping[str, Any]:
    """An object of JSON from a file; an empty one where there is none that can be read."""
    try:
        told = _json(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return {}
    return told if isinstance(told, Mapping) else {}


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
