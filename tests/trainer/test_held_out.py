"""Answers and truth in, figures out."""

import numpy as np
import pytest

from trainer.evaluation.held_out import figures

LABELS = ("screen", "paper", "wander")


def test_figures_of_a_perfect_and_of_a_blind_judge() -> None:
    truth = np.array([0, 1, 2, 0, 1, 2])
    persons = ["a", "a", "a", "b", "b", "b"]
    perfect = figures(np.eye(3)[truth] * 0.97 + 0.01, truth, persons, LABELS, draws=20)
    assert perfect["macro_f1"] == 1.0 and perfect["macro_f1_interval"] == [1.0, 1.0]
    assert perfect["ece"] == pytest.approx(0.02, abs=1e-6)
    blind = figures(np.full((6, 3), 1 / 3), truth, persons, LABELS, draws=20)
    assert blind["macro_f1"] == blind["majority_macro_f1"] == pytest.approx(1 / 6, abs=1e-3)
