"""Consistency, probes, free answers: by hand, and the traps of the talk's scripts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.rubric import load_rubric
from trainer.evaluation.changes import CHANGES
from trainer.evaluation.consistency import Run, fleiss_kappa, measure_consistency
from trainer.evaluation.parsing import UNREADABLE, parse_answer
from trainer.evaluation.probes import adversarial_labels, cross_adversarial, popular_labels, probe, random_labels
from trainer.evaluation.similarity import chrf, compare_texts, rouge_l

ATTENTION = load_rubric("attention")
ENGAGENET = load_rubric("engagenet", research=True)
TRUTH = np.array([0, 0, 1, 2])


def test_consistency_by_hand() -> None:
    plain = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])
    other = plain.copy()
    other[0] = [0.1, 0.8, 0.1]
    blind = np.tile([[0.1, 0.1, 0.8]], (4, 1))
    runs = {Run("question", "Where?"): other, Run("generic", "Describe."): blind, Run("answer", "x / y / z"): blind}
    found = measure_consistency(plain, runs, TRUTH, list("abcd"), draws=50)
    question, generic, _ = found.runs
    assert question.agreement.value == 0.75 and question.drift == pytest.approx(0.7 / 4) and question.accuracy == 0.5
    assert generic.agreement.value == 0.25
    assert found.unanimous == 0.75, "neither a generic question nor untaught answers are a paraphrase"
    assert found.unanimous_wrong == 0.25, "the second picture is wrong each time: consistent, not correct"
    assert found.accuracy_span == (0.5, 0.75)
    assert found.sampled_agreement == pytest.approx((3 * 0.66 + 0.44) / 4)
    assert found.sampled_unanimous == pytest.approx(float((plain**5).sum() / 4))


def test_fleiss_by_hand() -> None:
    answers = np.array([[0, 0], [0, 1], [1, 1], [1, 1]])  # agreed 3 of 4; chance (3/8)^2 + (5/8)^2
    assert fleiss_kappa(answers, 2) == pytest.approx((0.75 - 34 / 64) / (1 - 34 / 64))
    assert np.isnan(fleiss_kappa(np.zeros((4, 3), dtype=np.int64), 2))
    assert np.isnan(fleiss_kappa(answers[:, :1], 2))


@pytest.mark.parametrize("name", CHANGES)
def test_changes_are_small_repeatable_and_leave_the_original(name: str) -> None:
    y, x = np.mgrid[0:32, 0:32]
    fine = 20 * ((x + y) % 2)
    images = np.stack([np.stack([4 * y + 60 + fine, 4 * x + 40, 3 * x + 3 * y], axis=-1)] * 2).astype(np.uint8)
    before = images.copy()
    changed = CHANGES[name](images, 3)
    assert changed.shape == images.shape and changed.dtype == np.uint8
    assert np.array_equal(images, before) and np.array_equal(changed, CHANGES[name](images, 3))
    difference = np.abs(changed.astype(int) - images).mean()
    assert 0.1 < difference < 50


def test_probes_by_hand() -> None:
    yes = np.array([[0.9, 0.2, 0.1], [0.4, 0.9, 0.1], [0.6, 0.7, 0.1], [0.1, 0.1, 0.3]])
    direct = np.array([0, 1, 1, 2])
    found = probe(yes, TRUTH, direct, {"popular": popular_labels(TRUTH, np.array([0.7, 0.2, 0.1]))})
    assert popular_labels(TRUTH, np.array([0.7, 0.2, 0.1])).tolist() == [1, 1, 0, 0]
    one = found.strategies["popular"]
    # True labels: yes, no, yes, no. False ones: no, yes, yes, no.
    assert (one.questions, one.accuracy, one.precision, one.recall, one.yes_share) == (8, 0.5, 0.5, 0.5, 0.5)
    assert one.f1 == 0.5
    assert found.exactly_one_yes == 0.5 and found.no_yes == 0.25
    assert found.agreement == 1.0 and found.accuracy_by_likeliest_yes == 0.75
    with pytest.raises(ValueError, match="another label"):
        probe(yes, TRUTH, direct, {"wrong": TRUTH})


def test_saying_yes_to_everything_gets_half() -> None:
    found = probe(np.ones((4, 3)), TRUTH, TRUTH, {"random": random_labels(TRUTH, 3)})
    assert found.strategies["random"].accuracy == 0.5 and found.strategies["random"].yes_share == 1.0
    assert found.exactly_one_yes == 0.0


def test_adversarial_asks_what_others_were_confused_by() -> None:
    confusion = np.array([[50, 1, 9], [0, 40, 0], [3, 3, 30]])
    prior = np.array([0.2, 0.5, 0.3])
    assert adversarial_labels(np.array([0, 1, 2]), confusion, prior).tolist() == [2, 2, 1]
    # Two people, each wrong in their own way: each is asked about what the other gets wrong.
    truth, answers = np.zeros(8, dtype=np.int64), np.array([1] * 4 + [2] * 4)
    chosen = cross_adversarial(truth, answers, ("a",) * 4 + ("b",) * 4, np.ones(3) / 3)
    assert chosen.tolist() == [2] * 4 + [1] * 4


@given(st.lists(st.integers(0, 3), min_size=1, max_size=50), st.integers(0, 2**32 - 1))
def test_a_false_label_is_never_the_true_one(truth: list[int], seed: int) -> None:
    true = np.array(truth)
    prior = np.random.default_rng(seed).random(4)
    confusion = np.random.default_rng(seed).integers(0, 9, (4, 4))
    for chosen in (
        random_labels(true, 4, seed),
        popular_labels(true, prior),
        adversarial_labels(true, confusion, prior),
    ):
        assert (chosen != true).all() and chosen.min() >= 0 and chosen.max() < 4


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("at the screen", "screen"),
        ("The student is looking down at the paper.", "paper"),
        ("Away from screen and paper", "wander"),  # not two votes for what it looks away from
        ("not at the screen", None),
        ("She isn't looking at paper", None),
        ("at the screen or at paper", None),
        ("ELSEWHERE!", "wander"),
        ("somewhere else", "wander"),
        ("a screenshot", None),
        ("", None),
    ],
)
def test_free_answers_are_read_by_whole_phrases(answer: str, label: str | None) -> None:
    expected = UNREADABLE if label is None else ATTENTION.names.index(label)
    assert parse_answer(answer, ATTENTION) == expected


def test_engaged_is_not_in_not_engaged() -> None:
    for index, label in enumerate(ENGAGENET.labels):
        for text in (label.name, label.phrase, f"The student is {label.phrase}.", label.name.upper()):
            assert parse_answer(text, ENGAGENET) == index, text


def test_similarity_by_hand() -> None:
    assert chrf("at paper", "At  paper") == rouge_l("at paper", "at paper") == 1.0
    assert chrf("ab", "cd") == rouge_l("x", "y") == 0.0
    assert rouge_l("down at the paper", "at paper") == pytest.approx(2 * 0.5 * 1 / 1.5)
    # "abc" against "abd": letters 2/3, pairs 1/2, triples 0 -> mean 7/18 both ways
    assert chrf("abc", "abd") == pytest.approx(7 / 18)
    found = compare_texts(["at paper", "up"], [["on paper", "at paper"], ["down"]])
    assert found.exact == 0.5 and found.rouge_l == 0.5 and found.embedding is None
    letters = compare_texts(
        ["ab"], [["ba"]], lambda texts: np.array([[t.count("a"), t.count("b")] for t in texts], float)
    )
    assert letters.embedding == pytest.approx(1.0)
    with pytest.raises(ValueError, match="reference"):
        compare_texts(["a"], [[]])


@given(st.text(max_size=30), st.text(max_size=30))
def test_similarity_stays_in_range(first: str, second: str) -> None:
    for measure in (chrf, rouge_l):
        assert 0 <= measure(first, second) <= 1 + 1e-9
        assert measure(first, first) == pytest.approx(1.0)
