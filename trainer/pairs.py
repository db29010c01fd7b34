"""Preference pairs out of wrong answers: the rubric's phrase is chosen, what the model really said is rejected.

Pure apart from `write_pairs` and `read_pairs`: the same disagreements and seed give the same pairs in the same order.
This file knows no model and no training.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from monitor.errors import BadInputError

ORIGINS = ("disagreement", "extra", "paraphrase", "gaze")


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """One picture, one question, two answers."""

    item_id: str
    """The picture in its corpus; the same in every round."""
    image_row: int
    """Row in the set of pictures that is trained on."""
    prompt: str
    """The question alone: the model's own markers are put around it where it is turned into tokens."""
    chosen: str
    """The right phrase, without an end token."""
    rejected: str
    """A wrong phrase, without an end token."""
    weight: float = 1.0
    """Over 0, at most 1; an easy negative weighs less."""
    origin: str = "disagreement"
    """disagreement: the model said it. extra: another wrong answer to the same picture. paraphrase: the same two in
    other words. gaze: the direction of gaze in words, which the model said wrongly."""
    round: int = 0
    """The round whose policy was asked, from 1; 0 where no round was."""

    def __post_init__(self) -> None:
        if not self.item_id or self.image_row < 0:
            raise ValueError(f"a pair needs an item and a row from 0, found {self.item_id!r} and {self.image_row}")
        for name, text in (("prompt", self.prompt), ("chosen", self.chosen), ("rejected", self.rejected)):
            if not text.strip():
                raise ValueError(f"{self.item_id}: the {name} of a pair is empty")
        if self.chosen.strip().casefold() == self.rejected.strip().casefold():
            raise ValueError(f"{self.item_id}: chosen and rejected are both {self.chosen!r}")
        if not 0 < self.weight <= 1:
            raise ValueError(f"{self.item_id}: a weight lies over 0 and at most at 1, found {self.weight}")
        if self.origin not in ORIGINS:
            raise ValueError(f"{self.item_id}: origin must be one of {', '.join(ORIGINS)}, found {self.origin!r}")
        if self.round < 0:
            raise ValueError(f"{self.item_id}: a round is 0 or more, found {self.round}")


def write_pairs(path: Path, pairs: Sequence[PreferencePair]) -> None:
    """One JSON object a line; the file is complete before it takes its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(path.name + ".writing")
    lines = "".join(json.dumps(asdict(pair), ensure_ascii=False) + "\n" for pair in pairs)
    staging.write_text(lines, encoding="utf-8")
    staging.replace(path)


def read_pairs(path: Path) -> list[PreferencePair]:
    """What `write_pairs` wrote.

    Raises:
        BadInputError: no such file, or a line that is not a pair, named by its number.
    """
    if not path.is_file():
        raise BadInputError(f"{path}: no such file of pairs. `classroom train rounds` writes one a round.")
    pairs = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            pairs.append(PreferencePair(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise BadInputError(f"{path}, line {number}: not a preference pair ({error}).") from error
    return pairs
