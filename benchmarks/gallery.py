"""How right the labels are on the real gallery recording, from `classroom score` to labels.parquet.

    python -m benchmarks.gallery [--recording PATH] [--bundle FOLDER]

Where the truth is known (screen and wander; the recording has no paper): `label_f1` and `label_macro_f1` of the raw
answers (an unsure answer counts as wrong), `unsure_share`, `best_macro_f1` of the likeliest label, `state_accuracy` of
the smoothed state from three seconds after a change, `majority_accuracy` of always saying the commonest. The last line
is one JSON object. The recording chooses nothing: it is for testing only.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet

from monitor.config import MonitorSettings
from monitor.schema import Box
from monitor.score import score_recordings

ROOT = Path(os.environ.get("CLASSROOM_REAL_DATA", Path(__file__).parents[2] / "shared" / "real"))
RECORDING = ROOT / "gallery" / "gallery_720p_24.mp4"
SAME_TILE_IOU = 0.8
SETTLED_S = 3
"""A smoothed state may lag behind a change by so much."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One student in one second: the truth and what was said."""

    truth: str
    label: str
    best: str
    state: str
    since_change_s: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recording", type=Path, default=RECORDING)
    parser.add_argument("--bundle", type=Path, help="another model than the one in the package")
    arguments = parser.parse_args()
    recording = arguments.recording
    truth = json.loads(recording.with_suffix(".truth.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        score_recordings([recording], Path(folder), MonitorSettings(bundle=arguments.bundle))
        rows = pyarrow.parquet.read_table(Path(folder) / "labels.parquet").to_pylist()
    print(json.dumps(figures(list(answers(truth, rows)))))


def answers(truth: dict[str, Any], rows: Sequence[dict[str, Any]]) -> Iterator[Answer]:
    """Pair each tile whose attention is known with the row that has its place in that second."""
    by_second: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        by_second.setdefault(int(row["time_s"] + 1e-6), []).append(row)
    last: dict[str, tuple[str | None, int]] = {}
    for second in truth["seconds"]:
        for tile in second["tiles"]:
            attention, now = tile.get("attention"), second["t"]
            if tile["id"] not in last or last[tile["id"]][0] != attention:
                last[tile["id"]] = (attention, now)
            if attention is None or tile["camera"] != "on" or not tile.get("present", True):
                continue
            found = _row_at(tile["bbox"], by_second.get(now, []))
            if found is None or found["label"] is None:
                yield Answer(attention, "missed", "missed", "missed", now - last[tile["id"]][1])
                continue
            chances = {name: found[f"p_{name}"] for name in ("screen", "paper", "wander")}
            best = max(chances, key=lambda name: chances[name])
            yield Answer(attention, found["label"], best, found["state"], now - last[tile["id"]][1])


def figures(said: Sequence[Answer]) -> dict[str, Any]:
    """The benchmark's figures; a tile that was not found or not judged counts as wrong."""
    truth = [answer.truth for answer in said]
    labels, best = [answer.label for answer in said], [answer.best for answer in said]
    settled = [answer for answer in said if answer.since_change_s >= SETTLED_S]
    classes = sorted(set(truth))
    label_f1 = {name: round(_f1(truth, labels, name), 3) for name in classes}
    return {
        "seconds_of_students": len(said),
        "label_f1": label_f1,
        "label_macro_f1": round(sum(_f1(truth, labels, name) for name in classes) / len(classes), 3),
        "best_macro_f1": round(sum(_f1(truth, best, name) for name in classes) / len(classes), 3),
        "unsure_share": round(labels.count("unsure") / len(said), 3),
        "state_accuracy": round(sum(answer.state == answer.truth for answer in settled) / len(settled), 3),
        "majority_accuracy": round(Counter(truth).most_common(1)[0][1] / len(truth), 3),
    }


def _row_at(bbox: Sequence[int], rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    x, y, width, height = bbox
    tile = Box(x, y, x + width, y + height)
    for row in rows:
        if tile.iou(Box(row["x1"], row["y1"], row["x2"], row["y2"])) >= SAME_TILE_IOU:
            return row
    return None


def _f1(truth: Sequence[str], said: Sequence[str], name: str) -> float:
    right = sum(a == name == b for a, b in zip(truth, said, strict=True))
    return 2 * right / max(1, truth.count(name) + said.count(name))


if __name__ == "__main__":
    main()
