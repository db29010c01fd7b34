"""Reads the shards of rendered students: shard_00000.npz with pictures, shard_00000.jsonl with their truth.

A shard is taken only when both files are there and of one length, so that a renderer may still be writing the next.
This file knows neither the renderer nor the model.
"""

from __future__ import annotations

import json
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.errors import BadInputError
from monitor.rubric import Rubric
from trainer.corpora.record import NO_LABEL, Corpus, Item, PictureSet, Reading, Refusal

NAME = "synthetic"
_ANGLES = ("head_yaw", "head_pitch", "gaze_yaw", "gaze_pitch")
_SETTINGS = ("backlit", "eyes_closed", "key", "ambient")
"""What of a render's setting joins its groups, where it is written."""


def is_synthetic(folder: Path) -> bool:
    """Whether a folder holds shards, itself or one level down."""
    return any(True for _ in _shards(folder))


def open_synthetic(folder: Path, rubric: Rubric) -> Corpus:
    """List the pictures of all shards in a folder, or in its folders: their names are then the split.

    Raises:
        BadInputError: a damaged file of truth, or a label that the rubric lacks.
    """
    items: dict[str, Item] = {}
    refused: list[Refusal] = []
    for path, part in _shards(folder):
        if not path.with_suffix(".jsonl").is_file():
            refused.append(Refusal(str(path), "a shard without its truth"))
            continue
        for row, truth in enumerate(_truths(path)):
            item = _item(path, part, row, truth, rubric.names)
            items[item.item_id] = item
    return Corpus(NAME, rubric.names, tuple(items.values()), tuple(refused), _read)


def _shards(folder: Path) -> Iterator[tuple[Path, str]]:
    if folder.is_dir():
        yield from ((path, "") for path in sorted(folder.glob("shard_*.npz")))
        yield from ((path, path.parent.name) for path in sorted(folder.glob("*/shard_*.npz")))


def _item(path: Path, part: str, row: int, truth: dict[str, Any], names: Sequence[str]) -> Item:
    setting = truth.get("setting", {})
    person = str(truth["person_id"])
    return Item(
        item_id=f"{part}/{path.stem}_{row}" if part else f"{path.stem}_{row}",
        source=str(path),
        frame=row,
        label=_label(truth, names, path),
        person=person,
        video=person,
        groups={**truth.get("groups", {}), **{key: setting[key] for key in _SETTINGS if key in setting}},
        part=part,
        angles_deg=tuple(float(truth[name]) for name in _ANGLES),  # type: ignore[arg-type]  # four of them
        face_box_px=tuple(map(float, truth["face_box"])),  # type: ignore[arg-type]  # four of them
    )


def _read(items: Sequence[Item]) -> Iterator[Reading]:
    """Pictures shard by shard, each read once."""
    by_shard: dict[str, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        by_shard[item.source].append(place)
    for source, places in by_shard.items():
        images = _images(Path(source))
        if len(images) != len(_lines(Path(source))):
            raise BadInputError(
                f"{source}: {len(images)} pictures and another count of truths. Delete both and render them again."
            )
        for place in places:
            yield place, images[items[place].frame or 0]


def list_shards(folder: Path) -> list[Path]:
    """The shards in a folder, by name; without those whose truth is not written yet.

    Raises:
        BadInputError: no such folder.
    """
    if not folder.is_dir():
        raise BadInputError(
            f"{folder}: no such folder of shards. Render one: `classroom synthesize stills --out {folder}`."
        )
    return [path for path in sorted(folder.glob("shard_*.npz")) if path.with_suffix(".jsonl").is_file()]


def read_shard(path: Path, labels: Sequence[str]) -> PictureSet:
    """Read one shard.

    Args:
        path: the .npz; its .jsonl lies beside it.
        labels: names of the rubric's labels, in order.

    Raises:
        BadInputError: the shard is damaged, names a label that the rubric lacks, or its two files disagree.
    """
    images, truths = _images(path), _truths(path)
    if len(truths) != len(images):
        raise BadInputError(
            f"{path}: {len(images)} pictures but {len(truths)} lines of truth. Delete both files and render them again."
        )
    return PictureSet(
        images_rgb=images,
        labels=np.array([_label(truth, labels, path) for truth in truths], dtype=np.int64),
        persons=tuple(str(truth["person_id"]) for truth in truths),
        angles_deg=np.array([[truth[name] for name in _ANGLES] for truth in truths], dtype=np.float32),
        face_boxes_px=np.array([truth["face_box"] for truth in truths], dtype=np.float32),
        groups=tuple(truth.get("groups", {}) for truth in truths),
    )


def _images(path: Path) -> NDArray[np.uint8]:
    try:
        # Opened here: numpy leaves the file open when it is not a whole archive.
        with path.open("rb") as file, np.load(file) as data:
            return np.asarray(data["images"], dtype=np.uint8)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BadInputError(f"{path}: not a shard of pictures ({error}). Delete it and render it again.") from error


def _truths(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in _lines(path)]
    except json.JSONDecodeError as error:
        raise BadInputError(
            f"{path.with_suffix('.jsonl')}: not a line of JSON each ({error}). Delete both files and render them again."
        ) from error


def _lines(path: Path) -> list[str]:
    return [line for line in path.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines() if line.strip()]


def _label(truth: dict[str, Any], labels: Sequence[str], path: Path) -> int:
    if truth.get("ambiguous"):
        return NO_LABEL
    if truth["label"] not in labels:
        raise BadInputError(f"{path}: label {truth['label']!r} is not one of the rubric's: {', '.join(labels)}.")
    return labels.index(truth["label"])
