"""Where the policy is wrong: what it said, of whom, and what cannot be learned from at all."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitor.errors import BadInputError
from monitor.rubric import load_rubric
from monitor.vlm.prompt import GAZE_QUESTION, gaze_phrases
from trainer.corpora.record import NO_LABEL, PictureSet
from trainer.disagreements import (
    Disagreement,
    SamplingSettings,
    answers_said,
    gaze_disagreements,
    label_disagreements,
    score_in_batches,
)

RUBRIC = load_rubric("attention")


class Table:
    """An answerer that reads its log-odds off the picture: the first pixel of channel c tells the odds of answer c."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def score(self, images_rgb: NDArray[np.uint8], question: str, phrases: Sequence[str]) -> NDArray[np.float64]:
        self.asked.append(question)
        odds = np.zeros((len(images_rgb), len(phrases)))
        odds[:, :3] = images_rgb[:, 0, 0, :].astype(float) / 25
        scores: NDArray[np.float64] = odds - np.log(np.exp(odds).sum(axis=1, keepdims=True))
        return scores


def pictures(says: Sequence[int], labels: Sequence[int], angles: tuple[float, float] = (np.nan, np.nan)) -> PictureSet:
    """Pictures of which `Table` says this, and what they really are."""
    images = np.zeros((len(says), 8, 8, 3), dtype=np.uint8)
    images[np.arange(len(says)), 0, 0, np.asarray(says, np.int64)] = 100
    angles_deg = np.full((len(says), 4), np.nan, dtype=np.float32)
    angles_deg[:, 2:] = angles
    return PictureSet(
        images,
        np.asarray(labels, np.int64),
        tuple(f"p{row}" for row in range(len(says))),
        angles_deg,
        np.zeros((len(says), 4), np.float32),
    )


def ids(count: int) -> list[str]:
    return [f"i{index}" for index in range(count)]


def test_only_wrong_answers_disagree_and_unlabelled_pictures_are_not_asked() -> None:
    asked = pictures([0, 1, 2, 0], [0, 2, 1, NO_LABEL])
    found, scores = label_disagreements(Table(), asked, ids(4), RUBRIC, SamplingSettings(), 0)
    assert [(one.item_id, one.expected, one.predicted) for one in found] == [("i1", 2, 1), ("i2", 1, 2)]
    assert [one.options[one.predicted] for one in found] == ["at paper", "elsewhere"]
    assert np.isnan(scores[3]).all()
    np.testing.assert_allclose(np.exp(scores[:3]).sum(axis=1), 1.0)


def test_draws_find_what_it_says_now_and_then() -> None:
    asked = pictures([0] * 30, [0] * 29 + [1])
    greedy, _ = label_disagreements(Table(), asked, ids(30), RUBRIC, SamplingSettings(), 0)
    hot = SamplingSettings(draws=8, temperature=3.0)
    drawn, _ = label_disagreements(Table(), asked, ids(30), RUBRIC, hot, 0)
    again, _ = label_disagreements(Table(), asked, ids(30), RUBRIC, hot, 0)
    other, _ = label_disagreements(Table(), asked, ids(30), RUBRIC, hot, 1)
    assert len(greedy) == 1 < len(drawn)
    assert drawn == again != other
    keys = [(one.image_row, one.question, one.predicted) for one in drawn]
    assert len(keys) == len(set(keys))


def test_draws_follow_the_probabilities() -> None:
    odds = np.log(np.array([[0.7, 0.2, 0.1]] * 4000))
    said = answers_said(odds, SamplingSettings(draws=5), np.random.default_rng(0))
    assert said.shape == (4000, 6)
    assert (said[:, 0] == 0).all()
    np.testing.assert_allclose(np.bincount(said[:, 1:].ravel(), minlength=3) / 20000, [0.7, 0.2, 0.1], atol=0.01)


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=6), st.integers(0, 9), st.integers(0, 99))
def test_every_answer_said_is_an_option(odds: list[float], draws: int, seed: int) -> None:
    said = answers_said(np.array([odds]), SamplingSettings(draws=draws), np.random.default_rng(seed))
    assert said.shape == (1, 1 + draws)
    assert said.min() >= 0
    assert said.max() < len(odds)


def test_other_questions_are_asked_too() -> None:
    table = Table()
    settings = SamplingSettings(paraphrased_questions=True)
    found, _ = label_disagreements(table, pictures([0, 1, 2], [1, 1, 0]), ids(3), RUBRIC, settings, 0)
    assert table.asked == [RUBRIC.question, *RUBRIC.paraphrases]
    assert len(found) == 2 * len(table.asked)


def test_gaze_is_asked_where_it_is_clear() -> None:
    options = gaze_phrases()
    # The table says option 0; straight ahead is another one.
    far = pictures([0, 0], [0, 1], angles=(0.0, 0.0))
    found = gaze_disagreements(Table(), far, ids(2), SamplingSettings())
    assert [options[one.expected] for one in found] == ["straight ahead"] * 2
    assert {one.question for one in found} == {GAZE_QUESTION}
    assert {one.predicted for one in found} == {0}
    border = pictures([0, 0], [0, 1], angles=(11.0, 0.0))
    assert gaze_disagreements(Table(), border, ids(2), SamplingSettings()) == []
    unknown = pictures([0, 0], [0, 1])
    assert gaze_disagreements(Table(), unknown, ids(2), SamplingSettings()) == []


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "0 pictures, none with a label"),
        ([NO_LABEL, NO_LABEL], "none with a label"),
        ([1, 1, NO_LABEL], "all 2 labelled pictures are 'paper'"),
        ([0, 1, 3], "label number 3 is outside the rubric 'attention'"),
        ([0, 1, -2], "label number -2 is outside"),
    ],
)
def test_pictures_that_cannot_teach_are_refused(labels: list[int], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        label_disagreements(
            Table(), pictures([0] * len(labels), labels), ids(len(labels)), RUBRIC, SamplingSettings(), 0
        )


def test_a_model_does_not_teach_itself() -> None:
    with pytest.raises(BadInputError, match="'teacher' do not teach"):
        label_disagreements(Table(), pictures([0, 1], [1, 0]), ids(2), RUBRIC, SamplingSettings(), 0, "teacher")


def test_damaged_weights_are_noticed() -> None:
    class Broken:
        def score(self, images_rgb: NDArray[np.uint8], question: str, phrases: Sequence[str]) -> NDArray[np.float64]:
            return np.full((len(images_rgb), len(phrases)), np.nan)

    with pytest.raises(BadInputError, match="NaN"):
        score_in_batches(Broken(), np.zeros((3, 4, 4, 3), np.uint8), "?", ["a", "b"])


def test_agreement_is_no_disagreement() -> None:
    with pytest.raises(ValueError, match="no disagreement"):
        Disagreement("a", 0, "label", "?", ("x", "y"), 1, 1, (-0.7, -0.7))


@pytest.mark.parametrize("change", [{"draws": -1}, {"temperature": 0.0}, {"gaze_margin_deg": -1.0}])
def test_bad_sampling_settings_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadInputError, match="temperature is over 0"):
        SamplingSettings(**change)
