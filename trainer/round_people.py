"""Who is in which part, written down with a run: people stay in their part when a corpus grows and a later run begins.

Else somebody whom a model learned from could, in a later run, be one of those that it is judged by. This file knows
no pictures and no model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from monitor.errors import BadInputError
from trainer.round_manifest import write_json
from trainer.round_settings import RoundsSettings

PEOPLE_FILE = "people.json"
"""In the folder of a run: student, or video where students are not known, to part."""


def write_people(run: Path, parts_by_owner: Mapping[str, str]) -> None:
    """Write down where everybody is."""
    write_json(run / PEOPLE_FILE, dict(sorted(parts_by_owner.items())))


def read_people(run: Path) -> dict[str, str]:
    """Owner -> part, as a run wrote it down.

    Raises:
        BadInputError: no such file, or a damaged one.
    """
    path = run / PEOPLE_FILE
    advice = "Name the folder of a run of `classroom train rounds` or `train preference`, or leave out parts_of."
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInputError(f"{run}: expected a run with {PEOPLE_FILE}, found none. {advice}") from None
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path}: cannot be read ({error}). {advice}") from error
    if not isinstance(told, dict) or not all(isinstance(part, str) for part in told.values()):
        raise BadInputError(f"{path}: expected one part for each student, found something else. {advice}")
    return told


def earlier_people(settings: RoundsSettings, run: Path, *, resume: bool) -> dict[str, str]:
    """Those who were dealt before: by this run, by the one that `parts_of` names, or by that of the first adapter.

    Returns:
        owner -> part; empty where nobody was dealt before.

    Raises:
        BadInputError: `parts_of` names no run, or a file is damaged.
    """
    if resume and (run / PEOPLE_FILE).is_file():
        return read_people(run)
    if settings.data.parts_of:
        return read_people(Path(settings.data.parts_of))
    adapter = Path(settings.model.adapter) if settings.model.adapter else None
    made_by = next((one for one in adapter.parents if (one / PEOPLE_FILE).is_file()), None) if adapter else None
    return read_people(made_by) if made_by else {}
