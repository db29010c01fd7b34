"""WAIT loses nothing, NEWEST keeps one and counts the rest; closing wakes everybody."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from monitor.schema import Frame
from monitor.sources.buffer import FrameBuffer, Policy
from monitor.sources.source import SourceCounts

PICTURE = np.zeros((2, 2, 3), np.uint8)


def frame(index: int, pts_s: float | None = None) -> Frame:
    return Frame(index, float(index) if pts_s is None else pts_s, PICTURE, None, 0)


def test_newest_takes_the_place_of_the_waiting_and_counts_it() -> None:
    counts = SourceCounts()
    buffer = FrameBuffer(Policy.NEWEST, counts)
    assert [buffer.put(frame(index)) for index in range(5)] == [True] * 5
    taken = buffer.take()
    assert taken is not None and taken.index == 4
    assert buffer.take(timeout_s=0.01) is None
    assert counts == SourceCounts(captured=5, dropped=4, delivered=1)


def test_a_fresher_picture_of_the_same_sample_is_no_drop_and_a_late_one_is_not_wanted() -> None:
    counts = SourceCounts()
    buffer = FrameBuffer(Policy.NEWEST, counts)
    buffer.put(frame(3, 3.0))
    buffer.put(frame(3, 3.4))
    taken = buffer.take()
    assert taken is not None and taken.pts_s == 3.4
    assert not buffer.wants(3)
    assert not buffer.put(frame(3, 3.8))
    assert buffer.wants(4)
    assert counts == SourceCounts(captured=1, dropped=0, delivered=1)


def test_wait_hands_every_frame_over_in_order_to_a_slow_taker() -> None:
    counts = SourceCounts()
    buffer = FrameBuffer(Policy.WAIT, counts)

    def give() -> None:
        for index in range(30):
            buffer.put(frame(index))
        buffer.close()

    giver = threading.Thread(target=give)
    giver.start()
    taken = []
    while (one := buffer.take()) is not None:
        time.sleep(0.001)
        taken.append(one.index)
        assert counts.captured - counts.delivered <= 1  # never more than one waiting
    giver.join(timeout=5)
    assert taken == list(range(30))
    assert counts == SourceCounts(captured=30, dropped=0, delivered=30)


def test_closing_frees_a_giver_that_waits() -> None:
    buffer = FrameBuffer(Policy.WAIT, SourceCounts())
    buffer.put(frame(0))
    given: list[bool] = []
    giver = threading.Thread(target=lambda: given.append(buffer.put(frame(1))))
    giver.start()
    time.sleep(0.05)
    assert giver.is_alive()
    buffer.close()
    giver.join(timeout=5)
    assert given == [False]


def test_closing_frees_a_taker_and_wakes_a_sleeper() -> None:
    buffer = FrameBuffer(Policy.NEWEST, SourceCounts())
    threading.Timer(0.05, buffer.close).start()
    begun = time.monotonic()
    assert buffer.take() is None
    assert buffer.wait_closed(30.0)
    assert time.monotonic() - begun < 5
    assert not buffer.wants(0) and not buffer.put(frame(0))


def test_an_error_reaches_the_taker_after_the_frames_before_it() -> None:
    buffer = FrameBuffer(Policy.NEWEST, SourceCounts())
    buffer.put(frame(0))
    buffer.close(OSError("the disk is gone"))
    assert buffer.take() is not None
    assert not buffer.ended
    with pytest.raises(OSError, match="the disk is gone"):
        buffer.take()
    assert buffer.take() is None
    assert buffer.ended


def test_newest_between_two_threads_loses_no_count() -> None:
    counts = SourceCounts()
    buffer = FrameBuffer(Policy.NEWEST, counts)

    def give() -> None:
        for index in range(2000):
            buffer.put(frame(index))
        buffer.close()

    giver = threading.Thread(target=give)
    giver.start()
    taken = []
    while (one := buffer.take()) is not None:
        taken.append(one.index)
    giver.join(timeout=5)
    assert taken == sorted(set(taken)) and taken[-1] == 1999
    assert counts.captured == 2000 == counts.delivered + counts.dropped
    assert counts.delivered == len(taken)
