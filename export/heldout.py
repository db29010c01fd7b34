"""Reads labelled pictures that the model never saw: shards of rendered students, or stills with a table.

Each is cut around its head as the monitor would cut it, so that what is measured is what a lecture gets. Of the
held-out ones half of the people serve to calibrate. This file knows the formats, not the renderer.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from monitor.errors import BadInputError
from monitor.schema import Image
from monitor.sources.picture_file import read_picture
from monitor.students.headcut import HeadCut
from monitor.vlm.pixels import fit_square

TABLE = "labels.csv"
_NO_GROUP = ("file", "person", "label", "licence")
_TAKEN = ("heldout", "held-out")
_MOST_VALUES = 12  # a column with more is no group


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


def read_heldout(folder: Path, labels: Sequence[str], side_px: int, most: int | None = None) -> Heldout:
    """Read all shards under a folder.

    Args:
        folder: with shards.
        labels: names, in the order of `Heldout.truth`.
        side_px: of the squares.
        most: pictures to take at most, evenly spread; None = all.

    Raises:
        BadInputError: no shards, a shard without its truth, or a label that the rubric does not have.
    """
    shards = sorted(folder.rglob("shard_*.npz"))
    if not shards:
        raise BadInputError(f"{folder}: no shard_*.npz here. Render held-out crops with `classroom synthesize stills`.")
    records = [_read_records(shard, labels) for shard in shards]
    wanted = _spread(sum(map(len, records)), most)
    if not wanted.size:
        raise BadInputError(f"{folder}: its {len(shards)} shards hold no pictures. Render them again.")
    pixels, rows, head, start = [], [], HeadCut(), 0
    for shard, told in zip(shards, records, strict=True):
        images = _images(shard)
        if len(images) != len(told):
            raise BadInputError(f"{shard}: {len(images)} pictures but {len(told)} lines of truth beside it")
        for place in wanted[(wanted >= start) & (wanted < start + len(told))] - start:
            pixels.append(fit_square(head.or_whole(images[place]), side_px))
            rows.append(told[place])
        start += len(told)
    return Heldout(
        pixels=np.stack(pixels),
        truth=np.array([labels.index(row["label"]) for row in rows], dtype=np.int64),
        clear=np.array([not row.get("ambiguous", False) for row in rows], dtype=np.bool_),
        people=np.array([str(row["person_id"]) for row in rows]),
        groups=tuple({key: str(value) for key, value in row.get("groups", {}).items()} for row in rows),
    )


def named_folders(told: Sequence[str]) -> dict[str, Path]:
    """NAME=FOLDER texts as a command gets them.

    Raises:
        BadInputError: another form, a name twice, or the name of the held-out set.
    """
    found: dict[str, Path] = {}
    for one in told:
        name, equals, place = one.partition("=")
        if not name or not equals or not place:
            raise BadInputError(f"--measure {one!r}: expected NAME=FOLDER, such as hard=runs/renders/hard")
        if name in found or name in _TAKEN:
            raise BadInputError(f"--measure {one!r}: the name {name!r} is taken; give another one")
        found[name] = Path(place)
    return found


def read_measured(folder: Path, labels: Sequence[str], side_px: int, most: int | None = None) -> Heldout:
    """A named set to measure on: a folder with labels.csv (columns file, person, label; others are groups), or shards.

    `labels`, `side_px` and `most` as in `read_heldout`.

    Raises:
        BadInputError: neither of both, a file that is no picture, or a label that the rubric does not have.
    """
    if not folder.is_dir():
        raise BadInputError(f"{folder}: no such folder. Give one with labels.csv or with shard_*.npz.")
    read = read_stills if (folder / TABLE).is_file() else read_heldout
    return read(folder, labels, side_px, most)


def read_stills(folder: Path, labels: Sequence[str], side_px: int, most: int | None = None) -> Heldout:
    """Pictures with a table, each of one student; cut and resized as the monitor does.

    Raises:
        BadInputError: a column is missing, no rows, a file that is no picture, or an unknown label.
    """
    with (folder / TABLE).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    absent = [column for column in ("file", "person", "label") if not rows or column not in rows[0]]
    if absent:
        raise BadInputError(f"{folder / TABLE}: needs rows with the columns file, person, label; missing: {absent}")
    for row in rows:
        if row["label"] not in labels:
            raise BadInputError(f"{folder / TABLE}: label {row['label']!r} is not one of {', '.join(labels)}")
    columns = [key for key in rows[0] if key not in _NO_GROUP and 1 < len({row[key] for row in rows}) <= _MOST_VALUES]
    rows, head = [rows[place] for place in _spread(len(rows), most)], HeadCut()
    return Heldout(
        pixels=np.stack([fit_square(head.or_whole(_picture_rgb(folder / row["file"])), side_px) for row in rows]),
        truth=np.array([labels.index(row["label"]) for row in rows], dtype=np.int64),
        clear=np.ones(len(rows), dtype=np.bool_),
        people=np.array([row["person"] for row in rows]),
        groups=tuple({key: row[key] for key in columns} for row in rows),
    )


def read_recipe(folder: Path) -> dict[str, Any]:
    """Name, first seed and pictures of each recipe under the folder: which pictures the figures are of."""
    recipes = {}
    for path in sorted(folder.rglob("manifest.json")):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        name = str(manifest.get("recipe", {}).get("name", path.parent.name))
        records = path.parent.glob("shard_*.jsonl")
        pictures = sum(len(record.read_text(encoding="utf-8").splitlines()) for record in records)
        recipes[name] = {"seed": manifest.get("seed"), "pictures": pictures}
    return recipes


def _images(shard: Path) -> NDArray[np.uint8]:
    try:
        with shard.open("rb") as file, np.load(file) as data:
            return np.asarray(data["images"], np.uint8)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise BadInputError(f"{shard}: not a shard of pictures ({error}). Delete it and render it again.") from error


def _read_records(shard: Path, labels: Sequence[str]) -> list[dict[str, Any]]:
    path = shard.with_suffix(".jsonl")
    if not path.is_file():
        raise BadInputError(f"{shard}: its truth {path.name} is missing")
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    unknown = {record["label"] for record in records} - set(labels)
    if unknown:
        raise BadInputError(f"{shard}: labels {sorted(unknown)} are not in the rubric ({', '.join(labels)})")
    return records


def _spread(count: int, most: int | None) -> NDArray[np.int64]:
    """Which of so many pictures are looked at."""
    if most is None or count <= most:
        return np.arange(count)
    return np.linspace(0, count - 1, most).round().astype(np.int64)


def _picture_rgb(path: Path) -> Image:
    picture = read_picture(path)
    if picture is None:
        found = f"{path.stat().st_size} bytes that are no picture" if path.is_file() else "no such file"
        raise BadInputError(f"{path}: expected a picture, named in {path.parent / TABLE}, found {found}")
    return np.ascontiguousarray(picture[:, :, ::-1])
