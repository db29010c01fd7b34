"""Figures checked by hand, and the bootstrap against what it must do."""

import numpy as np
import pytest

from trainer.evaluation.intervals import bootstrap_by_person
from trainer.evaluation.metrics import expected_calibration_error, majority_baseline, score

TRUTH = np.array([0, 0, 0, 0, 1, 1, 2, 2])
GUESS = np.array([0, 0, 0, 1, 1, 0, 2, 2])


def test_counts_and_f1_by_hand() -> None:
    scores = score(TRUTH, GUESS, 3)
    assert scores.confusion.tolist() == [[3, 1, 0], [1, 1, 0], [0, 0, 2]]
    assert scores.accuracy == 6 / 8
    assert scores.f1.tolist() == pytest.approx([6 / 8, 2 / 4, 1.0])
    assert scores.macro_f1 == pytest.approx((0.75 + 0.5 + 1) / 3)


def test_a_label_that_never_occurs_does_not_count() -> None:
    scores = score(np.array([0, 0, 2]), np.array([0, 0, 2]), 3)
    assert scores.macro_f1 == 1.0
    assert np.isnan(scores.f1[1])
    assert score(np.array([0, 2]), np.array([1, 2]), 3).macro_f1 == pytest.approx(0.5)


def test_the_majority_baseline() -> None:
    assert majority_baseline(TRUTH, 3).accuracy == 0.5
    assert majority_baseline(TRUTH, 3).macro_f1 == pytest.approx((2 * 4 / 12) / 3)


def test_wrong_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match="entries"):
        score(TRUTH, GUESS[:3], 3)
    with pytest.raises(ValueError, match=r"0\.\.1"):
        score(TRUTH, GUESS, 2)


def test_calibration_error() -> None:
    sure = np.array([[0.9, 0.1]] * 10)
    assert expected_calibration_error(sure, np.array([0] * 9 + [1])) == pytest.approx(0.0, abs=1e-9)
    assert expected_calibration_error(sure, np.array([1] * 10)) == pytest.approx(0.9)


def test_people_widen_the_interval() -> None:
    right = np.repeat([1.0, 0.0, 1.0, 1.0, 0.0, 1.0], 50)
    alone = [str(index) for index in range(300)]
    together = [str(index // 50) for index in range(300)]
    narrow = bootstrap_by_person(alone, lambda rows: float(right[rows].mean()), draws=300)
    wide = bootstrap_by_person(together, lambda rows: float(right[rows].mean()), draws=300)
    assert wide[1] - wide[0] > 3 * (narrow[1] - narrow[0])
    assert narrow[0] < right.mean() < narrow[1]
    assert narrow == bootstrap_by_person(alone, lambda rows: float(right[rows].mean()), draws=300)
    with pytest.raises(ValueError, match="no rows"):
        bootstrap_by_person([], lambda rows: 0.0)
