"""Guards of a preference run: it starts where it should, it looks at the pictures, and the right answers do not fade.

A guard that is not content raises `RunRefusedError`: the round is given up and the last good one stays. Every figure
here comes out of scores of a closed set of phrases; this file knows no model and no training loop.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from monitor.errors import BadInputError, ClassroomError
from trainer.disagreements import Answerer, score_in_batches
from trainer.pairs import PreferencePair

CHOSEN_KEY = "rewards/chosen"
"""What TRL's trainers call beta times the chosen answers' log-probability over the reference's."""


class RunRefusedError(ClassroomError):
    """A training run that must not become a round."""


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """When a run is refused."""

    start_tolerance: float = 1e-3
    """How far margin and divergence at step 0 may be from what was computed beforehand, in nats."""
    shuffles: int = 4
    """Wrong pictures that each pair is tried with."""
    least_fall: float = 0.02
    """With wrong pictures the reward margin must fall by at least this share of itself. A run that learned nothing but
    words loses nothing; one that mends a leaning to one answer loses little, and is right to."""
    chosen_window: int = 10
    """Reports over which the chosen answers' log-probability is averaged."""
    chosen_fall_nats: float = 0.7
    """The average may lie so much below the first one, not more: at 0.7 right answers are half as likely."""
    most_pairs: int = 512
    """Pairs that the first two guards look at."""

    def __post_init__(self) -> None:
        if self.shuffles < 1 or self.chosen_window < 1 or self.most_pairs < 1:
            raise BadInputError("shuffles, chosen_window and most_pairs must be 1 or more.")
        if self.start_tolerance <= 0 or self.chosen_fall_nats <= 0 or not 0 <= self.least_fall < 1:
            raise BadInputError(
                "start_tolerance and chosen_fall_nats must be above 0 and least_fall lie in 0 to below 1, "
                f"found {self.start_tolerance}, {self.chosen_fall_nats} and {self.least_fall}"
            )


@dataclass(frozen=True)
class PairScores:
    """What one model says to pairs: for each prompt, every picture against every phrase."""

    rows: Mapping[str, tuple[int, ...]]
    """Of each prompt: rows of the pictures."""
    phrases: Mapping[str, tuple[str, ...]]
    """Of each prompt: all phrases that are chosen or rejected there."""
    scores: Mapping[str, NDArray[np.float64]]
    """Of each prompt: log-probabilities (rows, phrases)."""

    @cached_property
    def _places(self) -> dict[str, dict[int, int]]:
        return {prompt: {row: place for place, row in enumerate(known)} for prompt, known in self.rows.items()}

    def gaps(self, pairs: Sequence[PreferencePair], rows: Sequence[int] | None = None) -> NDArray[np.float64]:
        """log p(chosen) - log p(rejected), (N,), with each pair's own picture or with those of other rows."""
        found = []
        for pair, row in zip(pairs, rows if rows is not None else [pair.image_row for pair in pairs], strict=True):
            of_row = self.scores[pair.prompt][self._places[pair.prompt][row]]
            known = self.phrases[pair.prompt]
            found.append(of_row[known.index(pair.chosen)] - of_row[known.index(pair.rejected)])
        return np.asarray(found)


@dataclass(frozen=True)
class StartFigures:
    """A policy beside its reference, before the first step. One number each, for averages hide what cancels out."""

    margins: NDArray[np.float64]
    """(pairs,): how much more than the reference it prefers chosen to rejected, in nats (beta left out)."""
    divergences: NDArray[np.float64]
    """(pictures,): Kullback-Leibler divergence from the reference over the phrases, in nats."""

    @classmethod
    def zeros(cls, like: StartFigures) -> StartFigures:
        """What is expected where the reference is the start."""
        return cls(np.zeros_like(like.margins), np.zeros_like(like.divergences))


@dataclass(frozen=True, slots=True)
class PictureUse:
    """Whether what was learned depends on the pictures."""

    margin: float
    """Mean reward margin with the right pictures, in nats (beta left out)."""
    with_wrong_pictures: float
    """The same with pictures to which another answer is right."""

    @property
    def fall(self) -> float:
        """How much of the margin is lost, in nats."""
        return self.margin - self.with_wrong_pictures


def some_pairs(pairs: Sequence[PreferencePair], most: int, seed: int) -> list[PreferencePair]:
    """At most so many of the pairs, drawn by a seed, in order."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(pairs))[:most])
    return [pairs[index] for index in chosen]


def score_pairs(
    answerer: Answerer, images_rgb: NDArray[np.uint8], pairs: Sequence[PreferencePair], more_rows: Sequence[int] = ()
) -> PairScores:
    """Ask a model all that the guards need, each picture once a prompt.

    Args:
        answerer: whom.
        images_rgb: (N, S, S, 3), the rows of which pairs name.
        pairs: about which pictures and phrases.
        more_rows: other pictures that are asked about with every prompt: the wrong ones of `picture_use`.
    """
    rows: dict[str, dict[int, None]] = defaultdict(dict)
    phrases: dict[str, dict[str, None]] = defaultdict(dict)
    for pair in pairs:
        rows[pair.prompt][pair.image_row] = None
        phrases[pair.prompt].update({pair.chosen: None, pair.rejected: None})
    for wanted in rows.values():
        wanted.update(dict.fromkeys(more_rows))
    scores = {
        prompt: score_in_batches(answerer, images_rgb[list(wanted)], prompt, list(phrases[prompt]))
        for prompt, wanted in rows.items()
    }
    return PairScores(
        {prompt: tuple(wanted) for prompt, wanted in rows.items()},
        {prompt: tuple(wanted) for prompt, wanted in phrases.items()},
        scores,
    )


def start_figures(policy: PairScores, reference: PairScores, pairs: Sequence[PreferencePair]) -> StartFigures:
    """Margin and divergence of a policy over its reference, on the same pairs."""
    divergences = [
        (np.exp(scores) * (scores - reference.scores[prompt])).sum(axis=1) for prompt, scores in policy.scores.items()
    ]
    return StartFigures(policy.gaps(pairs) - reference.gaps(pairs), np.concatenate(divergences))


def check_start(found: StartFigures, expected: StartFigures, tolerance: float) -> None:
    """Refuse a run that does not begin where it was said to: another adapter, another reference, dropout left on.

    Args:
        found: of the policy that is about to be trained.
        expected: zeros where the reference is the start, else what was computed beforehand.
        tolerance: in nats.

    Raises:
        RunRefusedError: a margin or a divergence differs.
    """
    for name, is_now, should_be in (
        ("margin", found.margins, expected.margins),
        ("divergence from the reference", found.divergences, expected.divergences),
    ):
        off = np.abs(is_now - should_be)
        if not (off <= tolerance).all():
            worst = int(off.argmax())
            raise RunRefusedError(
                f"at step 0 a {name} is {is_now[worst]:.5f} nats, expected {should_be[worst]:.5f}: the policy does not "
                "start where it was said to. Was another adapter or base loaded, or dropout left on?"
            )


def picture_use(
    policy: PairScores,
    reference: PairScores,
    pairs: Sequence[PreferencePair],
    kinds: Sequence[int] | NDArray[np.int64],
    shuffles: int,
    seed: int,
) -> PictureUse:
    """The reward margin with the right pictures and with wrong ones.

    A wrong picture is one of another kind: pictures of the same kind would hide that the model looks, for it should
    answer them alike. Where a prompt has none, another picture of the same kind must do.

    Args:
        policy: what was trained.
        reference: what it is compared with, asked about the same.
        pairs: those that both were asked about.
        kinds: of each row of the pictures: its label.
        shuffles: wrong pictures a pair.
        seed: of the draws.
    """
    margin = policy.gaps(pairs) - reference.gaps(pairs)
    rng = np.random.default_rng(seed)
    found: list[float] = []
    tried = []
    for index, pair in enumerate(pairs):
        others = _wrong_rows(pair, policy.rows[pair.prompt], kinds)
        if others:
            rows = [int(row) for row in rng.choice(others, shuffles)]
            same = [pair] * shuffles
            found += list(policy.gaps(same, rows) - reference.gaps(same, rows))
            tried.append(index)
    if not tried:
        return PictureUse(float(margin.mean()), float(margin.mean()))
    return PictureUse(float(margin[tried].mean()), float(np.mean(found)))


def check_picture_use(use: PictureUse, least_fall: float) -> None:
    """Refuse what learned words and no pictures.

    Raises:
        RunRefusedError: no margin was learned, or it is the same with the wrong pictures.
    """
    if not use.margin > 0:
        raise RunRefusedError(
            f"the reward margin is {use.margin:.4f} nats after training: nothing was learned from the pairs. "
            "Raise the learning rate or the number of steps."
        )
    if not use.fall >= least_fall * use.margin:
        raise RunRefusedError(
            f"the reward margin is {use.margin:.4f} nats, and {use.with_wrong_pictures:.4f} with wrong pictures: the "
            "run learned which words to prefer without looking. Are all pairs of one kind, or rows mixed up?"
        )


class HistoryWatch:
    """Reads a run's reports as they come; stops it when the loss is no number or the right answers fade."""

    def __init__(self, settings: GuardSettings, beta: float) -> None:
        """`beta` is that of the loss: TRL reports rewards, which are beta times nats."""
        self._settings = settings
        self._beta = beta
        self._first: float | None = None
        self._recent: deque[float] = deque(maxlen=settings.chosen_window)

    def see(self, report: Mapping[str, float]) -> None:
        """Take one report.

        Raises:
            RunRefusedError: NaN or infinity, or chosen answers that lost too much.
        """
        for name, value in report.items():
            if name.endswith("loss") and not math.isfinite(value):
                raise RunRefusedError(
                    f"{name} is {value} at step {report.get('step', '?')}: training broke down and the last good round "
                    "stays. Lower the learning rate, or train in float32."
                )
        chosen = report.get(CHOSEN_KEY, math.nan)
        if not math.isfinite(chosen) or self._beta <= 0:
            return  # a batch without a chosen answer, or a method that has none
        self._recent.append(chosen / self._beta)
        if len(self._recent) < self._settings.chosen_window:
            return
        average = sum(self._recent) / len(self._recent)
        self._first = average if self._first is None else self._first
        fallen = self._first - average
        if fallen > self._settings.chosen_fall_nats:
            raise RunRefusedError(
                f"the chosen answers became less likely by {fallen:.2f} nats (limit {self._settings.chosen_fall_nats}):"
                " the run unlearns what it should prefer. Give the cross-entropy more weight (gamma), or learn slower."
            )


def _wrong_rows(pair: PreferencePair, rows: Sequence[int], kinds: Sequence[int] | NDArray[np.int64]) -> list[int]:
    """Rows of another kind than the pair's own picture; else any other row."""
    other = [row for row in rows if kinds[row] != kinds[pair.image_row]]
    return other or [row for row in rows if row != pair.image_row]
