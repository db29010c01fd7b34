"""Episodes: contiguous where a student is in view, never overlapping, covering every sampled moment."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from monitor.schema import Episode, Observation, Presence
from monitor.timeline.episodes import EpisodeBuilder
from tests.monitor.builders import observation

STATES = ("screen", "paper", "wander", "unsure", "camera_off", "picture_still", "opted_out")


def seen(state: str, pts_s: float = 0.0, student_id: str = "s01", confidence: float = 0.9) -> Observation:
    if state in [presence.value for presence in Presence]:
        return observation(student_id, pts_s, presence=Presence(state))
    best = "screen" if state == "unsure" else state
    return observation(student_id, pts_s, best, confidence=confidence, state=state)


def build(
    moments: Sequence[tuple[float, Sequence[Observation]]], period_s: float = 1.0, builder: EpisodeBuilder | None = None
) -> list[Episode]:
    """The episodes that a store would hold after these moments."""
    builder = builder or EpisodeBuilder()
    stored: dict[tuple[str, float], Episode] = {}
    for pts_s, observations in moments:
        for episode in builder.update(pts_s, observations, period_s):
            stored[episode.student_id, episode.started_s] = episode
    return [stored[key] for key in sorted(stored)]


def spans(episodes: Sequence[Episode]) -> list[tuple[str, float, float]]:
    return [(e.state, e.started_s, e.ended_s) for e in episodes]


def test_equal_states_join_and_another_state_begins_where_the_last_ended() -> None:
    states = ["screen", "screen", "paper", "camera_off", "camera_off", "screen"]
    episodes = build([(float(i), [seen(state, float(i))]) for i, state in enumerate(states)])
    assert spans(episodes) == [
        ("screen", 0.0, 2.0),
        ("paper", 2.0, 3.0),
        ("camera_off", 3.0, 5.0),
        ("screen", 5.0, 6.0),
    ]
    assert [e.confidence for e in episodes] == [0.9, 0.9, None, 0.9]


def test_the_confidence_is_the_mean_probability_of_the_state() -> None:
    (episode,) = build([(0.0, [seen("paper", confidence=0.5)]), (1.0, [seen("paper", confidence=0.8)])])
    assert episode.confidence == 0.65


def test_a_frame_of_another_answer_lowers_the_confidence_of_a_state_that_held() -> None:
    odd = observation(best="wander", confidence=0.8, state="screen")
    (episode,) = build([(0.0, [seen("screen")]), (1.0, [odd])])
    assert episode.confidence == 0.5


def test_an_episode_ends_when_the_student_leaves() -> None:
    both = [seen("screen"), seen("paper", student_id="s02")]
    episodes = build([(0.0, both), (1.0, both), (2.0, both[:1]), (3.0, both)])
    assert [(e.student_id, e.started_s, e.ended_s) for e in episodes] == [
        ("s01", 0.0, 4.0),
        ("s02", 0.0, 2.0),
        ("s02", 3.0, 4.0),
    ]


def test_a_pause_of_more_than_three_periods_ends_an_episode_and_a_shorter_one_does_not() -> None:
    moments = [(at_s, [seen("screen")]) for at_s in (0.0, 3.0, 7.5)]
    assert spans(build(moments)) == [("screen", 0.0, 4.0), ("screen", 7.5, 8.5)]
    assert spans(build(moments, period_s=2.0)) == [("screen", 0.0, 9.5)]


def test_a_state_that_changes_over_a_short_pause_lasts_until_the_change() -> None:
    assert spans(build([(0.0, [seen("screen")]), (2.5, [seen("paper")])])) == [
        ("screen", 0.0, 2.5),
        ("paper", 2.5, 3.5),
    ]


def test_a_merged_student_goes_on_with_the_episode_of_the_provisional_one() -> None:
    builder = EpisodeBuilder()
    build([(0.0, [seen("screen")]), (1.0, []), (8.0, [seen("paper", student_id="s09")])], builder=builder)
    changed = builder.update(9.0, [seen("paper")], 1.0, merges={"s09": "s01"})
    assert spans(changed) == [("paper", 8.0, 10.0)]


steps = st.lists(
    st.tuples(st.sampled_from([0.4, 1.0, 1.0, 1.0, 2.9, 3.0, 3.1, 20.0]), st.sampled_from([*STATES, None])),
    min_size=1,
    max_size=40,
)


@given(steps)
def test_episodes_cover_every_moment_of_a_student_exactly_once(script: list[tuple[float, str | None]]) -> None:
    at_s, moments = 0.0, []
    for step_s, state in script:
        at_s = round(at_s + step_s, 3)
        moments.append((at_s, [] if state is None else [seen(state, at_s)]))
    episodes = build(moments)
    for before, after in pairwise(episodes):
        assert before.ended_s <= after.started_s
    for pts_s, observations in moments:
        covering = [e.state for e in episodes if e.started_s <= pts_s < e.ended_s]
        assert covering == [o.state or o.presence.value for o in observations]


@given(steps, st.data())
def test_a_resumed_builder_goes_on_as_if_it_had_never_stopped(
    script: list[tuple[float, str | None]], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(script)))
    straight, first = EpisodeBuilder(), EpisodeBuilder()
    at_s, resumed = 0.0, first
    for number, (step_s, state) in enumerate(script):
        at_s += step_s
        observations = [] if state is None else [seen(state, at_s)]
        if number == cut:
            resumed = EpisodeBuilder(state=first.state())
        assert resumed.update(at_s, observations, 1.0) == straight.update(at_s, observations, 1.0)
    assert resumed.state() == straight.state()
