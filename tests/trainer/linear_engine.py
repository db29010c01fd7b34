"""A small engine that really learns: a linear model over coarse pictures, trained on pairs in plain numpy.

It lets the loop of rounds be tested in seconds; the engine that ships is `trainer.round_engine`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.corpora.record import PictureSet
from trainer.guards import RunRefusedError
from trainer.round_parts import Job, Parts, Trained

SIDE = 8
Weights = dict[str, list[float]]
"""Phrase -> SIDE * SIDE + 1 weights; phrases that are not there weigh nothing."""


def see(images_rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(B, SIDE * SIDE + 1): grey means of cells about the middle grey, and 0.1."""
    count, side = len(images_rgb), images_rgb.shape[1]
    cells = images_rgb.mean(axis=3).reshape(count, SIDE, side // SIDE, SIDE, side // SIDE).mean(axis=(2, 4))
    return np.concatenate([cells.reshape(count, -1) / 255 - 0.4, np.full((count, 1), 0.1)], axis=1)


@dataclass
class Linear:
    """Log-odds of a phrase are linear in the picture; the question is not heard."""

    weights: Weights

    def score(self, images_rgb: NDArray[np.uint8], question: str, phrases: Sequence[str]) -> NDArray[np.float64]:
        odds = see(images_rgb) @ np.stack([self.of(phrase) for phrase in phrases], axis=1)
        scores: NDArray[np.float64] = odds - np.logaddexp.reduce(odds, axis=1, keepdims=True)
        return scores

    def of(self, phrase: str) -> NDArray[np.float64]:
        return np.asarray(self.weights.get(phrase, [0.0] * (SIDE * SIDE + 1)))


@dataclass
class LinearEngine:
    """See `trainer.round_parts.Engine`; adapters are folders with weights.json."""

    base: Weights = field(default_factory=dict)
    rate: float = 20.0
    blind: bool = False
    """Learn words only: the run that the guard must refuse."""
    trained: list[Path] = field(default_factory=list)
    """Folders of jobs, in the order in which they came."""
    killed_at: int = -1
    """The job that is killed once it has trained, before anybody hears of it."""
    base_sha256: str = "linear"
    side_px: int = 32

    def answerer(self, adapter: Path | None) -> Linear:
        if adapter is None:
            return Linear(self.base)
        return Linear(json.loads((adapter / "weights.json").read_text(encoding="utf-8")))

    def train(self, job: Job) -> Trained:
        self.trained.append(job.out)
        policy = self.answerer(job.parent)
        job.begin(policy)
        history = []
        weights = {phrase: np.asarray(values) for phrase, values in policy.weights.items()}
        zero = np.zeros(SIDE * SIDE + 1)
        no_picture = np.append(np.zeros(SIDE * SIDE), 1.0)
        for step in range(30):
            margins, chosen_gain = [], []
            for pair in job.pairs:
                seen = no_picture if self.blind else see(job.images_rgb[[pair.image_row]])[0]
                right, wrong = (weights.get(phrase, zero) for phrase in (pair.chosen, pair.rejected))
                gap = float((right - wrong) @ seen) - float((policy.of(pair.chosen) - policy.of(pair.rejected)) @ seen)
                push = pair.weight * self.rate / len(job.pairs) / (1 + np.exp(gap)) * seen
                weights[pair.chosen], weights[pair.rejected] = right + push / 2, wrong - push / 2
                margins.append(gap)
                chosen_gain.append(float((right - policy.of(pair.chosen)) @ seen))
            report = {"loss": float(np.log1p(np.exp(-np.array(margins))).mean()), "step": float(step)}
            report["rewards/chosen"] = 0.1 * float(np.mean(chosen_gain))
            history.append(report)
            job.report(report)
        adapter = job.out / "adapter"
        adapter.mkdir(parents=True, exist_ok=True)
        text = json.dumps({phrase: list(values) for phrase, values in weights.items()})
        (adapter / "weights.json").write_text(text, encoding="utf-8")
        if len(self.trained) - 1 == self.killed_at:
            raise KeyboardInterrupt
        return Trained(adapter, history)


class UnlearningEngine(LinearEngine):
    """Makes the right answers less likely, step by step."""

    def train(self, job: Job) -> Trained:
        for step in range(40):
            job.report({"loss": 0.5, "rewards/chosen": -0.02 * step})
        raise AssertionError("the guard let it pass")


class BrokenEngine(LinearEngine):
    """Its loss is no number."""

    def train(self, job: Job) -> Trained:
        raise RunRefusedError("the loss of step 3 is nan")


def squares(count: int, seed: int, people: str, contrast: int = 60, side_px: int = 32) -> PictureSet:
    """Pictures in which a weak bright square tells the label; four pictures a person."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 200, (count, side_px, side_px, 3)).astype(np.int64)
    labels = np.arange(count) % 3
    places = ((8, 4), (8, 20), (20, 12))
    for row, label in enumerate(labels):
        top, left = places[label]
        images[row, top : top + 8, left : left + 8] += contrast
    unknown = np.full((count, 4), np.nan, dtype=np.float32)
    return PictureSet(
        np.clip(images, 0, 255).astype(np.uint8),
        labels.astype(np.int64),
        tuple(f"{people}{row // 4}" for row in range(count)),
        unknown,
        unknown,
    )


def parts(train: int = 120, selection: int = 120, final: int = 120) -> Parts:
    """Three sets of different people."""
    learned = squares(train, 1, "t")
    ids = tuple(f"i{row}" for row in range(train))
    return Parts(learned, ids, squares(selection, 2, "s"), squares(final, 3, "f"))
