from __future__ import annotations

import threading

import numpy as np
import pytest

from monitor.vlm.pieces import Pieces, Rows, seen_at_once


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 8, 9, 25, 64])
def test_rows_come_back_in_order_from_pieces_that_are_small_and_fair(threads: int, count: int) -> None:
    sizes: list[int] = []

    def double(rows: Rows) -> Rows:
        sizes.append(len(rows))
        return rows * 2

    found = Pieces(threads).run(double, np.arange(count), at_once=9)
    np.testing.assert_array_equal(found, np.arange(count) * 2)
    assert max(sizes) <= 9 and max(sizes) - min(sizes) <= 1
    assert len(sizes) % threads == 0 or len(sizes) == count


def test_cores_work_at_the_same_time() -> None:
    together = threading.Barrier(2, timeout=20)  # broken, and an error, where one waits for the other

    def meet(rows: Rows) -> Rows:
        together.wait()
        return rows

    np.testing.assert_array_equal(Pieces(2).run(meet, np.arange(10), at_once=9), np.arange(10))


def test_an_error_in_one_piece_is_told() -> None:
    def refuse(rows: Rows) -> Rows:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Pieces(2).run(refuse, np.arange(10), at_once=3)


def test_large_crops_are_seen_one_at_a_time() -> None:
    assert (seen_at_once(128), seen_at_once(256), seen_at_once(512), seen_at_once(4096)) == (9, 2, 1, 1)
