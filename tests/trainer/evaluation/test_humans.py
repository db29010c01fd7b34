"""Two people on the same crops: their kappa is the ceiling that a report shows."""

import numpy as np
import pytest

from trainer.evaluation import counts
from trainer.evaluation.humans import human_agreement


def test_two_people_by_hand() -> None:
    first, second = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 0]
    found = human_agreement(list("aabbcc"), first, second, 3, draws=100)
    assert found is not None and (found.crops, found.people) == (6, 3)
    assert found.agreement.value == pytest.approx(4 / 6)
    # Chance: (3 * 3 + 2 * 3 + 1 * 0) / 36
    assert found.kappa.value == pytest.approx((4 / 6 - 15 / 36) / (1 - 15 / 36))
    assert found.kappa.low <= found.kappa.value <= found.kappa.high
    swapped = human_agreement(list("aabbcc"), second, first, 3, draws=100)
    assert swapped is not None and swapped.kappa == found.kappa, "nobody of the two is the truth"
    assert np.isclose(found.quadratic_kappa.value, float(counts.quadratic_kappa(_matrix(first, second))))


def test_nothing_labelled_twice_says_nothing() -> None:
    assert human_agreement([], [], [], 3) is None


def _matrix(first: list[int], second: list[int]) -> counts.Counts:
    matrix = np.zeros((3, 3), dtype=np.int64)
    np.add.at(matrix, (first, second), 1)
    return matrix
