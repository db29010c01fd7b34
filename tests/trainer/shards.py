"""Shards with a truth that a tiny net can see: where a bright square lies tells the label. No renderer needed."""

import json
from pathlib import Path

import numpy as np

LABELS = ("screen", "paper", "wander")
_PLACES = {"screen": (40, 24), "paper": (40, 80), "wander": (88, 40)}
"""Left and top of the square, in pixels; wander is mirrored for every other picture, as its angles are."""


def write_shard(folder: Path, number: int, pictures: int = 120, size: int = 128) -> Path:
    """Write shard_<number>.npz and its .jsonl; every person has four pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(number)
    images = rng.integers(0, 90, (pictures, size, size, 3), dtype=np.uint8)
    lines = []
    for index in range(pictures):
        label = LABELS[int(rng.integers(0, 3))]
        left, top = _PLACES[label]
        yaw, pitch = {"screen": (0.0, 5.0), "paper": (0.0, 45.0), "wander": (50.0, 0.0)}[label]
        if label == "wander" and index % 2:
            left, yaw = size - left - 28, -yaw
        images[index, top : top + 28, left : left + 28] = 230
        lines.append(
            {
                "index": index,
                "seed": index,
                "person_id": f"p{number}-{index // 4}",
                "label": label,
                "ambiguous": index % 20 == 19,
                "head_yaw": yaw,
                "head_pitch": pitch,
                "gaze_yaw": yaw,
                "gaze_pitch": pitch,
                "face_box": [24, 24, 104, 104],
                "groups": {"glasses": bool(index % 2)},
                "setting": {},
            }
        )
    path = folder / f"shard_{number:05d}.npz"
    np.savez(path, images=images)
    path.with_suffix(".jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path
