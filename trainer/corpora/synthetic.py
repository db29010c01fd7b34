"""Reads the shards of rendered students: shard_00000.npz with pictures, shard_00000.jsonl with their truth.

A shard is taken only when both files are there and of one length, so that a renderer may still be writing the next.
This file knows neither the renderer nor the model.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from monitor.errors import BadInputError
from trainer.corpora.record import NO_LABEL, PictureSet

_ANGLES = ("head_yaw", "head_pitch", "gaze_yaw", "gaze_pitch")


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
    try:
        with np.load(path) as data:
            images = np.asarray(data["images"], dtype=np.uint8)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BadInputError(f"{path}: not a shard of pictures ({error}). Delete it and render it again.") from error
    lines = path.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()
    truths: list[dict[str, Any]] = [json.loads(line) for line in lines if line.strip()]
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


def _label(truth: dict[str, Any], labels: Sequence[str], path: Path) -> int:
    if truth.get("ambiguous"):
        return NO_LABEL
    if truth["label"] not in labels:
        raise BadInputError(f"{path}: label {truth['label']!r} is not one of the rubric's: {', '.join(labels)}.")
    return labels.index(truth["label"])
