"""The gate: nobody may lose, confidence stays honest, and too few students are said to be too few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from export.gate import Circumstances, GateSettings, Judged, Verdict, judge
from trainer.acceptance import AcceptanceSettings, decide

LABELS = ("screen", "paper", "wander")
FAST = GateSettings(draws=300)
PEOPLE, EACH = 12, 30
TRUTH = np.tile(np.arange(3), PEOPLE * EACH // 3)
STUDENTS = np.repeat([f"s{number:02d}" for number in range(PEOPLE)], EACH)
GLASSES: list[dict[str, str]] = [{"glasses": "clear" if name >= "s07" else "none"} for name in STUDENTS]
ALL = Judged(TRUTH, list(STUDENTS), GLASSES, LABELS)
SAME = Circumstances(agreement=1.0)


def sure(answers: NDArray[np.int64], confidence: float = 0.96) -> NDArray[np.float64]:
    found = np.full((len(answers), 3), (1 - confidence) / 2)
    found[np.arange(len(answers)), answers] = confidence
    return found


def with_errors(share: float, seed: int, rows: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(TRUTH)) < share
    return np.where(wrong if rows is None else wrong & rows, (TRUTH + 1) % 3, TRUTH)


def ask(old: NDArray[np.int64], new: NDArray[np.int64], around: Circumstances = SAME, **changes: Any) -> Verdict:
    told: dict[str, Any] = {"truth": TRUTH, "students": list(STUDENTS), "groups": GLASSES, "confidence": 0.96}
    told |= changes
    return judge(
        sure(old),
        sure(new, told["confidence"]),
        Judged(told["truth"], told["students"], told["groups"], LABELS),
        around,
        FAST,
    )


def test_the_same_answers_pass_and_better_ones_too() -> None:
    champion = with_errors(0.1, 0)
    assert ask(champion, champion).passed
    better = np.where(with_errors(0.5, 3) == TRUTH, champion, TRUTH)
    verdict = ask(champion, better)
    assert verdict.passed, verdict.reasons
    assert verdict.figures["macro_f1"]["points"][0] > 0
    assert verdict.figures["students"] == PEOPLE


def test_a_class_that_loses_is_named() -> None:
    champion = with_errors(0.1, 0)
    worse = np.where((TRUTH == 1) & (np.arange(len(TRUTH)) % 5 == 0), 2, champion)
    verdict = ask(champion, worse)
    assert not verdict.passed
    assert any(reason.startswith("paper: F1 changes by -") for reason in verdict.reasons)


def test_a_group_that_loses_stops_what_gains_in_all() -> None:
    glasses = np.array([group["glasses"] == "clear" for group in GLASSES])
    champion = with_errors(0.5, 0, ~glasses)
    challenger = with_errors(0.08, 1, glasses)
    verdict = ask(champion, challenger)
    assert verdict.figures["macro_f1"]["points"][0] > 3
    assert [reason.split(":")[0] for reason in verdict.reasons] == ["glasses = clear"]


def test_a_group_of_few_is_named_and_does_not_decide() -> None:
    groups = [{"hat": "yes"} if name == "s00" else {"hat": "no"} for name in STUDENTS]
    challenger = np.where(STUDENTS == "s00", np.where(np.arange(len(TRUTH)) % 15 == 0, 2, TRUTH), TRUTH)
    verdict = ask(TRUTH, challenger, groups=groups)
    assert verdict.figures["groups_too_small"] == [f"hat = yes: {EACH} pictures of 1 people"]
    assert not any("hat" in reason for reason in verdict.reasons)


@pytest.mark.parametrize(("people", "rendered", "few"), [(4, 0, True), (5, 0, False), (12, 8, True), (12, 7, False)])
def test_rendered_people_are_no_students(people: int, rendered: int, few: bool) -> None:
    kept = np.isin(STUDENTS, [f"s{number:02d}" for number in range(people)])
    names = STUDENTS[kept]
    around = Circumstances(np.isin(names, [f"s{number:02d}" for number in range(rendered)]), agreement=1.0)
    pictures = Judged(TRUTH[kept], list(names), [{}] * len(names), LABELS)
    verdict = judge(sure(TRUTH[kept]), sure(TRUTH[kept]), pictures, around)
    assert verdict.passed is not few
    assert any("students judge, expected 5" in reason for reason in verdict.reasons) is few


def test_overconfidence_is_not_honest() -> None:
    answers = with_errors(0.2, 0)
    verdict = judge(sure(answers, 0.8), sure(answers, 0.99), ALL, SAME, FAST)
    assert [reason.split(" ")[0] for reason in verdict.reasons] == ["calibration"]


@pytest.mark.parametrize(("agreement", "words"), [(None, "nobody measured"), (0.985, "98.50% of crops"), (0.99, "")])
def test_the_runtime_must_answer_as_the_trainer(agreement: float | None, words: str) -> None:
    verdict = ask(TRUTH, TRUTH, Circumstances(agreement=agreement))
    assert verdict.passed is not bool(words)
    assert not words or words in verdict.reasons[0]


def test_objections_and_missing_classes_refuse() -> None:
    assert ask(TRUTH, TRUTH, Circumstances(agreement=1.0, objections=("it cheats",))).reasons == ("it cheats",)
    two = np.minimum(TRUTH, 1)
    verdict = ask(two, two, truth=two)
    assert verdict.reasons == ("no picture shows 'wander', so nobody knows what happens to it",)


def test_nothing_to_judge_by_is_a_mistake() -> None:
    none: Sequence[str] = []
    with pytest.raises(ValueError, match="one at least"):
        judge(np.zeros((0, 3)), np.zeros((0, 3)), Judged(np.zeros(0, np.int64), none, [], LABELS))


def test_gate_and_trainer_draw_the_same_intervals() -> None:
    old, new = with_errors(0.2, 0), with_errors(0.15, 1)
    bars = GateSettings(level=0.9, draws=500)
    verdict = judge(sure(old), sure(new), ALL, SAME, bars)
    theirs = decide(TRUTH, old, new, list(STUDENTS), LABELS, AcceptanceSettings(level=0.9, draws=500))
    for name in LABELS:
        one = theirs.by_class[name]
        assert verdict.figures["classes"][name] == pytest.approx([one.value, one.low, one.high], abs=0.006)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 0.4), st.floats(0, 0.4))
def test_a_verdict_passes_exactly_when_it_has_no_reason(seed: int, old: float, new: float) -> None:
    bars = GateSettings(draws=100)
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(TRUTH))[:90]
    answers = [with_errors(share, seed % 1000 + place)[chosen] for place, share in enumerate((old, new))]
    groups = [GLASSES[row] for row in chosen]
    args = (Judged(TRUTH[chosen], list(STUDENTS[chosen]), groups, LABELS), SAME, bars)
    verdict = judge(sure(answers[0]), sure(answers[1]), *args)
    assert verdict.passed is not bool(verdict.reasons)
    for value, low, high in verdict.figures["classes"].values():
        assert low - 1e-6 <= value <= high + 1e-6 or low <= high
    again = judge(sure(answers[0]), sure(answers[1]), *args)
    assert again.as_dict() == verdict.as_dict()
