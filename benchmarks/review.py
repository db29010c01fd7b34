"""Measures a review session of 100 crops on the server: each answer stored, the next crops made ready.

`python -m benchmarks.review`; the last line printed is one JSON object. What a browser adds is not in it: the board
shows the next crop before it asks.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from dashboard.review_queue import Handled, board_view, handle
from monitor.rubric import load_rubric
from monitor.schema import Box, Lecture, Moment, Observation, Prediction, Presence, ReviewCrop
from monitor.store.database import Store
from monitor.store.keeping import commit_with_crops
from monitor.store.reader import StoreReader
from monitor.store.review import current_annotations
from monitor.store.wishes import Wishes
from monitor.students.thumbnails import REVIEW_SIDE_PX

CROPS = 100
UNDO_EVERY = 10
PERSON = "bench"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "class.db"
        fill(path)
        times_ms, cpu_ms, stored = label_all(path)
    found: dict[str, float | int] = {"steps": len(times_ms), "stored": stored}
    for name, values in (("", sorted(times_ms)), ("cpu_", sorted(cpu_ms))):
        found[f"{name}p50_ms"] = round(values[len(values) // 2], 1)
        found[f"{name}p95_ms"] = round(values[int(0.95 * len(values))], 1)
    print(json.dumps(found))


def fill(path: Path) -> None:
    """A lecture with one crop a second, as big as crops come."""
    rng = np.random.default_rng(0)
    noise = cv2.GaussianBlur(rng.integers(0, 255, (REVIEW_SIDE_PX, REVIEW_SIDE_PX, 3), np.uint8), (9, 9), 0)
    picture = cv2.imencode(".jpg", noise)[1].tobytes()
    said = {"screen": 0.4, "paper": 0.35, "wander": 0.25}
    with Store.open(path) as store:
        store.begin_lecture(Lecture("bench", "bench", "attention"))
        for index in range(CROPS):
            crop_id = f"bench.s01.{index:09d}"
            answer = Prediction(crop_id, "s01", float(index), "unsure", "screen", said, "bench-model", "attention")
            seen = Observation("s01", Box(0, 0, 160, 90), Presence.VISIBLE, answer, "screen")
            crop = ReviewCrop("s01", picture + index.to_bytes(2, "big"), "uncertain", 3.0)
            commit_with_crops(store, Moment("bench", index, float(index), None, (seen,), (), "{}", to_review=(crop,)))


def label_all(path: Path) -> tuple[list[float], list[float], int]:
    """Answer every crop, taking each tenth answer back once; as the page does it, opening the store for each step.

    Returns wall and processor time of each step in milliseconds, and the answers that are stored at the end.
    """
    rubric, number = load_rubric("attention"), 0
    held: list[str] = []
    times_ms: list[float] = []
    cpu_ms: list[float] = []
    with StoreReader(path) as reader:
        view = board_view(reader, rubric, PERSON, blind=True, held=(), handled=Handled())
    queue = [item["crop_id"] for item in view["items"]]
    while queue:
        crop_id = queue.pop(0)
        held.append(crop_id)
        for kind in ("label", "undo", "label") if len(held) % UNDO_EVERY == 0 else ("label",):
            number += 1
            event = {"id": f"{number:08x}", "kind": kind, "crop_id": crop_id, "annotator": PERSON, "blind": True}
            event |= {"of": f"{number - 1:08x}"} if kind == "undo" else {"label": rubric.names[number % 3]}
            began, began_cpu = time.perf_counter(), time.process_time()
            with StoreReader(path) as reader, Store.open(path) as store:
                handled = handle(store, reader, [event], rubric, Wishes())
                view = board_view(reader, rubric, PERSON, blind=True, held=[*held[-80:], *queue], handled=handled)
            times_ms.append(1000 * (time.perf_counter() - began))
            cpu_ms.append(1000 * (time.process_time() - began_cpu))
            assert handled.trouble is None, handled.trouble
        queue += [item["crop_id"] for item in view["items"] if item["crop_id"] not in queue]
    with StoreReader(path) as reader:
        return times_ms, cpu_ms, len(current_annotations(reader, "attention"))


if __name__ == "__main__":
    main()
