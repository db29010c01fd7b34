"""Guards: a run that starts elsewhere, does not look at the pictures, or unlearns the right answers is refused."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.errors import BadInputError
from trainer.guards import (
    GuardSettings,
    HistoryWatch,
    PictureUse,
    RunRefusedError,
    StartFigures,
    check_picture_use,
    check_start,
    picture_use,
    score_pairs,
    some_pairs,
    start_figures,
)
from trainer.pairs import PreferencePair

PHRASES = ("a", "b", "c")
IMAGES = np.zeros((30, 4, 4, 3), np.uint8)
IMAGES[np.arange(30), 0, 0, np.arange(30) % 3] = 255
"""Picture i shows that answer i % 3 is right."""
KINDS = [row % 3 for row in range(30)]
PAIRS = [PreferencePair(f"i{row}", row, "?", PHRASES[row % 3], PHRASES[(row + 1) % 3]) for row in range(30)]


class Model:
    """Odds of the three answers: what the picture shows, times `sight`, and a liking for some words."""

    def __init__(self, sight: float, liking: Sequence[float] = (0.0, 0.0, 0.0)) -> None:
        self.sight, self.liking = sight, dict(zip(PHRASES, liking, strict=True))

    def score(self, images_rgb: NDArray[np.uint8], question: str, phrases: Sequence[str]) -> NDArray[np.float64]:
        shown = {phrase: images_rgb[:, 0, 0, place] / 255.0 for place, phrase in enumerate(PHRASES)}
        odds = np.stack([self.sight * shown[phrase] + self.liking[phrase] for phrase in phrases], axis=1)
        scores: NDArray[np.float64] = odds - np.log(np.exp(odds).sum(axis=1, keepdims=True))
        return scores


def test_at_step_0_margin_and_divergence_are_0_when_the_reference_is_the_start() -> None:
    start = score_pairs(Model(1.0), IMAGES, PAIRS)
    found = start_figures(start, score_pairs(Model(1.0), IMAGES, PAIRS), PAIRS)
    assert (len(found.margins), len(found.divergences)) == (30, 30)
    check_start(found, StartFigures.zeros(found), 1e-9)


def test_at_step_0_another_reference_gives_what_was_computed_beforehand() -> None:
    start, base = (score_pairs(Model(sight), IMAGES, PAIRS) for sight in (2.0, 0.5))
    expected = start_figures(start, base, PAIRS)
    assert expected.margins == pytest.approx(1.5)
    assert (expected.divergences > 0).all()
    check_start(start_figures(score_pairs(Model(2.0), IMAGES, PAIRS), base, PAIRS), expected, 1e-6)
    for other in (Model(2.01), Model(2.0, (0.3, 0.0, 0.0))):
        # The second one's changes cancel out over the pairs; they must not hide.
        with pytest.raises(RunRefusedError, match="at step 0"):
            check_start(start_figures(score_pairs(other, IMAGES, PAIRS), base, PAIRS), expected, 1e-3)


def test_a_run_that_looks_loses_its_margin_with_wrong_pictures() -> None:
    reference, policy = (score_pairs(Model(sight), IMAGES, PAIRS) for sight in (0.5, 2.0))
    use = picture_use(policy, reference, PAIRS, KINDS, shuffles=4, seed=0)
    assert use.margin == pytest.approx(1.5)
    assert use.with_wrong_pictures < 0
    check_picture_use(use, 0.1)


def test_a_run_that_learned_words_only_is_refused() -> None:
    # Nearly all pairs prefer "a" to "b": liking "a" gives a margin without a look.
    pairs = [PreferencePair(f"i{row}", row, "?", "a", "b") for row in range(0, 30, 3)] + PAIRS[1:3]
    reference = score_pairs(Model(0.5), IMAGES, pairs)
    policy = score_pairs(Model(0.5, (2.0, 0.0, 1.0)), IMAGES, pairs)
    use = picture_use(policy, reference, pairs, KINDS, shuffles=4, seed=0)
    assert use.margin > 1
    assert use.fall == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(RunRefusedError, match="without looking"):
        check_picture_use(use, 0.1)


def test_pairs_of_one_kind_need_other_pictures_to_be_tried_with() -> None:
    # All of them correct "b" to "a": among themselves, a model that looks answers them alike.
    pairs = [PreferencePair(f"i{row}", row, "?", "a", "b") for row in (0, 3)]
    reference, policy = (score_pairs(Model(sight), IMAGES, pairs) for sight in (0.5, 2.0))
    assert picture_use(policy, reference, pairs, KINDS, shuffles=2, seed=0).fall == pytest.approx(0.0)
    assert picture_use(policy, reference, pairs[:1], KINDS, shuffles=2, seed=0).fall == 0.0
    reference, policy = (score_pairs(Model(sight), IMAGES, pairs, more_rows=[1, 2, 4]) for sight in (0.5, 2.0))
    assert picture_use(policy, reference, pairs, KINDS, shuffles=2, seed=0).fall > 1
    assert start_figures(policy, reference, pairs).margins == pytest.approx(1.5)


@pytest.mark.parametrize("margin", [0.0, -0.2, float("nan")])
def test_a_run_without_a_margin_learned_nothing(margin: float) -> None:
    with pytest.raises(RunRefusedError, match="nothing was learned"):
        check_picture_use(PictureUse(margin, -1.0), 0.1)


def test_falling_chosen_answers_stop_a_run() -> None:
    watch = HistoryWatch(GuardSettings(chosen_window=3, chosen_fall_nats=0.7), beta=0.1)
    for reward in (0.0, 0.01, -0.01, -0.05, -0.07, -0.088):
        watch.see({"loss": 0.6, "rewards/chosen": reward})
    with pytest.raises(RunRefusedError, match=r"less likely by 0\.83 nats"):
        watch.see({"loss": 0.5, "rewards/chosen": -0.09})


def test_where_the_reference_is_not_the_start_the_first_reports_are_what_is_compared_with() -> None:
    watch = HistoryWatch(GuardSettings(chosen_window=2, chosen_fall_nats=0.7), beta=0.1)
    for reward in (-0.5, -0.5, -0.52):
        watch.see({"rewards/chosen": reward})


def test_rising_chosen_answers_and_reports_without_them_do_not_stop_a_run() -> None:
    watch = HistoryWatch(GuardSettings(chosen_window=2), beta=0.1)
    for step in range(20):
        watch.see({"loss": 0.5, "rewards/chosen": 0.1 * step})
        watch.see({"train_runtime": 3.0})
        watch.see({"loss": 0.5, "rewards/chosen": float("nan")})  # a batch of rejected answers alone


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_a_run(loss: float) -> None:
    with pytest.raises(RunRefusedError, match="last good round stays"):
        HistoryWatch(GuardSettings(), beta=0.1).see({"loss": loss, "step": 4.0})


def test_some_pairs_are_drawn_by_a_seed() -> None:
    some = some_pairs(PAIRS, 10, 3)
    assert len(some) == 10
    assert some == some_pairs(PAIRS, 10, 3)
    assert [pair.image_row for pair in some] == sorted(pair.image_row for pair in some)
    assert some_pairs(PAIRS, 100, 3) == PAIRS


@pytest.mark.parametrize(
    "change", [{"shuffles": 0}, {"chosen_window": 0}, {"least_fall": 1.0}, {"start_tolerance": 0.0}]
)
def test_bad_guard_settings_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadInputError, match=r"must be 1 or more|must be above 0"):
        GuardSettings(**change)
