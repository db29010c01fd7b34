"""What is written down of each round: enough to say where an adapter comes from and to make it again.

This file knows no model; it writes JSON that is complete before it takes its name.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from monitor.errors import BadInputError

MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True, slots=True)
class RoundManifest:
    """One turn of the loop."""

    round: int
    """From 1."""
    accepted: bool
    reasons: tuple[str, ...]
    """Why it was refused; empty where it was accepted."""
    base_sha256: str
    data_sha256: str
    """Of the training pictures, their labels and names."""
    pairs_sha256: str
    parent: str
    """The adapter that it goes on from, relative to the run's folder; "start" = as the configuration begins."""
    reference: str
    """start = the parent was the reference; base = the model without an adapter."""
    adapter: str
    """Folder of the adapter it made, relative to the run's folder; empty where training was stopped."""
    method: str
    seed: int
    counts: dict[str, int]
    """Pictures, people, wrong answers, pairs by origin."""
    metrics: dict[str, Any]
    """Before and after on the selection students, differences by class, use of the pictures, losses."""
    wall_s: dict[str, float] = field(default_factory=dict)
    """By stage; a resumed round counts what each stage took when it was done."""

    def without_times(self) -> dict[str, Any]:
        """What a repetition must give again."""
        return {key: value for key, value in asdict(self).items() if key != "wall_s"}


def write_json(path: Path, value: Any) -> None:
    """Write a file that is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(path.name + ".writing")
    staging.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    staging.replace(path)


def write_manifest(folder: Path, manifest: RoundManifest) -> None:
    """Close a round."""
    write_json(folder / MANIFEST_FILE, asdict(manifest))


def read_manifest(folder: Path) -> RoundManifest:
    """A closed round.

    Raises:
        BadInputError: a manifest that is missing or damaged.
    """
    path = folder / MANIFEST_FILE
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return RoundManifest(**{**told, "reasons": tuple(told["reasons"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInputError(
            f"{path}: not the manifest of a round ({error}). Delete the folder {folder.name}: --resume makes it again."
        ) from error


def closed_rounds(run: Path) -> list[RoundManifest]:
    """The closed rounds of a run, in order; they must follow each other.

    Raises:
        BadInputError: a round is missing between two others.
    """
    folders = sorted(folder for folder in run.glob("round_*") if (folder / MANIFEST_FILE).is_file())
    rounds = [read_manifest(folder) for folder in folders]
    for number, one in enumerate(rounds, start=1):
        if one.round != number:
            raise BadInputError(
                f"{run}: round {number} is missing, but round {one.round} is there. Copy the run again."
            )
    return rounds


def round_folder(run: Path, number: int) -> Path:
    """Where a round lies."""
    return run / f"round_{number:02d}"
