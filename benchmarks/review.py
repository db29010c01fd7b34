"""Measures a review session of 100 crops on the server: each answer stored, the next crops made ready.

    python -m benchmarks.review [--browser]

With `--browser` a headless Chromium does it as well, by keyboard alone. The last line printed is one JSON object;
`browser_p95_ms` is from the tab's asking to the last byte of the answer. A person waits for none of it: the board shows
the next crop before it asks.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Page, sync_playwright

from benchmarks.dashboard_soak import Refreshes, open_page
from benchmarks.webrtc import _free_port, _percentile
from dashboard.process import Dashboard
from dashboard.review_queue import Handled, board_view, handle
from monitor.rubric import load_rubric
from monitor.schema import Box, Lecture, Moment, Observation, Prediction, Presence, ReviewCrop
from monitor.store.database import Store
from monitor.store.keeping import commit_with_crops
from monitor.store.reader import StoreReader
from monitor.store.review import annotation_history, current_annotations
from monitor.store.wishes import Wishes, acknowledge
from monitor.students.thumbnails import REVIEW_SIDE_PX
from tests.chromium import find_chromium

CROPS = 100
UNDO_EVERY = 10
PERSON = "bench"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--browser", action="store_true")
    arguments = parser.parse_args()
    found: dict[str, float | int | None] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "class.db"
        fill(path)
        times_ms, cpu_ms, stored = label_all(path)
        if arguments.browser:
            fill(Path(folder) / "browser.db")
            found |= by_keyboard(Path(folder) / "browser.db")
    found |= {"steps": len(times_ms), "stored": stored}
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
        acknowledge(store, PERSON)
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


def by_keyboard(path: Path) -> dict[str, float | int | None]:
    """The same in Chromium: a key a crop, each tenth answer taken back and given anew; then what the store holds.

    Raises:
        AssertionError: the store holds anything else than what was pressed.
    """
    panel = Dashboard(store=path, port=_free_port())
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=find_chromium(playwright), args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            refreshes = Refreshes(page)
            open_page(page, f"{panel.url}/review", ".review[data-mode=crop]")
            page.get_by_label("Who is labelling").fill(PERSON)
            page.keyboard.press("Enter")
            page.locator(".review[data-named=true]").wait_for()
            refreshes.found.clear()
            began_s = time.monotonic()
            pressed, answers_given = _press_all(page)
            took_s = time.monotonic() - began_s
            browser.close()
    finally:
        panel.close()
    with StoreReader(path) as reader:
        said = {row.crop_id: row.label for row in current_annotations(reader, "attention")}
        history = [row for crop_id in said for row in annotation_history(reader, crop_id)]
    assert said == pressed, "the answers that count are those that were given last"
    assert len(history) == answers_given, "one row an answer or an undo"
    times_ms = [took for took, _ in refreshes.found]
    return {
        "browser_crops": len(said),
        "browser_rows": len(history),
        "browser_p50_ms": _percentile(times_ms, 0.5),
        "browser_p95_ms": _percentile(times_ms, 0.95),
        "browser_seconds": round(took_s, 1),
    }


def _press_all(page: Page) -> tuple[dict[str, str | None], int]:
    """The answer given last to each crop, and how many keys were pressed."""
    random_ = random.Random(0)
    choices = {"1": "screen", "2": "paper", "3": "wander", "0": None}
    review = page.locator(".review")
    given: dict[str, str | None] = {}
    keys = 0
    for number in range(1, CROPS + 1):
        page.locator(".review[data-mode=crop]").wait_for()
        crop_id = review.get_attribute("data-crop") or ""
        for key in (
            (random_.choice("1230"), "u", random_.choice("1230"))
            if number % UNDO_EVERY == 0
            else random_.choice("1230")
        ):
            page.keyboard.press(key)
            keys += 1
            if key != "u":
                given[crop_id] = choices[key]
    page.locator(".review[data-pending='0'][data-mode=done]").wait_for()
    return given, keys


if __name__ == "__main__":
    main()
