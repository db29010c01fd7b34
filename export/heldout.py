"""Reads held-out rendered crops: pictures the model never saw, with their truth and groups.

Half of the people serve to calibrate, the other half to report. It knows the shard format, not the renderer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.errors import BadInputError
from monitor.vlm.pixels import fit_square


@dataclass(frozen=True, slots=True)
class Heldout:
    """Crops in the model's own size with their truth."""

    pixels: NDArray[np.uint8]
    """(N, side, side, 3) red-green-blue."""
    truth: NDArray[np.int64]
    """(N,) index of the true label."""
    clear: NDArray[np.bool_]
    """(N,) False where the renderer marked the picture as ambiguous."""
    people: NDArray[np.str_]
    """(N,) who is in the picture."""
    groups: tuple[Mapping[str, str], ...]
    """Per picture, e.g. {"skin_tone": "dark", ...}."""

    def __len__(self) -> int:
        return len(self.truth)

    def part(self, keep: NDArray[np.bool_]) -> Heldout:
        """The pictures where `keep` is true."""
        groups = tuple(group for group, kept in zip(self.groups, keep, strict=True) if kept)
        return Heldout(self.pixels[keep], self.truth[keep], self.clear[keep], self.people[keep], groups)

    @property
    def in_first_half(self) -> NDArray[np.bool_]:
        """(N,) True: to calibrate on, False: to report on. No person is in both, and more pictures move nobody."""
        digests = {person: hashlib.sha256(str(person).encode()).digest() for person in np.unique(self.people)}
        return np.array([digests[person][0] % 2 == 0 for person in self.people], dtype=np.bool_)


def read_heldout(folder: Path, labels: Sequence[str], side_px: int) -> Heldout:
    """Read all shards under a folder.

    Raises:
        BadInputError: no shards, a shard without its truth, or a label that the rubric does not have.
    """
    shards = sorted(folder.rglob("shard_*.npz"))
    if not shards:
        raise BadInputError(f"{folder}: no shard_*.npz here. Render held-out crops with `classroom synthesize stills`.")
    pixels, rows = [], []
    for shard in shards:
        records = _read_records(shard)
        with np.load(shard) as data:
            images = data["images"]
        if len(images) != len(records):
            raise BadInputError(f"{shard}: {len(images)} pictures but {len(records)} lines of truth beside it")
        unknown = {record["label"] for record in records} - set(labels)
        if unknown:
            raise BadInputError(f"{shard}: labels {sorted(unknown)} are not in the rubric ({', '.join(labels)})")
        pixels += [fit_square(image, side_px) for image in images]
        rows += records
    return Heldout(
        pixels=np.stack(pixels),
        truth=np.array([labels.index(row["label"]) for row in rows], dtype=np.int64),
        clear=np.array([not row.get("ambiguous", False) for row in rows], dtype=np.bool_),
        people=np.array([str(row["person_id"]) for row in rows]),
        groups=tuple({key: str(value) for key, value in row.get("groups", {}).items()} for row in rows),
    )


def read_recipe(folder: Path) -> dict[str, Any]:
    """Name and seed of each recipe under the folder: which pictures the figures are of."""
    recipes = {}
    for path in sorted(folder.rglob("manifest.json")):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        name = str(manifest.get("recipe", {}).get("name", path.parent.name))
        recipes[name] = {"seed": manifest.get("seed")}
    return recipes


def _read_records(shard: Path) -> list[dict[str, Any]]:
    path = shard.with_suffix(".jsonl")
    if not path.is_file():
        raise BadInputError(f"{shard}: its truth {path.name} is missing")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
