"""Calibration, abstention, collapse: by hand, and what must hold for any."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.evaluation.abstention import abstain, at_threshold, curve, threshold_for
from trainer.evaluation.calibration import brier, calibrate, cross_fit, fit_temperature, reliability, scale, surprise
from trainer.evaluation.collapse import find_collapse
from trainer.evaluation.metrics import expected_calibration_error

seeds = st.integers(0, 2**32 - 1)


def answers(seed: int, rows: int = 300, heat: float = 1.0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Log-probabilities, a truth drawn from them (so they are calibrated), people; `heat` makes them too sure."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 2, (rows, 3))
    logp = odds - np.log(np.exp(odds).sum(axis=1, keepdims=True))
    truth = np.array([rng.choice(3, p=np.exp(row)) for row in logp])
    return scale(logp, 1 / heat), truth, [f"p{index // 10}" for index in range(rows)]


def test_bins_by_hand() -> None:
    shares = np.array([[0.95, 0.05], [0.95, 0.05], [0.35, 0.65], [0.4, 0.6]])
    found = reliability(shares, np.array([0, 1, 1, 1]))
    assert [one.answers for one in found] == [0, 0, 0, 0, 0, 0, 2, 0, 0, 2]
    assert found[6].confidence == pytest.approx(0.625) and found[6].accuracy == 1.0
    assert found[9].accuracy == 0.5 and np.isnan(found[0].accuracy)
    assert expected_calibration_error(shares, np.array([0, 1, 1, 1]), 10) == pytest.approx(0.5 * 0.375 + 0.5 * 0.45)
    assert brier(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([1, 0])) == pytest.approx((2 + 0.5) / 2)
    assert surprise(np.log(np.array([[0.5, 0.5]])), np.array([0])) == pytest.approx(np.log(2))


@pytest.mark.parametrize("heat", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_put_in_is_found(heat: float) -> None:
    logp, truth, _ = answers(1, rows=4000, heat=heat)
    assert fit_temperature(logp, truth) == pytest.approx(heat, rel=0.08)


@settings(max_examples=15)
@given(seeds)
def test_scaling_keeps_the_answer_and_the_best_temperature_is_best(seed: int) -> None:
    logp, truth, _ = answers(seed, rows=60)
    best = fit_temperature(logp, truth)
    assert (scale(logp, 3.0).argmax(axis=1) == logp.argmax(axis=1)).all()
    assert np.exp(scale(logp, best)).sum(axis=1) == pytest.approx(1.0)
    assert all(
        surprise(scale(logp, best), truth) <= surprise(scale(logp, t), truth) + 1e-6 for t in (0.1, 0.8, 1.3, 9.0)
    )


def test_a_sure_model_is_calmed_on_people_it_was_not_fitted_on() -> None:
    logp, truth, persons = answers(2, rows=1500, heat=4.0)
    found = calibrate(logp, truth, persons)
    assert found.scaled_ece is not None and found.scaled_surprise is not None
    assert found.scaled_ece.value < found.ece.low and found.scaled_surprise < found.surprise
    assert len(found.temperatures) == 5 and all(t == pytest.approx(4.0, rel=0.2) for t in found.temperatures)
    alone = calibrate(logp[:10], truth[:10], ["one"] * 10)
    assert alone.temperatures == () and alone.scaled_ece is None


def test_a_persons_temperature_comes_from_others() -> None:
    """Two people, one always wrong and one always right: each gets the other's temperature, and it shows."""
    logp = np.log(np.tile([[0.9, 0.1]], (20, 1)))
    truth = np.array([0] * 10 + [1] * 10)
    scaled, _ = cross_fit(logp, truth, ["right"] * 10 + ["wrong"] * 10)
    assert np.exp(scaled[0, 0]) == pytest.approx(0.528, abs=0.01)  # the wrong one's: as hot as it gets
    assert np.exp(scaled[-1, 0]) > 0.999  # the right one's: as cold as it gets


def test_the_curve_by_hand_with_ties() -> None:
    coverage, accuracy = curve(np.array([0.9, 0.5, 0.9, 0.7]), np.array([True, False, False, True]))
    assert coverage.tolist() == [0.5, 0.75, 1.0]
    assert accuracy.tolist() == pytest.approx([0.5, 2 / 3, 0.5])
    assert threshold_for(np.array([0.9, 0.5, 0.9, 0.7]), 0.75) == 0.7
    assert threshold_for(np.array([0.9, 0.5, 0.9, 0.7]), 0.25) == 0.9


@settings(max_examples=15)
@given(seeds)
def test_abstention_ends_where_nothing_is_withheld(seed: int) -> None:
    logp, truth, persons = answers(seed, rows=90)
    shares = np.exp(logp)
    found = abstain(shares, truth, persons)
    assert found.coverage[-1] == 1.0 and (np.diff(found.coverage) > 0).all()
    assert found.accuracy[-1] == found.points[0].accuracy == (shares.argmax(axis=1) == truth).mean()
    for wanted, point in zip((1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5), found.points, strict=True):
        assert point.coverage >= wanted - 1e-9
    assert 0 <= found.area <= 1


def test_silence_that_falls_on_one_label_is_seen() -> None:
    shares = np.array([[0.9, 0.1]] * 6 + [[0.45, 0.55]] * 4)
    point = at_threshold(shares, np.array([0] * 6 + [1] * 4), 0.8)
    assert point.coverage == 0.6 and point.accuracy == 1.0 and point.by_label == (1.0, 0.0)
    chosen = abstain(shares, np.array([0] * 6 + [1] * 4), list("aabbccddee"), folds=2).chosen
    assert chosen is not None and 0 < chosen.coverage <= 1


def test_collapse_is_called_by_its_name() -> None:
    truth = np.array([0] * 40 + [1] * 30 + [2] * 30)
    one_label = np.tile([[0.6, 0.3, 0.1]], (100, 1))
    found = find_collapse(one_label, truth)
    assert found.collapsed and found.top == 0 and found.effective_labels == 1.0 and found.never == (1, 2)
    assert found.spread == pytest.approx((0, 0, 0)) and found.distance == pytest.approx(0.6)
    right = find_collapse(np.eye(3)[truth], truth)
    assert not right.collapsed and right.distance == 0 and right.effective_labels > 2.9 and right.never == ()
    mostly = np.array([0] * 90 + [1] * 10)  # a true majority is no collapse
    assert not find_collapse(np.eye(3)[mostly], mostly).collapsed
