"""Preference pairs: what a pair may be, and what becomes of wrong answers."""

from pathlib import Path

import pytest

from monitor.errors import BadInputError
from trainer.pairs import PreferencePair, read_pairs, write_pairs


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
def test_a_pair_that_cannot_teach_is_refused(change: dict[str, object], message: str) -> None:
    good = {"item_id": "a", "image_row": 0, "prompt": "Where?", "chosen": "at paper", "rejected": "elsewhere"}
    PreferencePair(**good)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        PreferencePair(**{**good, **change})  # type: ignore[arg-type]


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
