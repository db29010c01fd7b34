"""Intervals, folds, the null and comparisons: all by whole people."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.evaluation import counts
from trainer.evaluation.compare import compare, mcnemar
from trainer.evaluation.folds import folds_by_person
from trainer.evaluation.groups import by_group
from trainer.evaluation.intervals import bootstrap_by_person, bootstrap_counts, counts_by_person, interval
from trainer.evaluation.metrics import score
from trainer.evaluation.permutation import permute_within

several = st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=60).filter(lambda one: len(set(one)) > 1)

RNG = np.random.default_rng(0)
TRUTH = RNG.integers(0, 3, 240)
ANSWERS = np.where(RNG.random(240) < 0.7, TRUTH, RNG.integers(0, 3, 240))
PERSONS = [f"p{index // 8}" for index in range(240)]


def test_counts_of_people_add_up() -> None:
    by_person = counts_by_person(PERSONS, TRUTH, ANSWERS, 3)
    assert by_person.shape == (30, 3, 3)
    assert np.array_equal(by_person.sum(axis=0), score(TRUTH, ANSWERS, 3).confusion)
    drawn = bootstrap_counts(by_person, draws=50, seed=0)
    assert (drawn.sum(axis=(1, 2)) == 240).all()  # every person has eight pictures, and thirty are drawn


def test_both_bootstraps_agree() -> None:
    quick = interval(
        0.0, counts.macro_f1(bootstrap_counts(counts_by_person(PERSONS, TRUTH, ANSWERS, 3), draws=2000, seed=1))
    )
    slow = bootstrap_by_person(PERSONS, lambda rows: score(TRUTH[rows], ANSWERS[rows], 3).macro_f1, draws=500)
    assert (quick.low, quick.high) == pytest.approx(slow, abs=0.02)


def test_nothing_known_gives_no_interval() -> None:
    empty = interval(float("nan"), np.array([np.nan, np.nan]))
    assert not empty.known and np.isnan(empty.low)


@given(several, st.integers(2, 6))
def test_folds_never_split_a_person_and_are_even(persons: list[str], folds: int) -> None:
    fold = folds_by_person(persons, folds)
    assert all(len({int(f) for f, p in zip(fold, persons, strict=True) if p == who}) == 1 for who in set(persons))
    people = [len({p for p, f in zip(persons, fold, strict=True) if f == k}) for k in range(fold.max() + 1)]
    assert len(people) == min(folds, len(set(persons))) and max(people) - min(people) <= 1
    with pytest.raises(ValueError, match="two people"):
        folds_by_person(["a", "a"])


def test_the_null_sees_through_a_model_that_only_knows_who_it_is() -> None:
    """Everyone mostly looks at one thing; the model says that thing, whatever the picture."""
    habit = np.repeat(RNG.integers(0, 3, 30), 8)
    truth = np.where(RNG.random(240) < 0.7, habit, RNG.integers(0, 3, 240))
    identity = permute_within(PERSONS, truth, habit, 3, draws=200)
    assert identity.observed > 0.7
    assert identity.p_value == 1.0 and identity.beyond_identity == pytest.approx(0.0, abs=1e-9)
    looking = permute_within(PERSONS, truth, np.where(RNG.random(240) < 0.9, truth, habit), 3, draws=200)
    assert looking.p_value == pytest.approx(1 / 201)
    assert looking.beyond_identity > 0.2


def test_the_null_says_when_it_cannot_tell() -> None:
    once = permute_within([str(i) for i in range(240)], TRUTH, ANSWERS, 3, draws=20)
    assert not once.testable and np.isnan(once.p_value) and once.people == 240
    assert (once.draws == once.observed).all()


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_exact_binomial(only_this: int, only_other: int) -> None:
    n = only_this + only_other
    tail = sum(Fraction(comb(n, k), 2**n) for k in range(min(only_this, only_other) + 1))
    assert mcnemar(only_this, only_other) == pytest.approx(min(1.0, float(2 * tail)), rel=1e-9)
    assert mcnemar(only_this, only_other) == mcnemar(only_other, only_this)


def test_mcnemar_by_hand() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 0) == pytest.approx(2 / 32)
    assert mcnemar(8, 2) == pytest.approx(2 * (1 + 10 + 45) / 1024)


def test_a_better_model_is_found_better_and_itself_equal() -> None:
    worse = np.where(np.random.default_rng(5).random(240) < 0.3, (ANSWERS + 1) % 3, ANSWERS)
    found = compare(TRUTH, ANSWERS, worse, PERSONS, 3, draws=400)
    assert found.differences["macro_f1"].low > 0 and found.better_share == 1.0 and found.mcnemar_p < 0.001
    assert found.only_this_right - found.only_other_right == int((ANSWERS == TRUTH).sum() - (worse == TRUTH).sum())
    same = compare(TRUTH, ANSWERS, ANSWERS, PERSONS, 3, draws=50)
    assert same.mcnemar_p == 1.0
    assert all((one.low, one.value, one.high) == (0, 0, 0) for one in same.differences.values())
    with pytest.raises(ValueError, match="an answer a row"):
        compare(TRUTH, ANSWERS, worse[:-1], PERSONS, 3)


def test_the_paired_interval_is_narrower_than_two_apart() -> None:
    nearly = ANSWERS.copy()
    nearly[::20] = (nearly[::20] + 1) % 3
    paired = compare(TRUTH, ANSWERS, nearly, PERSONS, 3, draws=500).differences["macro_f1"]
    alone = bootstrap_by_person(PERSONS, lambda rows: score(TRUTH[rows], ANSWERS[rows], 3).macro_f1, draws=300)
    assert paired.high - paired.low < (alone[1] - alone[0]) / 2


def test_groups_that_are_served_worse_show() -> None:
    glasses = np.arange(240) % 2 == 0
    answers = np.where(glasses & (RNG.random(240) < 0.6), (TRUTH + 1) % 3, TRUTH)
    rows = [{"glasses": bool(worn), "person": who, "rare": "x"} for worn, who in zip(glasses, PERSONS, strict=True)]
    rows[0]["rare"] = rows[1]["rare"] = "y"
    (found,) = by_group(TRUTH, answers, PERSONS, rows, 3, draws=200)
    assert found.name == "glasses" and [group.value for group in found.groups] == ["False", "True"]
    without, worn = found.groups
    assert without.accuracy.value == 1.0 and worn.accuracy.value == float((answers == TRUTH)[glasses].mean())
    assert worn.gap.high < 0 < without.gap.low and worn.pictures == 120 and worn.people == 30
    assert worn.macro_f1.value == pytest.approx(score(TRUTH[glasses], answers[glasses], 3).macro_f1)
    assert by_group(TRUTH, answers, PERSONS, (), 3) == ()
