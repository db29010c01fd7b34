"""Many galleries, one reader: all are answered, none waits for another to end, and memory does not grow with them."""

from __future__ import annotations

import time

import cv2
import numpy as np
import psutil

from monitor.schema import Image
from monitor.students.nameworker import NameWorker, Request

GALLERIES = 6
A_READER_MB = 65
WITHIN_S = 60.0


def tile(name: str) -> Image:
    picture = np.full((180, 320, 3), 40, np.uint8)
    cv2.putText(picture, name, (10, 170), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 1, cv2.LINE_AA)
    return picture


def answer_of(worker: NameWorker) -> list[str | None]:
    until_s = time.monotonic() + WITHIN_S
    while time.monotonic() < until_s:
        for _, readings in worker.collect():
            return [reading.text if reading else None for reading in readings]
        time.sleep(0.01)
    raise AssertionError("no answer")


def ask(worker: NameWorker, name: str) -> bool:
    return worker.ask(Request(0.0, ["s01"], [tile(name)], [False]))


def test_galleries_share_one_reader() -> None:
    workers = [NameWorker() for _ in range(GALLERIES)]
    try:
        assert ask(workers[0], "Ana Lopes")
        assert answer_of(workers[0]) == ["Ana Lopes"]
        before_mb = psutil.Process().memory_info().rss / 2**20
        for worker in workers:
            assert ask(worker, "Ben Carter")
        assert [answer_of(worker) for worker in workers] == [["Ben Carter"]] * GALLERIES
        assert psutil.Process().memory_info().rss / 2**20 - before_mb < A_READER_MB
    finally:
        for worker in workers:
            worker.close()


def test_a_closed_gallery_holds_up_no_other() -> None:
    first, second = NameWorker(), NameWorker()
    ask(first, "Ana Lopes")
    ask(first, "Ana Lopes")
    first.close()
    assert ask(second, "Ben Carter")
    assert answer_of(second) == ["Ben Carter"]
    second.close()
