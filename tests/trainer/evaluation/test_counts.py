"""Figures of confusion matrices: by hand, and what must hold for any."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trainer.evaluation import counts
from trainer.evaluation.metrics import majority_baseline, score

MATRIX = np.array([[4, 1, 0], [2, 2, 1], [0, 1, 9]])
"""Rows are the truth: 5, 5 and 10 pictures; answered 6, 4 and 10 times; 15 of 20 right."""

anything = arrays(np.int64, (3, 3), elements=st.integers(0, 40)).filter(lambda one: one.sum() > 0)
labels = st.lists(st.integers(0, 2), min_size=1, max_size=60)


def test_by_hand() -> None:
    assert counts.accuracy(MATRIX) == 15 / 20
    assert counts.precision(MATRIX).tolist() == pytest.approx([4 / 6, 2 / 4, 9 / 10])
    assert counts.recall(MATRIX).tolist() == pytest.approx([4 / 5, 2 / 5, 9 / 10])
    assert counts.f1(MATRIX).tolist() == pytest.approx([8 / 11, 4 / 9, 18 / 20])
    assert counts.macro_f1(MATRIX) == pytest.approx((8 / 11 + 4 / 9 + 18 / 20) / 3)
    assert counts.macro_precision(MATRIX) == pytest.approx((4 / 6 + 2 / 4 + 9 / 10) / 3)
    assert counts.balanced_accuracy(MATRIX) == counts.macro_recall(MATRIX) == pytest.approx((0.8 + 0.4 + 0.9) / 3)
    # Chance: (5*6 + 5*4 + 10*10) / 20^2 = 0.375
    assert counts.kappa(MATRIX) == pytest.approx((0.75 - 0.375) / (1 - 0.375))
    # All five errors are one step off; expected steps: (5*4 + 2*5*10 + 5*6 + 5*10 + 2*10*6 + 10*4) / 20 = 18
    assert counts.linear_kappa(MATRIX) == pytest.approx(1 - 5 / 18)
    # Expected squared steps: (20 + 4*50 + 30 + 50 + 4*60 + 40) / 20 = 29
    assert counts.quadratic_kappa(MATRIX) == pytest.approx(1 - 5 / 29)


def test_a_label_never_answered_counts_as_nothing_right() -> None:
    constant = np.array([[6, 0], [4, 0]])
    assert np.isnan(counts.precision(constant)[1])
    assert counts.macro_precision(constant) == pytest.approx(0.6 / 2)
    assert counts.balanced_accuracy(constant) == 0.5
    assert counts.kappa(constant) == 0.0
    assert np.isnan(counts.kappa(np.array([[6, 0], [0, 0]])))


def test_the_judge_of_the_talk_would_have_been_seen_through() -> None:
    """Accuracy 0.85 and yet no better than chance: kappa says so, the majority baseline too."""
    truth = np.array([0] * 85 + [1] * 10 + [2] * 5)
    always = np.zeros_like(truth)
    assert score(truth, always, 3).accuracy == majority_baseline(truth, 3).accuracy == 0.85
    assert score(truth, always, 3).kappa == 0.0


@pytest.mark.parametrize("predicted", [0, 1, 2])
def test_a_wrong_answer_stands_in_the_column_of_what_was_said(predicted: int) -> None:
    """Not in (target - 1) % classes, as the talk's scripts have it."""
    matrix = score(np.array([1]), np.array([predicted]), 3).confusion
    assert np.argwhere(matrix).tolist() == [[1, predicted]]


@given(anything)
def test_figures_stay_in_their_range_and_a_stack_is_the_same(matrix: np.ndarray) -> None:
    stacked = np.stack([matrix, np.eye(3, dtype=np.int64)])
    for name, figure in counts.HEADLINE.items():
        alone, both = float(figure(matrix)), figure(stacked)
        assert np.isnan(alone) or (-1 if "kappa" in name else 0) - 1e-9 <= alone <= 1 + 1e-9, name
        assert both[0] == pytest.approx(alone, nan_ok=True)
        assert both[1] == pytest.approx(1.0)


@given(anything, st.permutations(range(3)))
def test_unordered_figures_do_not_depend_on_the_order_of_labels(matrix: np.ndarray, order: list[int]) -> None:
    moved = matrix[np.ix_(order, order)]
    for name in ("accuracy", "balanced_accuracy", "macro_precision", "macro_f1", "kappa"):
        figure = counts.HEADLINE[name]
        assert float(figure(moved)) == pytest.approx(float(figure(matrix)), nan_ok=True)


@given(labels, st.integers(0, 2**32 - 1))
def test_counting_equals_looking_one_by_one(truth: list[int], seed: int) -> None:
    answers = np.random.default_rng(seed).integers(0, 3, len(truth))
    scores = score(np.array(truth), answers, 3)
    for index in range(3):
        hit = sum(t == a == index for t, a in zip(truth, answers, strict=True))
        said, there = int((answers == index).sum()), truth.count(index)
        assert np.isnan(scores.precision[index]) if not said else scores.precision[index] == pytest.approx(hit / said)
        assert np.isnan(scores.recall[index]) if not there else scores.recall[index] == pytest.approx(hit / there)
