"""Smoothing: one odd frame changes nothing, a real change shows within three seconds, at any rate."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.schema import UNSURE, Prediction, Presence
from monitor.timeline.smoothing import Smoother
from tests.monitor.builders import LABELS, prediction

PERIODS_S = st.sampled_from([0.1, 0.2, 0.5, 1.0, 2.0, 10.0, 50.0])


@st.composite
def answers(draw: st.DrawFn) -> Prediction:
    """Any answer that a model may give: sure or not, clear or nearly a tie."""
    weights = [draw(st.floats(0.001, 1.0)) for _ in LABELS]
    probabilities = {label: weight / sum(weights) for label, weight in zip(LABELS, weights, strict=True)}
    best = max(probabilities, key=lambda label: probabilities[label])
    label = draw(st.sampled_from([best, best, UNSURE]))
    return Prediction("c", "s01", 0.0, label, best, probabilities, "tiny-1", "attention")


def run(found: list[Prediction], period_s: float = 1.0, smoother: Smoother | None = None) -> list[str | None]:
    smoother = smoother or Smoother(LABELS)
    return [smoother.update("s01", i * period_s, answer, Presence.VISIBLE) for i, answer in enumerate(found)]


@given(answers(), answers(), st.integers(2, 8), st.integers(1, 8), PERIODS_S)
def test_one_odd_frame_never_changes_the_state(
    usual: Prediction, odd: Prediction, before: int, after: int, period_s: float
) -> None:
    assert set(run([usual] * before + [odd] + [usual] * after, period_s)) == {usual.label}


@given(st.lists(answers(), max_size=12), answers(), PERIODS_S)
def test_a_constant_answer_becomes_the_state_whatever_came_before(
    before: list[Prediction], constant: Prediction, period_s: float
) -> None:
    enough = max(6, round(8 / period_s))
    assert run([*before, *[constant] * enough], period_s)[-1] == constant.label


@given(st.lists(answers(), max_size=12), answers(), answers())
def test_a_clean_change_shows_within_three_seconds(noise: list[Prediction], old: Prediction, new: Prediction) -> None:
    """At one sample a second: the first new frame is second 0, the state is out at second 3 at the latest."""
    states = run([*noise, *[old] * 8, *[new] * 4])
    assert states[-1] == new.label


@pytest.mark.parametrize(("period_s", "latest_s"), [(0.1, 2.0), (0.2, 2.0), (0.5, 2.0), (1.0, 1.0), (5.0, 5.0)])
def test_a_sure_change_takes_about_the_same_time_at_every_rate(period_s: float, latest_s: float) -> None:
    count = round(20 / period_s)
    states = run([prediction(best="screen")] * count + [prediction(best="wander")] * count, period_s)
    delay_s = (states.index("wander") - count) * period_s
    assert 0 < delay_s <= latest_s


@given(st.lists(answers(), min_size=1, max_size=40), PERIODS_S)
def test_a_state_is_always_a_label_or_unsure(found: list[Prediction], period_s: float) -> None:
    assert set(run(found, period_s)) <= {*LABELS, UNSURE}


def test_answers_that_contradict_each_other_end_as_unsure() -> None:
    turning = [prediction(best=LABELS[i % 3]) for i in range(30)]
    assert run([prediction(best="screen")] * 10 + turning)[-1] == UNSURE


def test_unsure_answers_are_not_added_up_to_certainty() -> None:
    weak = prediction(best="paper", confidence=0.45, sure=False)
    assert run([prediction(best="paper")] * 5 + [weak] * 10)[-1] == UNSURE


@pytest.mark.parametrize(
    ("pause_s", "state"),
    [(3.0, "screen"), (30.0, "wander")],
    ids=["a short pause keeps the state", "a long one starts anew"],
)
def test_camera_off(pause_s: float, state: str) -> None:
    smoother = Smoother(LABELS)
    run([prediction(best="screen")] * 10, smoother=smoother)
    for i in range(int(pause_s)):
        assert smoother.update("s01", 10.0 + i, None, Presence.CAMERA_OFF) is None
    back_s = 10.0 + pause_s
    assert smoother.update("s01", back_s, prediction(best="wander"), Presence.VISIBLE) == state


def test_a_slow_rate_is_no_pause() -> None:
    screen, wander = prediction(best="screen"), prediction(best="wander")
    assert run([screen, screen, screen, wander, screen, wander, wander], period_s=50.0) == [
        *["screen"] * 6,
        "wander",
    ]


def test_being_named_or_not_makes_no_difference() -> None:
    smoother = Smoother(LABELS)
    run([prediction(best="screen")] * 5, smoother=smoother)
    assert smoother.update("s01", 5.0, prediction(best="paper"), Presence.UNIDENTIFIED) == "screen"


def test_students_do_not_influence_each_other() -> None:
    smoother = Smoother(LABELS)
    for i in range(5):
        assert smoother.update("s01", float(i), prediction(best="screen"), Presence.VISIBLE) == "screen"
        assert smoother.update("s02", float(i), prediction(best="paper"), Presence.VISIBLE) == "paper"


@settings(max_examples=50)
@given(st.lists(answers(), min_size=2, max_size=20), st.data())
def test_a_resumed_smoother_goes_on_as_if_it_had_never_stopped(found: list[Prediction], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(found) - 1))
    straight = Smoother(LABELS)
    expected = run(found, smoother=straight)
    first = Smoother(LABELS)
    run(found[:cut], smoother=first)
    second = Smoother(LABELS, state=first.state())
    resumed = [second.update("s01", float(i), found[i], Presence.VISIBLE) for i in range(cut, len(found))]
    assert resumed == expected[cut:]
    assert second.state() == straight.state()


def test_a_state_of_another_rubric_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot go on"):
        Smoother(("yes", "no"), state=Smoother(LABELS).state())


def test_a_merged_student_keeps_the_newer_belief() -> None:
    smoother = Smoother(LABELS)
    smoother.update("s01", 0.0, prediction(best="paper"), Presence.VISIBLE)
    run([prediction(best="screen")] * 5, smoother=smoother)
    smoother.update("s09", 20.0, prediction(best="wander"), Presence.VISIBLE)
    smoother.merge({"s09": "s01"})
    assert smoother.update("s01", 21.0, prediction(best="screen"), Presence.VISIBLE) == "wander"


def test_students_who_left_do_not_pile_up() -> None:
    smoother = Smoother(LABELS)
    for i in range(100):
        smoother.update(f"s{i}", i * 100.0, prediction(), Presence.VISIBLE)
    assert len(smoother.state()) < 3000


@pytest.mark.parametrize("period_s", [0.1, 0.2, 1.0, 10.0])
def test_what_another_model_denies_is_gone_with_its_second_sample(period_s: float) -> None:
    smoother = Smoother(LABELS)
    run([prediction(best="paper")] * 40, period_s, smoother)
    smoother.another_model()
    denied = [prediction(best="screen", pts_s=(40 + i) * period_s) for i in range(3)]
    states = [smoother.update("s01", one.pts_s, one, Presence.VISIBLE) for one in denied]
    assert states == ["paper", "screen", "screen"]


def test_one_odd_answer_of_another_model_changes_nothing() -> None:
    smoother = Smoother(LABELS)
    run([prediction(best="paper")] * 10, 1.0, smoother)
    smoother.another_model()
    said = ["screen", "paper", "paper", "wander", "paper"]
    found = [prediction(best=label, pts_s=10.0 + i) for i, label in enumerate(said)]
    assert [smoother.update("s01", one.pts_s, one, Presence.VISIBLE) for one in found] == ["paper"] * 5
