"""Preference pairs: what a pair may be, and what becomes of wrong answers."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import BadInputError
from monitor.rubric import load_rubric
from monitor.vlm.prompt import GAZE_QUESTION, gaze_phrases
from trainer.disagreements import Disagreement
from trainer.pairs import (
    PairCounts,
    PairSettings,
    PreferencePair,
    make_pairs,
    picture_keys,
    read_pairs,
    without_repeats,
    write_pairs,
)

RUBRIC = load_rubric("attention")
PHRASES = tuple(label.phrase for label in RUBRIC.labels)


def wrong(
    row: int, expected: int, predicted: int, odds: tuple[float, float, float] = (-1.1, -1.1, -1.1)
) -> Disagreement:
    """One wrong answer to the rubric's question."""
    return Disagreement(f"i{row}", row, "label", RUBRIC.question, PHRASES, expected, predicted, odds)


def wrong_gaze(row: int) -> Disagreement:
    options = gaze_phrases()
    return Disagreement(f"i{row}", row, "gaze", GAZE_QUESTION, options, 3, 5, (-3.0,) * len(options))


def made(said: list[Disagreement], seed: int = 0, **settings: float) -> tuple[list[PreferencePair], PairCounts]:
    return make_pairs(said, RUBRIC, PairSettings(**settings), round_number=2, seed=seed)


mistakes = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 2), st.integers(1, 2)).map(
        lambda drawn: wrong(drawn[0], drawn[1], (drawn[1] + drawn[2]) % 3)
    ),
    max_size=60,
)
shares = st.floats(0, 1)


@given(mistakes, shares, shares, shares, st.integers(0, 5), st.integers(0, 9))
def test_whatever_was_said_wrongly_pairs_are_sound(
    mistakes: list[Disagreement], extra: float, paraphrased: float, gaze: float, gazes: int, seed: int
) -> None:
    settings = PairSettings(extra, paraphrased, gaze)
    said = mistakes + [wrong_gaze(row) for row in range(gazes)]
    pairs, counts = make_pairs(said, RUBRIC, settings, round_number=1, seed=seed)
    keys = [(pair.item_id, pair.prompt, pair.chosen, pair.rejected) for pair in pairs]
    assert len(keys) == len(set(keys)), "no duplicates"
    assert not {(i, p, r, c) for i, p, c, r in keys} & set(keys), "no pair says the opposite of another"
    assert all(pair.chosen != pair.rejected and 0 < pair.weight <= 1 for pair in pairs)
    assert counts.total == len(pairs)
    made_in_all = len(pairs) + counts.duplicates + counts.contradictions
    assert made_in_all <= len(mistakes) + sum(round(share * len(mistakes)) for share in (extra, paraphrased, gaze))
    answers: dict[str, set[str]] = {one.item_id: set() for one in mistakes}
    for one in mistakes:
        answers[one.item_id].add(one.options[one.predicted])
    for pair in pairs:
        if pair.origin == "disagreement":
            assert pair.rejected in answers[pair.item_id], "rejected is what the model really said"
        if pair.origin == "extra":
            assert (pair.item_id, pair.prompt, pair.chosen, pair.rejected) not in {
                (one.item_id, one.question, one.options[one.expected], one.options[one.predicted]) for one in mistakes
            }
    assert make_pairs(said, RUBRIC, settings, round_number=1, seed=seed) == (pairs, counts), "the seed decides"


def test_three_in_ten_corrected_ones_get_another_wrong_answer() -> None:
    said = [wrong(row, row % 3, (row + 1) % 3) for row in range(100)]
    pairs, counts = made(said, paraphrase_share=0.0)
    assert (counts.disagreement, counts.extra, counts.total) == (100, 30, 130)
    by_item: dict[str, list[PreferencePair]] = {}
    for pair in pairs:
        by_item.setdefault(pair.item_id, []).append(pair)
    twice = [group for group in by_item.values() if len(group) == 2]
    assert len(twice) == 30
    assert all(len({pair.rejected for pair in group} | {group[0].chosen}) == 3 for group in twice)
    assert {pair.round for pair in pairs} == {2}
    assert {pair.chosen for pair in pairs} <= set(PHRASES)
    assert [pair.image_row for pair in pairs] == sorted(pair.image_row for pair in pairs)


def test_another_seed_chooses_others() -> None:
    said = [wrong(row, row % 3, (row + 1) % 3) for row in range(100)]
    assert made(said, seed=0)[0] != made(said, seed=1)[0]


def test_nothing_is_left_to_add_where_every_wrong_answer_was_said() -> None:
    said = [wrong(row, 0, answer) for row in range(10) for answer in (1, 2)]
    assert made(said, paraphrase_share=0.0, extra_share=1.0)[1].extra == 0


def test_paraphrases_and_gaze_join() -> None:
    said = [wrong(row, 0, 1) for row in range(40)] + [wrong_gaze(row) for row in range(30)]
    pairs, counts = made(said)
    assert (counts.paraphrase, counts.gaze) == (10, 10)
    for pair in (pair for pair in pairs if pair.origin == "paraphrase"):
        assert pair.chosen in RUBRIC.labels[0].paraphrases
        assert pair.rejected in RUBRIC.labels[1].paraphrases
        assert pair.prompt in (RUBRIC.question, *RUBRIC.paraphrases)
    for pair in (pair for pair in pairs if pair.origin == "gaze"):
        assert (pair.prompt, pair.chosen, pair.rejected) == (GAZE_QUESTION, gaze_phrases()[3], gaze_phrases()[5])


def test_easy_negatives_weigh_less() -> None:
    hard, equal, half, easy = (
        (-2.0, -0.2, -4.0),
        (-1.0, -1.0, -2.0),
        (-1.0, -1.0 - math.log(2), -3.0),
        (-0.01, -9.0, -9.0),
    )
    weights = [made([wrong(0, 0, 1, odds)])[0][0].weight for odds in (hard, equal, half, easy)]
    assert weights == pytest.approx([1.0, 1.0, 2 / 3, 0.1], abs=1e-5)


def test_the_same_picture_under_two_names_counts_once() -> None:
    images = np.zeros((3, 4, 4, 3), np.uint8)
    images[2] = 9
    said = [wrong(0, 0, 1), wrong(1, 0, 1), wrong(2, 0, 1)]
    none = PairSettings(0.0, 0.0, 0.0)
    pairs, counts = make_pairs(said, RUBRIC, none, round_number=1, seed=0, picture_keys=picture_keys(images))
    assert [pair.item_id for pair in pairs] == ["i0", "i2"]
    assert counts.duplicates == 1


def test_a_picture_labelled_two_ways_teaches_nothing() -> None:
    images = np.zeros((2, 4, 4, 3), np.uint8)
    said = [wrong(0, 0, 1), wrong(1, 1, 0)]
    none = PairSettings(0.0, 0.0, 0.0)
    pairs, counts = make_pairs(said, RUBRIC, none, round_number=1, seed=0, picture_keys=picture_keys(images))
    assert (pairs, counts.contradictions) == ([], 2)


def test_repeats_keep_the_first() -> None:
    one = PreferencePair("a", 0, "?", "x", "y", 0.5)
    again = PreferencePair("a", 0, "?", "x", "y", 1.0, "extra")
    assert without_repeats([one, again]) == ([one], 1, 0)


@pytest.mark.parametrize("change", [{"extra_share": 1.5}, {"gaze_share": -0.1}, {"least_weight": 0.0}])
def test_bad_pair_settings_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadInputError, match="three shares"):
        PairSettings(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rejected": "At paper "}, "chosen and rejected are both"),
        ({"weight": 0.0}, "weight lies over 0"),
        ({"weight": 1.1}, "weight lies over 0"),
        ({"origin": "rumour"}, "origin must be one of"),
        ({"chosen": " "}, "the chosen of a pair is empty"),
        ({"prompt": ""}, "the prompt of a pair is empty"),
        ({"image_row": -1}, "a row from 0"),
        ({"round": -1}, "a round is 0 or more"),
    ],
)
def test_a_pair_that_cannot_teach_is_refused(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "item_id": "a",
        "image_row": 0,
        "prompt": "Where?",
        "chosen": "at paper",
        "rejected": "elsewhere",
    }
    PreferencePair(**good)
    with pytest.raises(ValueError, match=message):
        PreferencePair(**{**good, **change})


def test_pairs_survive_a_file(tmp_path: Path) -> None:
    pairs = [
        PreferencePair("a/ü", 3, "Where?", "at paper", "elsewhere", 0.25, "extra", 2),
        PreferencePair("b", 0, "Where?", "elsewhere", "at paper"),
    ]
    write_pairs(tmp_path / "round_01" / "pairs.jsonl", pairs)
    assert read_pairs(tmp_path / "round_01" / "pairs.jsonl") == pairs


def test_a_damaged_file_of_pairs_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    with pytest.raises(BadInputError, match="no such file"):
        read_pairs(path)
    write_pairs(path, [PreferencePair("b", 0, "Where?", "elsewhere", "at paper")])
    path.write_text(path.read_text(encoding="utf-8") + '{"item_id": "c"', encoding="utf-8")
    with pytest.raises(BadInputError, match="line 2"):
        read_pairs(path)
