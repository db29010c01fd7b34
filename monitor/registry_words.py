"""What is said of models, in the same words on the command line and on the page of models. Records in, texts out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from monitor.registry import CHALLENGER
from monitor.registry_history import CLEARED, ROLLED_BACK, Change, KeptVerdict
from monitor.registry_list import Row

HEADINGS = ("Model", "In use as", "Kind", "Made from", "Macro-F1", "Gate", "Size")
UNKNOWN = "–"
NOT_ASKED = "not asked yet"
FORCE_ADVICE = "To take it all the same, force it and say why; both are kept in the history."


def row_words(row: Row) -> tuple[str, ...]:
    """A model as a line of a table, in the order of HEADINGS."""
    score = row.macro_f1
    return (
        row.model_id,
        ", ".join(row.aliases) or UNKNOWN,
        row.kind,
        made_from(row),
        f"{score:.3f}" if score is not None else UNKNOWN,
        gate_words(row.verdict),
        size_words(row.bytes),
    )


def made_from(row: Row) -> str:
    """Base, parent and round of a model, as far as they are told."""
    parent = row.parent or row.base
    if not parent:
        return UNKNOWN
    return f"{parent}, round {row.round}" if row.round is not None else parent


def gate_words(verdict: KeptVerdict | None) -> str:
    """What the gate said, in a few words."""
    if verdict is None:
        return NOT_ASKED
    return f"{'passed' if verdict.passed else 'refused'} against {verdict.champion}"


def verdict_sentence(model_id: str, champion: str, passed: bool, reasons: Sequence[str]) -> str:
    """What the gate said, in a sentence."""
    if passed:
        return f"The gate lets {model_id} pass: against {champion}, no class and no group loses."
    told = "one reason" if len(reasons) == 1 else f"{len(reasons)} reasons"
    return f"The gate refuses {model_id} against {champion}, for {told}:"


def change_words(change: Change) -> str:
    """A line of the history, without its time."""
    by = f", by {change.by}" if change.by else ""
    why = f": {change.reason}" if change.reason else ""
    if change.action == CLEARED:
        return f"{change.previous or 'nobody'} is {change.alias} no more{by}{why}"
    before = f" after {change.previous}" if change.previous else ""
    if change.action == ROLLED_BACK:
        return f"back to {change.model_id}{before}{by}{why}"
    forced = ", forced against the gate" if change.forced else ""
    return f"{change.model_id} became {change.alias}{before}{by}{forced}{why}"


def when_words(at: str) -> str:
    """A time of the registry on the clock of this machine: "2026-11-22 18:03"; the text itself if it is none."""
    try:
        return f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return at


def taint_words(students: Sequence[str]) -> str:
    """What a mark on a model means; empty without one."""
    if not students:
        return ""
    return f"It learned from students who were erased since ({', '.join(students)}). Train a new one without them."


def figure_lines(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The figures of a verdict, as names and texts: how many judged, what changed, each class, the worst group."""
    macro, errors = _table(figures, "macro_f1"), _table(figures, "calibration_error")
    lines = [
        ("pictures", _number(figures.get("pictures"))),
        ("students who judge", _number(figures.get("students"))),
        ("rendered people", _number(figures.get("rendered_people"))),
        ("answers that change", _number(figures.get("changed_answers"))),
        ("macro-F1", f"{_number(macro.get('champion'))} → {_number(macro.get('challenger'))}, {_points(macro)}"),
        *((f"F1 {name}", _difference(found)) for name, found in _table(figures, "classes").items()),
    ]
    groups = [
        (f"{key.replace('_', ' ')} = {value}", found)
        for key, values in _table(figures, "groups").items()
        if isinstance(values, Mapping)
        for value, found in values.items()
        if isinstance(found, list) and len(found) == 3 and found[1] is not None
    ]
    if groups:
        name, worst = min(groups, key=lambda one: one[1][1])
        lines.append((f"worst of {len(groups)} groups: {name}", _difference(worst)))
    lines.append(("calibration error", f"{_number(errors.get('champion'))} → {_number(errors.get('challenger'))}"))
    lines.append(("runtime agrees with trainer", _percent(figures.get("agreement"))))
    return lines


def size_words(size_bytes: int) -> str:
    """ "4.7 MB", "212 kB"."""
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.0f} kB"


def is_challenger(row: Row) -> bool:
    """Whether it runs beside the champion."""
    return CHALLENGER in row.aliases


def _points(macro: Mapping[str, Any]) -> str:
    return _difference(macro.get("points"))


def _difference(found: Any) -> str:
    if not isinstance(found, list) or len(found) != 3 or not all(isinstance(one, int | float) for one in found):
        return UNKNOWN
    return f"{found[0]:+.1f} points ({found[1]:+.1f} to {found[2]:+.1f})"


def _number(told: Any) -> str:
    if isinstance(told, float):
        return f"{told:.3f}"
    return f"{told:,}" if isinstance(told, int) else UNKNOWN


def _percent(told: Any) -> str:
    return f"{told:.2%}" if isinstance(told, int | float) else UNKNOWN


def _table(told: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = told.get(key)
    return found if isinstance(found, Mapping) else {}
