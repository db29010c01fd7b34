"""What training rounds left behind, read from their JSON files. Plain data out; trains nothing and loads no model.

The files come from `classroom train rounds`, perhaps of another version: what is missing or odd is left out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RUNS_VARIABLE = "CLASSROOM_RUNS"
"""A folder with runs, looked into beside `runs` where the dashboard was started and beside the store."""
RUNS_MAX = 50
_FILE_MAX_BYTES = 4_000_000


@dataclass(frozen=True, slots=True)
class Figures:
    """How one model did on one set of pictures."""

    pictures: int
    macro_f1: float
    accuracy: float
    f1: Mapping[str, float]
    confusion: tuple[tuple[int, ...], ...]
    """Rows are the truth, columns the answers, both in the order of `f1`."""


@dataclass(frozen=True, slots=True)
class RoundView:
    """One turn of the loop."""

    number: int
    accepted: bool
    reasons: tuple[str, ...]
    method: str
    pairs: int
    champion: Figures | None
    """Before the round."""
    challenger: Figures | None
    """What the round made."""
    points: tuple[float, float, float] | None
    """Gain in macro-F1 in points: value and 95 % interval."""


@dataclass(frozen=True, slots=True)
class RunView:
    """One run of rounds."""

    name: str
    rounds: tuple[RoundView, ...]
    champion: str
    """Which adapter it ended with; empty while it runs."""
    stopped: str
    """Why it ended; empty while it runs."""
    start: Figures | None
    """On students that chose nothing: where it began, and where it ended."""
    final: Figures | None
    final_points: tuple[float, float, float] | None


def run_folders(store: Path) -> list[Path]:
    """Folders that hold a run, newest first."""
    told = os.environ.get(RUNS_VARIABLE, "")
    places = [Path(told).expanduser()] if told else []
    places += [Path("runs"), store.parent / "runs"]
    found = {
        folder.resolve()
        for place in places
        if place.is_dir()
        for folder in (place, *place.iterdir())
        if folder.is_dir() and any(folder.glob("round_*/manifest.json"))
    }
    return sorted(found, key=lambda folder: folder.stat().st_mtime, reverse=True)[:RUNS_MAX]


def run_view(folder: Path) -> RunView:
    """One run, as far as it can be read."""
    manifests = [_read(path) for path in sorted(folder.glob("round_*/manifest.json"))]
    summary = _read(folder / "summary.json")
    final = _mapping(summary.get("final"))
    return RunView(
        name=folder.name if folder.name != "run" else f"{folder.parent.name}/{folder.name}",
        rounds=tuple(sorted((_round(one) for one in manifests if one), key=lambda one: one.number)),
        champion=str(summary.get("champion", "")),
        stopped=str(summary.get("stopped", "")),
        start=_figures(final.get("start")),
        final=_figures(final.get("champion")),
        final_points=_interval(final.get("macro_f1_points")),
    )


def _round(told: Mapping[str, Any]) -> RoundView:
    selection = _mapping(_mapping(told.get("metrics")).get("selection"))
    reasons = told.get("reasons")
    return RoundView(
        number=int(_number(told.get("round"))),
        accepted=told.get("accepted") is True,
        reasons=tuple(str(reason) for reason in reasons) if isinstance(reasons, list) else (),
        method=str(told.get("method", "")),
        pairs=int(_number(_mapping(told.get("counts")).get("pairs"))),
        champion=_figures(selection.get("champion")),
        challenger=_figures(selection.get("challenger")),
        points=_interval(selection.get("macro_f1_points")),
    )


def _figures(told: Any) -> Figures | None:
    about = _mapping(told)
    f1, confusion = _mapping(about.get("f1")), about.get("confusion")
    if not f1 or not isinstance(confusion, Sequence) or len(confusion) != len(f1):
        return None
    rows = tuple(tuple(int(_number(cell)) for cell in row) for row in confusion if isinstance(row, Sequence))
    if any(len(row) != len(f1) for row in rows) or len(rows) != len(f1):
        return None
    return Figures(
        pictures=int(_number(about.get("pictures"))),
        macro_f1=_number(about.get("macro_f1")),
        accuracy=_number(about.get("accuracy")),
        f1={str(name): _number(value) for name, value in f1.items()},
        confusion=rows,
    )


def _interval(told: Any) -> tuple[float, float, float] | None:
    if not isinstance(told, Sequence) or isinstance(told, str) or len(told) != 3:
        return None
    value, low, high = (_number(one) for one in told)
    return value, low, high


def _mapping(told: Any) -> Mapping[str, Any]:
    return told if isinstance(told, Mapping) else {}


def _number(told: Any) -> float:
    return float(told) if isinstance(told, int | float) else 0.0


def _read(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > _FILE_MAX_BYTES:
            return {}
        return _mapping(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
