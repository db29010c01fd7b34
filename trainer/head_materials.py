"""What tiles with known heads are composed of: cut-out students, finished crops of them, and clutter without heads.

It composes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.errors import BadInputError
from trainer.clutter import Picture, draw_clutter
from trainer.corpora.synthetic import list_shards
from trainer.synthetic.room import draw_background


@dataclass(slots=True)
class Cutouts:
    """Students with alpha at falling sizes, and where their faces are."""

    levels: list[NDArray[np.uint8]]
    """(N, side, side, 4) blue-green-red-alpha, premultiplied; each level half the one before."""
    faces: NDArray[np.float32]
    """(N, 4) px at the first level."""
    yaw_deg: NDArray[np.float32]
    pitch_deg: NDArray[np.float32]


@dataclass(slots=True)
class Materials:
    """All that pictures are composed of."""

    cutouts: Cutouts
    crops: NDArray[np.uint8]
    """(N, side, side, 3) blue-green-red: finished pictures of one student, background and all."""
    crop_faces: NDArray[np.float32]
    clutter: list[Picture] = field(default_factory=list)


def read_cutouts(folders: Sequence[Path]) -> Cutouts:
    """All cut-outs in these folders of shards.

    Raises:
        BadInputError: no folder, or no shard in them.
    """
    images, truths = _read(folders)
    bgra = np.ascontiguousarray(images[..., [2, 1, 0, 3]])
    levels = [bgra]
    while levels[-1].shape[1] > 48:
        above = levels[-1].astype(np.uint16)
        mean = (above[:, ::2, ::2] + above[:, 1::2, ::2] + above[:, ::2, 1::2] + above[:, 1::2, 1::2] + 2) // 4
        levels.append(mean.astype(np.uint8))
    faces = np.array([truth["face_box"] for truth in truths], np.float32)
    yaw = np.array([truth["head_yaw"] for truth in truths], np.float32)
    pitch = np.array([truth["head_pitch"] for truth in truths], np.float32)
    return Cutouts(levels, faces, yaw, pitch)


def read_crops(folders: Sequence[Path], limit: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """At most `limit` finished pictures, blue-green-red, and their face boxes."""
    if not folders or not limit:
        return np.zeros((0, 128, 128, 3), np.uint8), np.zeros((0, 4), np.float32)
    images, truths = _read(folders, limit)
    faces = np.array([truth["face_box"] for truth in truths[:limit]], np.float32)
    return np.ascontiguousarray(images[:limit, ..., ::-1]), faces


def draw_bank(seed: int, count: int) -> list[Picture]:
    """Clutter to cut backgrounds from, larger than a picture: drawing it each time would cost more than training."""
    rng = np.random.default_rng(seed)
    return [draw_clutter(rng, (240, 160)) for _ in range(count)]


def draw_rooms(seed: int, count: int) -> list[Picture]:
    """The renderer's own rooms, as large as clutter: what stands behind students whom nobody placed among traps."""
    rng = np.random.default_rng(seed)
    rooms = [draw_background(rng, (240, 160)) * np.float32(rng.uniform(0.4, 1.1)) for _ in range(count)]
    return [np.rint(np.clip(room[..., ::-1], 0, 1) * 255).astype(np.uint8) for room in rooms]


def _read(folders: Sequence[Path], limit: int | None = None) -> tuple[NDArray[np.uint8], list[dict[str, object]]]:
    images, truths = [], []
    for folder in folders:
        for path in list_shards(folder):
            with np.load(path) as data:
                images.append(np.asarray(data["images"], np.uint8))
            lines = path.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()
            truths += [json.loads(line) for line in lines]
            if limit and len(truths) >= limit:
                break
    if not images:
        raise BadInputError(f"no shard of pictures in {', '.join(map(str, folders))}: render cut-outs first")
    return np.concatenate(images), truths
