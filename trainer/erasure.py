"""Takes a student out of the folders of training runs: pairs, lists of people, caches, states, reports, tables.

Weights that learned from the student cannot be unlearned here; the registry marks them. A run that was changed cannot
go on: what it would go on from is gone. This file knows the layout of runs and no model.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from trainer.round_people import PEOPLE_FILE

CACHES = ("cache", "state")
"""Folders of runs that hold what was computed from pictures, and what a killed run would go on from."""
LINES = (".jsonl", ".csv")
"""Files of which a line can be taken out."""
_TEXTS = (*LINES, ".json", ".html", ".md", ".txt", ".toml")
_LEAST_NAME = 3
"""Shorter names are parts of other words."""


@dataclass(frozen=True)
class Wanted:
    """Whom to look for."""

    people: frozenset[str]
    """Pseudonyms, as people.json and tables name them."""
    crop_ids: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    pictures: tuple[bytes, ...] = field(default=(), repr=False)
    """Encoded."""


@dataclass
class Scrubbed:
    """What was done in one folder."""

    folder: Path
    lines: int = 0
    """Taken out of files that stay: pairs, rows of tables, people of a list."""
    removed: list[str] = field(default_factory=list)
    """Files and folders that are gone, relative to the run."""

    @property
    def touched(self) -> bool:
        """Whether there was anything."""
        return bool(self.lines or self.removed)


def scrub_run(run: Path, wanted: Wanted) -> Scrubbed:
    """Take somebody out of a folder and all below it; done twice, the second time finds nothing.

    Args:
        run: of `classroom train`, `classroom retrain` or `classroom evaluate`; one that is gone is fine.
        wanted: whom.
    """
    done = Scrubbed(run)
    if not run.is_dir():
        return done
    for path in _files(run):
        if path.name == PEOPLE_FILE:
            done.lines += _leave_people_out(path, wanted.people)
        elif path.suffix in LINES:
            done.lines += _leave_lines_out(path, wanted)
    for path in _files(run):
        if _tells(path, wanted):
            path.unlink()
            done.removed.append(path.relative_to(run).as_posix())
    if done.touched:
        # Features and reference numbers are named by hashes of pictures, so nobody knows which are whose.
        for folder in _folders(run, CACHES):
            shutil.rmtree(folder)
            done.removed.append(folder.relative_to(run).as_posix())
    return done


def scrub_runs(runs: Iterable[Path], wanted: Wanted) -> list[Scrubbed]:
    """`scrub_run` on each, with those alone in which something was found."""
    return [done for run in dict.fromkeys(runs) if (done := scrub_run(run, wanted)).touched]


def _files(run: Path) -> Iterator[Path]:
    yield from sorted(path for path in run.rglob("*") if path.is_file() and not path.is_symlink())


def _folders(run: Path, names: tuple[str, ...]) -> list[Path]:
    return [path for path in sorted(run.rglob("*")) if path.is_dir() and path.name in names]


def _leave_people_out(path: Path, people: frozenset[str]) -> int:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return 0
    kept = {name: part for name, part in told.items() if name not in people} if isinstance(told, dict) else told
    if kept == told:
        return 0
    _replace(path, json.dumps(kept, indent=2, ensure_ascii=False) + "\n")
    return len(told) - len(kept)


def _leave_lines_out(path: Path, wanted: Wanted) -> int:
    """Lines about a crop, a person in a column of their own, or a name."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    kept = [line for line in lines if not (_mentions(line, wanted) or _is_row_of(path, line, wanted.people))]
    if len(kept) < len(lines):
        _replace(path, "".join(kept))
    return len(lines) - len(kept)


def _is_row_of(path: Path, line: str, people: frozenset[str]) -> bool:
    if path.suffix == ".csv":
        return bool(people & {cell.strip().strip('"') for cell in line.split(",")})
    try:
        told = json.loads(line)
    except ValueError:
        return False
    return isinstance(told, dict) and any(isinstance(value, str) and value in people for value in told.values())


def _mentions(text: str, wanted: Wanted) -> bool:
    folded = text.casefold()
    return any(crop_id in text for crop_id in wanted.crop_ids) or any(
        name.casefold() in folded for name in wanted.names if len(name) >= _LEAST_NAME
    )


def _tells(path: Path, wanted: Wanted) -> bool:
    """Whether a whole file must go: a text that names the student, or any file with a picture of them."""
    if path.suffix in _TEXTS and _mentions(path.read_text(encoding="utf-8", errors="replace"), wanted):
        return True
    data = path.read_bytes()
    return any(picture in data for picture in wanted.pictures)


def _replace(path: Path, text: str) -> None:
    staging = path.with_name(path.name + ".writing")
    staging.write_text(text, encoding="utf-8")
    staging.replace(path)
