"""Which crops are kept for review: within a budget, each kind its share, the same when resumed."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise

from monitor.schema import UNSURE, Observation
from monitor.timeline.worth import SHADOWED_SHARES, SHARES, STUDENT_GAP_S, TOP_PRIORITY, ReviewChooser, Worth
from tests.monitor.builders import observation, prediction


def unsure(student_id: str, pts_s: float) -> Observation:
    plain = observation(student_id, pts_s)
    return Observation(student_id, plain.box, plain.presence, prediction(student_id, pts_s, sure=False), UNSURE)


def lecture(seconds: int, chooser: ReviewChooser, first: int = 0) -> list[Worth]:
    """A room where everybody is always hard to tell."""
    return [
        worth
        for at_s in range(first, first + seconds)
        for worth in chooser.choose(float(at_s), [unsure(f"s{n:02d}", at_s) for n in range(1, 13)])
    ]


def test_an_hour_costs_no_more_than_its_budget() -> None:
    kept = Counter(worth.reason for worth in lecture(3600, ReviewChooser(60)))
    assert kept["uncertain"] <= 60 * SHARES["uncertain"] * (1 + 1 / 6) + 1
    assert 14 <= kept["random"] <= 60 * SHARES["random"] + 1
    assert set(kept) == {"uncertain", "random"}


def test_nothing_is_kept_where_nothing_may_be() -> None:
    assert lecture(600, ReviewChooser(0)) == []


def test_a_sure_and_steady_room_gives_the_random_share_alone() -> None:
    chooser = ReviewChooser(240)
    kept = [w for at in range(600) for w in chooser.choose(float(at), [observation("s01", at), observation("s02", at)])]
    assert {worth.reason for worth in kept} == {"random"}
    assert {worth.student_id for worth in kept} == {"s01", "s02"}
    assert all(0 <= worth.priority <= TOP_PRIORITY for worth in kept)


def test_an_answer_against_those_before_it_is_flicker() -> None:
    found = ReviewChooser(60).choose(5.0, [observation("s01", 5.0, "paper", state="screen")])
    assert [(worth.student_id, worth.reason) for worth in found] == [("s01", "flicker")]


def test_one_student_is_not_kept_twice_in_a_row() -> None:
    chooser = ReviewChooser(240)
    times = [at for at in range(60) for w in chooser.choose(float(at), [unsure("s01", at)]) if w.reason == "uncertain"]
    assert len(times) > 2
    assert all(later - before >= STUDENT_GAP_S for before, later in pairwise(times))


def test_resumed_it_goes_on_to_the_same() -> None:
    whole = lecture(400, ReviewChooser(120))
    first = ReviewChooser(120)
    begun = lecture(150, first)
    rest = lecture(250, ReviewChooser(120, json.loads(json.dumps(first.state()))), first=150)
    assert begun + rest == whole


def disputed(student_id: str, pts_s: float) -> Observation:
    """The model is sure, and its challenger says something else."""
    plain = observation(student_id, pts_s)
    assert plain.prediction is not None
    said = replace(plain.prediction, shadow=prediction(student_id, pts_s, "paper", 0.7))
    return replace(plain, prediction=said)


def test_where_two_models_disagree_a_person_is_asked() -> None:
    (worth,) = ReviewChooser(60).choose(5.0, [disputed("s01", 5.0)])
    assert (worth.student_id, worth.reason, worth.priority) == ("s01", "challenger", 3.7)


def test_a_challenger_that_agrees_asks_for_nothing() -> None:
    plain = observation("s01", 5.0)
    assert plain.prediction is not None
    agreed = replace(plain, prediction=replace(plain.prediction, shadow=prediction("s01", 5.0, "screen", 0.5)))
    assert ReviewChooser(60).choose(5.0, [agreed]) == []


def test_a_challenger_that_always_disagrees_costs_no_more_than_its_share() -> None:
    chooser = ReviewChooser(60)
    kept = Counter(
        worth.reason
        for at_s in range(3600)
        for worth in chooser.choose(float(at_s), [disputed(f"s{n:02d}", at_s) for n in range(1, 13)])
    )
    assert kept.total() <= 60 * (1 + 1 / 6) + 1
    assert 18 <= kept["challenger"] <= 60 * SHADOWED_SHARES["challenger"] * (1 + 1 / 6) + 1
    assert kept["random"] >= 14, "agreement is measured all the same"


def test_a_challenger_may_come_in_the_middle_of_a_lecture() -> None:
    chooser = ReviewChooser(60)
    lecture(120, chooser)
    resumed = ReviewChooser(60, json.loads(json.dumps(chooser.state())))
    assert "challenger" in {worth.reason for worth in resumed.choose(121.0, [disputed("s01", 121.0)])}
