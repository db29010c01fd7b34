"""Preference pairs out of wrong answers: the rubric's phrase is chosen, what the model really said is rejected.

Pure apart from `write_pairs` and `read_pairs`: the same disagreements and seed give the same pairs in the same order.
This file knows no model and no training.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.errors import BadInputError
from monitor.rubric import Rubric
from trainer.disagreements import Disagreement

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


@dataclass(frozen=True, slots=True)
class PairSettings:
    """What becomes of wrong answers."""

    extra_share: float = 0.3
    """Of the wrong answers to the rubric's question, so many are paired with another wrong answer as well."""
    paraphrase_share: float = 0.25
    """The same for pairs of the same two answers in other words, to a question that may be in other words."""
    gaze_share: float = 0.25
    """Pairs of gaze descriptions, at most this share of the wrong answers to the rubric's question."""
    least_weight: float = 0.1
    """Of the easiest negative. A wrong answer that the policy finds half as likely as the right one weighs 2/3."""

    def __post_init__(self) -> None:
        shares = (self.extra_share, self.paraphrase_share, self.gaze_share)
        if not all(0 <= share <= 1 for share in shares) or not 0 < self.least_weight <= 1:
            raise BadInputError(
                f"the three shares lie in 0 to 1 and least_weight over 0 and at most at 1, found {shares} "
                f"and {self.least_weight}"
            )


@dataclass(frozen=True, slots=True)
class PairCounts:
    """What a round's pairs are made of."""

    disagreement: int
    extra: int
    paraphrase: int
    gaze: int
    duplicates: int
    """Pairs that fell out because the same one was there."""
    contradictions: int
    """Pairs that fell out because the opposite one was there: the same picture, labelled two ways."""

    @property
    def total(self) -> int:
        """Pairs that are left."""
        return self.disagreement + self.extra + self.paraphrase + self.gaze


def make_pairs(
    disagreements: Sequence[Disagreement],
    rubric: Rubric,
    settings: PairSettings,
    *,
    round_number: int,
    seed: int,
    picture_keys: Sequence[str] | None = None,
) -> tuple[list[PreferencePair], PairCounts]:
    """All pairs of one round.

    Args:
        disagreements: of this round's policy, about labels and gaze.
        rubric: gives the other words.
        settings: shares and weights.
        round_number: from 1.
        seed: decides which of them get another pair.
        picture_keys: one a row of the pictures (see `picture_keys`), so that one picture under two names counts as
            one; None = the item's id.

    Returns:
        pairs without duplicates, in the order of their pictures, and what they are made of.
    """
    rng = np.random.default_rng(seed)
    labels = [one for one in disagreements if one.topic == "label"]
    gaze = [one for one in disagreements if one.topic == "gaze"]
    made = [_pair(one, one.options[one.predicted], one.predicted, "disagreement", round_number, settings)
            for one in labels]  # fmt: skip
    made += _extra(labels, settings, round_number, rng)
    made += _paraphrased(labels, rubric, settings, round_number, rng)
    for index in _some(len(gaze), round(settings.gaze_share * len(labels)), rng):
        one = gaze[index]
        made.append(_pair(one, one.options[one.predicted], one.predicted, "gaze", round_number, settings))
    kept, duplicates, contradictions = without_repeats(made, picture_keys)
    counts = Counter(pair.origin for pair in kept)
    kept.sort(key=lambda pair: pair.image_row)
    return kept, PairCounts(
        **{origin: counts[origin] for origin in ORIGINS}, duplicates=duplicates, contradictions=contradictions
    )


def without_repeats(
    pairs: Sequence[PreferencePair], picture_keys: Sequence[str] | None = None
) -> tuple[list[PreferencePair], int, int]:
    """The first of each pair, the number of repeats, and the number of pairs that contradict another and fell out."""
    firsts: dict[tuple[str, str, str, str], PreferencePair] = {}
    for pair in pairs:
        firsts.setdefault((_key(pair, picture_keys), pair.prompt, pair.chosen, pair.rejected), pair)
    kept = [
        pair
        for (key, prompt, chosen, rejected), pair in firsts.items()
        if (key, prompt, rejected, chosen) not in firsts
    ]
    return kept, len(pairs) - len(firsts), len(firsts) - len(kept)


def picture_keys(images_rgb: NDArray[np.uint8]) -> list[str]:
    """A short name of each picture's bytes (N, S, S, 3): the same picture has the same name wherever it comes from."""
    return [hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()[:24] for image in images_rgb]


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


def _key(pair: PreferencePair, picture_keys: Sequence[str] | None) -> str:
    return picture_keys[pair.image_row] if picture_keys is not None else pair.item_id


def _extra(
    labels: Sequence[Disagreement], settings: PairSettings, round_number: int, rng: np.random.Generator
) -> list[PreferencePair]:
    """Other wrong answers, which the model did not give, to some of the pictures it was wrong about."""
    said = {(one.image_row, one.question, one.predicted) for one in labels}
    open_answers = []
    for one in labels:
        others = [
            index
            for index in range(len(one.options))
            if index != one.expected and (one.image_row, one.question, index) not in said
        ]
        if others:
            open_answers.append((one, others))
    pairs = []
    for index in _some(len(open_answers), round(settings.extra_share * len(labels)), rng):
        one, others = open_answers[index]
        other = int(rng.choice(others))
        pairs.append(_pair(one, one.options[other], other, "extra", round_number, settings))
    return pairs


def _paraphrased(
    labels: Sequence[Disagreement],
    rubric: Rubric,
    settings: PairSettings,
    round_number: int,
    rng: np.random.Generator,
) -> list[PreferencePair]:
    """The same right and wrong answer in other words; labels without other words keep their own."""
    questions = (rubric.question, *rubric.paraphrases)
    pairs = []
    for index in _some(len(labels), round(settings.paraphrase_share * len(labels)), rng):
        one = labels[index]
        right, wrong = (rubric.labels[label] for label in (one.expected, one.predicted))
        pairs.append(
            PreferencePair(
                item_id=one.item_id,
                image_row=one.image_row,
                prompt=str(rng.choice(questions)),
                chosen=str(rng.choice(right.paraphrases or (right.phrase,))),
                rejected=str(rng.choice(wrong.paraphrases or (wrong.phrase,))),
                weight=_weight(one, one.predicted, settings.least_weight),
                origin="paraphrase",
                round=round_number,
            )
        )
    return pairs


def _pair(  # the fields of a pair
    one: Disagreement, rejected: str, index: int, origin: str, round_number: int, settings: PairSettings
) -> PreferencePair:
    return PreferencePair(
        item_id=one.item_id,
        image_row=one.image_row,
        prompt=one.question,
        chosen=one.options[one.expected],
        rejected=rejected,
        weight=_weight(one, index, settings.least_weight),
        origin=origin,
        round=round_number,
    )


def _weight(one: Disagreement, rejected: int, least: float) -> float:
    """Twice the share of the rejected answer between the two, held to [least, 1]: 1 wherever it was preferred."""
    gap = one.log_probabilities[rejected] - one.log_probabilities[one.expected]
    share = 1 / (1 + math.exp(-max(-60.0, min(60.0, gap))))
    return round(max(least, min(1.0, 2 * share)), 6)


def _some(count: int, wanted: int, rng: np.random.Generator) -> list[int]:
    """`wanted` of `count` places, or all where there are fewer, in order."""
    return sorted(int(index) for index in rng.permutation(count)[: max(0, wanted)])
