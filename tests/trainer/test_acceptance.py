"""Acceptance: a challenger that takes from one class to give to another does not become the champion."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitor.errors import BadInputError
from trainer.acceptance import AcceptanceSettings, decide, require_different_people

NAMES = ("screen", "paper", "wander")
PEOPLE = 60
TRUTH = np.tile(np.arange(3), PEOPLE * 4)
PERSONS = [f"p{row // 12}" for row in range(len(TRUTH))]


def answers(errors: dict[int, float], seed: int) -> NDArray[np.int64]:
    """Answers that are wrong in such a share of each class."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(TRUTH)) < np.array([errors[label] for label in TRUTH])
    return np.where(wrong, (TRUTH + 1) % 3, TRUTH)


WEAK = answers({0: 0.3, 1: 0.3, 2: 0.3}, 0)


def test_a_better_model_is_accepted() -> None:
    better = np.where(answers({0: 0.5, 1: 0.5, 2: 0.5}, 1) == TRUTH, TRUTH, WEAK)
    decision = decide(TRUTH, WEAK, better, PERSONS, NAMES, AcceptanceSettings())
    assert decision.accepted
    assert not decision.reasons
    assert all(one.low > 0 for one in decision.by_class.values())
    assert decision.macro_f1.low < decision.macro_f1.value < decision.macro_f1.high


def test_the_same_answers_are_no_loss() -> None:
    assert decide(TRUTH, WEAK, WEAK, PERSONS, NAMES, AcceptanceSettings()).accepted


def test_one_class_that_loses_is_enough_to_refuse() -> None:
    # Macro-F1 rises by far; wander pays for it.
    greedy = np.where(TRUTH == 2, answers({0: 0, 1: 0, 2: 0.5}, 2), TRUTH)
    decision = decide(TRUTH, WEAK, greedy, PERSONS, NAMES, AcceptanceSettings(least_points=-1.0))
    assert decision.macro_f1.value > 5
    collapsed = np.where(TRUTH == 2, 0, TRUTH)
    decision = decide(TRUTH, WEAK, collapsed, PERSONS, NAMES, AcceptanceSettings())
    assert not decision.accepted
    assert any(reason.startswith("wander: F1 changes by -") for reason in decision.reasons)


def test_a_gain_that_chance_explains_is_refused() -> None:
    # As many errors as before, elsewhere: the difference is about 0, its interval is not above -1 point.
    assert not decide(TRUTH, WEAK, answers({0: 0.3, 1: 0.3, 2: 0.3}, 9), PERSONS, NAMES, AcceptanceSettings()).accepted


def test_a_wider_interval_accepts_less() -> None:
    slightly = answers({0: 0.27, 1: 0.27, 2: 0.27}, 5)
    lows = [
        decide(TRUTH, WEAK, slightly, PERSONS, NAMES, AcceptanceSettings(level=level)).macro_f1.low
        for level in (0.0, 0.5, 0.9, 0.99)
    ]
    assert lows == sorted(lows, reverse=True)


def test_macro_f1_must_not_fall_where_no_class_is_held() -> None:
    lenient = AcceptanceSettings(least_points=-100.0)
    worse = decide(TRUTH, TRUTH, WEAK, PERSONS, NAMES, lenient)
    assert [reason.split(" changes")[0] for reason in worse.reasons] == ["macro-F1"]


@settings(max_examples=20)
@given(st.integers(0, 99), st.integers(0, 99))
def test_swapping_the_two_turns_the_difference(seed: int, draw_seed: int) -> None:
    other = answers({0: 0.2, 1: 0.4, 2: 0.3}, seed)
    one_way = decide(TRUTH, WEAK, other, PERSONS, NAMES, AcceptanceSettings(draws=100), draw_seed)
    back = decide(TRUTH, other, WEAK, PERSONS, NAMES, AcceptanceSettings(draws=100), draw_seed)
    for name in NAMES:
        assert one_way.by_class[name].value == pytest.approx(-back.by_class[name].value)
        assert one_way.by_class[name].low == pytest.approx(-back.by_class[name].high)


def test_a_class_that_nobody_shows_is_refused() -> None:
    rows = TRUTH != 2
    people = [person for person, kept in zip(PERSONS, rows, strict=True) if kept]
    with pytest.raises(BadInputError, match="no picture of wander"):
        decide(TRUTH[rows], WEAK[rows], WEAK[rows], people, NAMES, AcceptanceSettings())


def test_selection_and_final_students_are_different_people() -> None:
    require_different_people({"train": ["a", "b"], "selection": ["c"], "final": ["d"]})
    with pytest.raises(BadInputError, match=r"1 people are both in 'selection' and in 'final', 'c'.*leaks"):
        require_different_people({"train": ["a", "b"], "selection": ["c", "c"], "final": ["d", "c"]})
    with pytest.raises(BadInputError, match="'final' has no picture"):
        require_different_people({"train": ["a"], "final": []})


@pytest.mark.parametrize("change", [{"level": 1.0}, {"draws": 10}])
def test_bad_acceptance_settings_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadInputError, match="level lies in"):
        AcceptanceSettings(**change)
