"""What the current policy says of labelled pictures, and where it is wrong.

A policy is asked by `score`, the exact log-probabilities of a closed set of phrases; what it "says" is the likeliest of
them and, where the settings want more, draws from them. Only gold labels of a corpus and people's annotations become
disagreements that teach: a model does not teach itself unwatched. This file knows no checkpoint and no training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.errors import BadInputError
from monitor.rubric import Rubric
from monitor.vlm.prompt import GAZE_QUESTION, gaze_phrase, gaze_phrases
from trainer.corpora.record import NO_LABEL, PictureSet

BATCH = 64
TEACHING_KINDS = ("gold", "annotator")
"""Whose word becomes pairs; the other kinds (teacher, temporal, challenger) only order the review queue."""


class Answerer(Protocol):
    """Whatever can be asked about pictures: a checkpoint, a policy with an adapter, a bundle."""

    def score(self, images_rgb: NDArray[np.uint8], question: str, phrases: Sequence[str]) -> Any:
        """Log-probabilities (B, len(phrases)) of the phrases as answers, renormalised over them; array or CPU tensor.

        Args:
            images_rgb: (B, S, S, 3) bytes.
            question: what is asked.
            phrases: what may be answered.
        """
        ...


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """How the policy is asked."""

    draws: int = 0
    """Answers drawn a picture beside the likeliest one: what it says now and then is wrong more often than what it
    says first."""
    temperature: float = 1.0
    """Of the draws; over 1 says more unlikely things."""
    paraphrased_questions: bool = False
    """Ask the rubric's other questions too."""
    gaze_margin_deg: float = 3.0
    """Gaze directions nearer than this to another phrase are not asked about: nobody can say which word is right."""

    def __post_init__(self) -> None:
        if self.draws < 0 or self.temperature <= 0 or self.gaze_margin_deg < 0:
            raise BadInputError(
                f"draws and gaze_margin_deg are 0 or more, temperature is over 0; found {self.draws}, "
                f"{self.gaze_margin_deg} and {self.temperature}"
            )


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One wrong answer to one question about one picture."""

    item_id: str
    image_row: int
    topic: str
    """"label" or "gaze"."""
    question: str
    options: tuple[str, ...]
    """The phrases it could choose from; for labels in the rubric's order."""
    expected: int
    """Index of the right phrase."""
    predicted: int
    """Index of what it said."""
    log_probabilities: tuple[float, ...]
    """Of the options, as the policy had them."""
    kind: str = "gold"

    def __post_init__(self) -> None:
        if self.expected == self.predicted:
            raise ValueError(f"{self.item_id}: {self.options[self.expected]!r} is what was expected: no disagreement")
        if len(self.options) != len(self.log_probabilities):
            raise ValueError(f"{self.item_id}: {len(self.options)} options, {len(self.log_probabilities)} scores")


def score_in_batches(
    answerer: Answerer, images_rgb: NDArray[np.uint8], question: str, phrases: Sequence[str]
) -> NDArray[np.float64]:
    """Log-probabilities (N, L) of any number of pictures.

    Raises:
        BadInputError: the model gives no number: its weights are damaged.
    """
    parts = [
        np.asarray(answerer.score(images_rgb[start : start + BATCH], question, phrases), dtype=np.float64)
        for start in range(0, len(images_rgb), BATCH)
    ]
    scores = np.concatenate(parts) if parts else np.zeros((0, len(phrases)))
    if not np.isfinite(scores).all():
        raise BadInputError("the model answers with NaN or infinity: its weights are damaged, go back to a good round.")
    return scores


def require_teachable(pictures: PictureSet, rubric: Rubric, where: str) -> None:
    """Refuse a set of pictures from which no preference can be learned.

    Raises:
        BadInputError: no labelled picture, one class only, or a label outside the rubric.
    """
    labels = pictures.labels[pictures.labels != NO_LABEL]
    if not len(labels):
        raise BadInputError(
            f"{where}: {len(pictures)} pictures, none with a label of the rubric {rubric.rubric_id!r}. "
            "`classroom corpus inspect` shows what a corpus holds."
        )
    outside = labels[(labels < 0) | (labels >= len(rubric.labels))]
    if len(outside):
        raise BadInputError(
            f"{where}: label number {int(outside[0])} is outside the rubric {rubric.rubric_id!r}, which has "
            f"{len(rubric.labels)} labels: {', '.join(rubric.names)}."
        )
    if len(np.unique(labels)) < 2:
        raise BadInputError(
            f"{where}: all {len(labels)} labelled pictures are {rubric.names[int(labels[0])]!r}. One class cannot be "
            "told from another: add pictures of the others, or split differently."
        )


def label_disagreements(  # one argument a column of what is asked
    answerer: Answerer,
    pictures: PictureSet,
    item_ids: Sequence[str],
    rubric: Rubric,
    settings: SamplingSettings,
    seed: int,
    kind: str = "gold",
) -> tuple[list[Disagreement], NDArray[np.float64]]:
    """Ask the rubric's question about every labelled picture.

    Returns:
        the wrong answers, each once a picture and question, by row; and the log-probabilities (N, L) of the rubric's
        own question over all rows (NaN where there is no label).
    """
    _require_kind(kind)
    if len(item_ids) != len(pictures):
        raise ValueError(f"{len(pictures)} pictures need as many ids, found {len(item_ids)}")
    require_teachable(pictures, rubric, "the training pictures")
    rows = [int(row) for row in np.flatnonzero(pictures.labels != NO_LABEL)]
    phrases = tuple(label.phrase for label in rubric.labels)
    rng = np.random.default_rng(seed)
    questions = (rubric.question, *(rubric.paraphrases if settings.paraphrased_questions else ()))
    own = np.full((len(pictures), len(phrases)), np.nan)
    found: list[Disagreement] = []
    for question in questions:
        scores = score_in_batches(answerer, pictures.images_rgb[rows], question, phrases)
        if question == rubric.question:
            own[rows] = scores
        said = answers_said(scores, settings, rng)
        for place, row in enumerate(rows):
            right = int(pictures.labels[row])
            wrong = dict.fromkeys(int(answer) for answer in said[place] if answer != right)
            odds = tuple(float(value) for value in scores[place])
            found += [
                Disagreement(item_ids[row], row, "label", question, phrases, right, answer, odds, kind)
                for answer in wrong
            ]
    return sorted(found, key=lambda one: one.image_row), own


def gaze_disagreements(
    answerer: Answerer, pictures: PictureSet, item_ids: Sequence[str], settings: SamplingSettings
) -> list[Disagreement]:
    """Ask in which direction the student looks, where the angles are known and not on the border of two phrases."""
    options = gaze_phrases()
    rows, right = [], []
    for row, (_, _, yaw, pitch) in enumerate(pictures.angles_deg):
        phrase = _clear_gaze(float(yaw), float(pitch), settings.gaze_margin_deg)
        if phrase is not None:
            rows.append(row)
            right.append(options.index(phrase))
    scores = score_in_batches(answerer, pictures.images_rgb[rows], GAZE_QUESTION, options)
    return [
        Disagreement(
            item_ids[row], row, "gaze", GAZE_QUESTION, options, expected, int(odds.argmax()), tuple(odds.tolist())
        )
        for row, expected, odds in zip(rows, right, scores, strict=True)
        if int(odds.argmax()) != expected
    ]


def answers_said(
    scores: NDArray[np.float64], settings: SamplingSettings, rng: np.random.Generator
) -> NDArray[np.int64]:
    """What the policy says, (N, 1 + draws): first the likeliest phrase, then the draws.

    Args:
        scores: log-probabilities (N, L).
        settings: how many draws, and how hot.
        rng: of the draws.
    """
    likeliest: NDArray[np.int64] = scores.argmax(axis=1)[:, None]
    if not settings.draws:
        return likeliest
    heated = scores / settings.temperature
    odds = np.exp(heated - heated.max(axis=1, keepdims=True))
    edges = np.cumsum(odds / odds.sum(axis=1, keepdims=True), axis=1)  # (N, L), the last column is 1
    chances = rng.random((len(scores), settings.draws))
    drawn = (chances[:, :, None] >= edges[:, None, :-1]).sum(axis=2)
    return np.concatenate([likeliest, drawn], axis=1)


def _clear_gaze(yaw_deg: float, pitch_deg: float, margin_deg: float) -> str | None:
    """The phrase of a direction, or None where a small error would change it or nothing is known."""
    if not np.isfinite(yaw_deg + pitch_deg):
        return None
    around = {
        gaze_phrase(yaw_deg + across, pitch_deg + along)
        for across in (-margin_deg, margin_deg)
        for along in (-margin_deg, margin_deg)
    }
    return around.pop() if len(around) == 1 else None


def _require_kind(kind: str) -> None:
    if kind not in TEACHING_KINDS:
        raise BadInputError(
            f"disagreements of kind {kind!r} do not teach, only {' and '.join(TEACHING_KINDS)} do: a model's own "
            "opinion, unwatched, is not a label."
        )
