"""Finished pictures on disk: a folder of shards with one manifest, each shard whole or absent.

A shard is shard_<number>.npz with the pictures and, beside it, .jsonl with a line of truth for each. This file knows
neither how a picture is drawn nor what is in it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.errors import BadInputError, ClassroomError
from trainer.synthetic.recipe import Recipe

SHARD = 500
"""Pictures in one file."""
LARGEST_SEED = 2**31
MANIFEST = "manifest.json"
"""In each folder: first seed, pictures in a shard, the whole recipe."""


@dataclass(slots=True)
class Still:
    """One finished picture and its record."""

    image_rgb: NDArray[np.uint8]
    record: dict[str, Any]


def require_seeds(count: int, seed: int) -> None:
    """Refuse a range of seeds that does not exist.

    Raises:
        BadInputError: no picture asked for, or a seed below 0 or too large.
    """
    if count < 1 or seed < 0 or seed + count > LARGEST_SEED:
        raise BadInputError(f"count must be at least 1 and seeds lie in 0 to {LARGEST_SEED}, found {count} from {seed}")


def shard_path(folder: Path, number: int) -> Path:
    """Where the pictures of a shard lie."""
    return folder / f"shard_{number:05d}.npz"


def is_finished(path: Path, count: int) -> bool:
    """Whether a shard is there with this many pictures; a last shard grows when more are asked for."""
    records = path.with_suffix(".jsonl")
    return path.is_file() and records.is_file() and len(records.read_text(encoding="utf-8").splitlines()) >= count


def count_pictures(folder: Path) -> int:
    """Pictures in the finished shards of a folder."""
    records = (path.with_suffix(".jsonl") for path in sorted(folder.glob("shard_*.npz")))
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in records if path.is_file())


def claim(folder: Path, seed: int, shard_size: int, recipe: Recipe) -> None:
    """Write the folder's manifest, or make sure that its own says the same.

    Raises:
        BadInputError: the folder holds pictures of another seed or recipe.
        ClassroomError: the manifest cannot be written.
    """
    manifest = {"seed": seed, "shard": shard_size, "recipe": recipe.as_dict()}
    text = json.dumps(manifest, indent=2) + "\n"
    path = folder / MANIFEST
    folder.mkdir(parents=True, exist_ok=True)
    if not path.is_file():
        _replace(path, text.encode())
    elif _with_later_keys(json.loads(path.read_text(encoding="utf-8"))) != json.loads(text):
        raise BadInputError(f"{path}: made with another seed or recipe; choose an empty folder for {recipe.name!r}")


def write_shard(path: Path, stills: Sequence[Still], seed: int) -> None:
    """Write a shard: records first, pictures last, so that it counts once its .npz is there.

    Args:
        path: of the .npz.
        stills: what goes in, all pictures of one shape.
        seed: the folder's first, from which pictures are counted.

    Raises:
        ClassroomError: the disk is full or cannot be written; nothing half done is left behind.
    """
    lines = [json.dumps({**still.record, "index": still.record["seed"] - seed}) for still in stills]
    _replace(path.with_suffix(".jsonl"), ("\n".join(lines) + "\n").encode())
    unfinished = path.with_suffix(f".{os.getpid()}.part")
    try:
        with unfinished.open("wb") as file:
            np.savez(file, images=np.stack([still.image_rgb for still in stills]))
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise ClassroomError(f"{path} could not be written: {error}; finished shards are kept, run again") from error


def _with_later_keys(manifest: dict[str, Any]) -> dict[str, Any]:
    """A manifest with the keys that recipes got after it was written, at values that change nothing."""
    defaults = json.loads(json.dumps(Recipe(name="").as_dict()))
    return {**manifest, "recipe": {**defaults, **manifest.get("recipe", {})}}


def _replace(path: Path, content: bytes) -> None:
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise ClassroomError(f"{path} could not be written: {error}; finished shards are kept, run again") from error
