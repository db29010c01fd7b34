from __future__ import annotations

import numpy as np
import pytest

from export.calibrate import choose_threshold, describe, fit_temperature
from export.figures import calibration_error, confusion, f1_per_label, softmax
from monitor.errors import BadInputError


def draw(count: int, temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose true label is drawn from softmax(scores / temperature)."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 4, (count, 3))
    odds = softmax(scores, temperature)
    truth = (rng.random((count, 1)) > odds.cumsum(1)).sum(1)
    return scores, truth.clip(0, 2)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_temperature_that_made_the_truth_is_found_again(temperature: float) -> None:
    scores, truth = draw(20_000, temperature)
    assert fit_temperature(scores, truth) == pytest.approx(temperature, rel=0.05)


def test_calibrated_probabilities_mean_what_they_say() -> None:
    scores, truth = draw(20_000, 3.0)
    assert calibration_error(truth, softmax(scores)) > 0.1
    assert calibration_error(truth, softmax(scores, fit_temperature(scores, truth))) < 0.02


@pytest.mark.parametrize("coverage", [0.9, 0.8, 1.0])
def test_threshold_keeps_the_coverage_and_is_the_highest_that_does(coverage: float) -> None:
    scores, truth = draw(2_000, 1.0)
    probabilities = softmax(scores)
    threshold = choose_threshold(probabilities, coverage)
    assert describe(probabilities, truth, threshold)["coverage"] >= coverage
    assert describe(probabilities, truth, threshold + 2e-3)["coverage"] < coverage


def test_answers_above_the_threshold_are_right_more_often() -> None:
    scores, truth = draw(5_000, 2.0)
    probabilities = softmax(scores, 2.0)
    told = describe(probabilities, truth, choose_threshold(probabilities, 0.9))
    assert told["accuracy_when_sure"] > (probabilities.argmax(1) == truth).mean()


@pytest.mark.parametrize("count", [0, 1, 5])
def test_calibration_set_that_is_empty_or_of_one_label_is_refused(count: int) -> None:
    with pytest.raises(BadInputError, match="Render more"):
        fit_temperature(np.zeros((count, 3)), np.zeros(count, dtype=np.int64))


def test_f1_counts_misses_and_false_alarms() -> None:
    truth, answers = np.array([0, 0, 0, 1, 2]), np.array([0, 0, 1, 1, 1])
    assert f1_per_label(confusion(truth, answers, 3)) == pytest.approx([0.8, 0.5, 0.0])
