"""One round, stage by stage: ask the champion, pair its wrong answers, train under guards, judge.

Each stage leaves a file (asked.json and pairs.jsonl; training/ and trained.json), so that a killed round goes on from
the last one that is there. This file knows one round; which adapter is the champion is decided in rounds.py.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.rubric import Rubric
from trainer.acceptance import Decision, decide
from trainer.corpora.record import NO_LABEL, PictureSet
from trainer.disagreements import Answerer, gaze_disagreements, label_disagreements, score_in_batches
from trainer.evaluation import counts
from trainer.evaluation.intervals import Interval, counts_by_person
from trainer.guards import (
    HistoryWatch,
    PairScores,
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
from trainer.noise import invert_pairs
from trainer.pairs import PreferencePair, make_pairs, read_pairs, write_pairs
from trainer.round_manifest import RoundManifest, write_json
from trainer.round_parts import Engine, Job, Parts, balanced_examples, some_of_each_label
from trainer.round_settings import RoundsSettings

ASKED_FILE = "asked.json"
PAIRS_FILE = "pairs.jsonl"
TRAINED_FILE = "trained.json"
TRAINING_FOLDER = "training"
OTHERS = 24
"""Pictures of each label that pairs are tried with, as the wrong ones."""


class Round:
    """One turn of the loop."""

    def __init__(
        self,
        settings: RoundsSettings,
        rubric: Rubric,
        parts: Parts,
        engine: Engine,
        folder: Path,
        number: int,
        parent: Path | None,
    ) -> None:
        """`folder` is the round's own, `parent` the adapter it goes on from (None = the base as it is)."""
        self.settings, self.rubric, self.parts, self.engine = settings, rubric, parts, engine
        self.folder, self.number, self.parent = folder, number, parent
        self.seed = settings.seed * 1000 + number
        self._some: list[PreferencePair] = []
        self._others = some_of_each_label(parts.train, OTHERS, self.seed)

    def ask(self, keys: Sequence[str]) -> dict[str, Any]:
        """Sample with the champion and write its wrong answers down as pairs.

        Args:
            keys: `picture_keys` of the training pictures.

        Returns:
            counts, metrics and wall_s of this stage.
        """
        if (known := self._left(ASKED_FILE)) is not None:
            return known
        began = time.monotonic()
        answerer = self.engine.answerer(self.parent)
        train, ids, sampling = self.parts.train, self.parts.item_ids, self.settings.sampling
        wrong, scores = label_disagreements(answerer, train, ids, self.rubric, sampling, self.seed)
        labels = len(wrong)
        if self.settings.pairs.gaze_share > 0 and self.rubric.kind == "behaviour" and labels:
            wrong = wrong + gaze_disagreements(answerer, train, ids, sampling)
        pairs, made = make_pairs(
            wrong, self.rubric, self.settings.pairs, round_number=self.number, seed=self.seed, picture_keys=keys
        )
        write_pairs(self.folder / PAIRS_FILE, invert_pairs(pairs, self.settings.invert_share, self.seed))
        has_label = train.labels != NO_LABEL
        right = scores[has_label].argmax(axis=1) == train.labels[has_label]
        return self._leave(
            ASKED_FILE,
            {
                "counts": {
                    "pictures": len(train),
                    "persons": len(set(train.persons)),
                    "wrong_labels": labels,
                    "wrong_gaze": len(wrong) - labels,
                    "pairs": made.total,
                    "inverted": round(self.settings.invert_share * made.total),
                    **asdict(made),
                },
                "metrics": {"accuracy_before": round(float(right.mean()), 4)},
                "wall_s": round(time.monotonic() - began, 2),
            },
        )

    def train(self, pairs: Sequence[PreferencePair], before: PairScores, reference: PairScores) -> dict[str, Any]:
        """Train under the guards.

        Returns:
            adapter (empty where a guard stopped the run), refused (why), losses and wall_s.
        """
        if (known := self._left(TRAINED_FILE)) is not None:
            return known
        began = time.monotonic()
        preference = self.settings.preference
        job = Job(
            pairs=pairs,
            images_rgb=self.parts.train.images_rgb,
            examples=balanced_examples(self.parts.train, self.rubric, self.seed),
            parent=self.parent,
            seed=self.seed,
            out=self.folder / TRAINING_FOLDER,
            begin=self._start_guard(before, reference),
            report=HistoryWatch(self.settings.guards, preference.beta).see,
        )
        try:
            trained = self.engine.train(job)
            adapter, refused, losses = trained.adapter.relative_to(self.folder).as_posix(), "", _losses(trained.history)
        except RunRefusedError as error:
            adapter, refused, losses = "", str(error), {}
        story = {"adapter": adapter, "refused": refused, "losses": losses}
        return self._leave(TRAINED_FILE, {**story, "wall_s": round(time.monotonic() - began, 2)})

    def finish(
        self, asked: dict[str, Any], data_sha256: str, parent_name: str, theirs: NDArray[np.int64]
    ) -> RoundManifest:
        """Train, guard and judge.

        Args:
            asked: what `ask` returned; there are pairs.
            data_sha256: of all pictures.
            parent_name: the parent as the run names it.
            theirs: the champion's answers to the selection pictures.
        """
        pairs = read_pairs(self.folder / PAIRS_FILE)
        self._some = some_pairs(pairs, self.settings.guards.most_pairs, self.seed)
        before = self._score(self.engine.answerer(self.parent))
        from_base = self.settings.preference.reference == "base"
        reference = self._score(self.engine.answerer(None)) if from_base else before
        trained = self.train(pairs, before, reference)
        began = time.monotonic()
        reasons: list[str] = [trained["refused"]] if trained["refused"] else []
        metrics: dict[str, Any] = {"train": asked["metrics"], "training": trained["losses"]}
        if trained["adapter"]:
            answerer = self.engine.answerer(self.folder / trained["adapter"])
            reasons += self._guard_pictures(answerer, reference, metrics)
            reasons += self._judge(ask_labels(answerer, self.parts.selection, self.rubric), theirs, metrics)
        return RoundManifest(
            round=self.number,
            accepted=not reasons,
            reasons=tuple(reasons),
            base_sha256=self.engine.base_sha256,
            data_sha256=data_sha256,
            pairs_sha256=hashlib.sha256((self.folder / PAIRS_FILE).read_bytes()).hexdigest(),
            parent=parent_name,
            reference=self.settings.preference.reference,
            adapter=f"{self.folder.name}/{trained['adapter']}" if trained["adapter"] else "",
            method=self.settings.preference.method,
            seed=self.seed,
            counts=asked["counts"],
            metrics=metrics,
            wall_s={
                "ask": asked["wall_s"],
                "train": trained["wall_s"],
                "judge": round(time.monotonic() - began, 2),
            },
        )

    def _start_guard(self, before: PairScores, reference: PairScores) -> Callable[[Answerer], None]:
        """Checks the policy that is about to be trained against what was asked before."""
        expected = start_figures(before, reference, self._some)
        if self.settings.preference.reference == "start":
            expected = StartFigures.zeros(expected)

        def begin(policy: Answerer) -> None:
            now = self._score(policy)
            check_start(start_figures(now, reference, self._some), expected, self.settings.guards.start_tolerance)

        return begin

    def _score(self, answerer: Answerer) -> PairScores:
        """Some of the pairs, with their own pictures and with some of every label."""
        return score_pairs(answerer, self.parts.train.images_rgb, self._some, self._others)

    def _guard_pictures(self, answerer: Answerer, reference: PairScores, metrics: dict[str, Any]) -> list[str]:
        """The reward margin with right and wrong pictures."""
        guards = self.settings.guards
        after, kinds = self._score(answerer), self.parts.train.labels
        use: PictureUse = picture_use(after, reference, self._some, kinds, guards.shuffles, self.seed)
        metrics["picture_use"] = {name: round(value, 4) for name, value in asdict(use).items()}
        try:
            check_picture_use(use, guards.least_fall)
        except RunRefusedError as error:
            return [str(error)]
        return []

    def _judge(self, mine: NDArray[np.int64], theirs: NDArray[np.int64], metrics: dict[str, Any]) -> list[str]:
        """Challenger against champion on the selection students."""
        part, rubric = self.parts.selection, self.rubric
        decision: Decision = decide(
            part.labels, theirs, mine, part.persons, rubric.names, self.settings.acceptance, self.seed
        )
        metrics["selection"] = {
            "champion": label_figures(part, theirs, rubric),
            "challenger": label_figures(part, mine, rubric),
            "macro_f1_points": rounded(decision.macro_f1),
            "f1_points": {name: rounded(one) for name, one in decision.by_class.items()},
        }
        return list(decision.reasons)

    def _left(self, name: str) -> dict[str, Any] | None:
        """What a stage left behind, if it was finished."""
        path = self.folder / name
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None

    def _leave(self, name: str, story: dict[str, Any]) -> dict[str, Any]:
        write_json(self.folder / name, story)
        return story


def ask_labels(answerer: Answerer, pictures: PictureSet, rubric: Rubric) -> NDArray[np.int64]:
    """The likeliest label of each picture, (N,)."""
    phrases = [label.phrase for label in rubric.labels]
    scores = score_in_batches(answerer, pictures.images_rgb, rubric.question, phrases)
    answers: NDArray[np.int64] = scores.argmax(axis=1)
    return answers


def label_figures(pictures: PictureSet, answers: NDArray[np.int64], rubric: Rubric) -> dict[str, Any]:
    """The figures of one model on one part; confusion: rows are the truth."""
    confusion = counts_by_person(pictures.persons, pictures.labels, answers, len(rubric.labels)).sum(axis=0)
    f1 = counts.f1(confusion)
    return {
        "pictures": len(pictures),
        "macro_f1": round(float(counts.macro_f1(confusion)), 4),
        "accuracy": round(float(counts.accuracy(confusion)), 4),
        "f1": {name: round(float(value), 4) for name, value in zip(rubric.names, f1, strict=True)},
        "confusion": confusion.tolist(),
    }


def rounded(one: Interval) -> list[float]:
    """Value, low and high, for a manifest."""
    return [round(value, 2) for value in (one.value, one.low, one.high)]


def _losses(history: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """First and last of what a training run reported."""
    if not history:
        return {}
    kept = ("loss", "rewards/margins", "rewards/accuracies", "logps/chosen")
    told = {f"first_{name}": history[0][name] for name in kept if name in history[0]}
    told |= {f"last_{name}": history[-1][name] for name in kept if name in history[-1]}
    return {"steps": float(len(history)), **{name: round(float(value), 5) for name, value in told.items()}}
