"""The arms of the experiment: each gives a model, and the model's answers to every test set.

An arm that was killed goes on where it stopped when it is run again with the same plan.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from benchmarks.iterations.baselines import ask_cnn, fit_pose_rule, train_cnn
from benchmarks.iterations.plan import Plan
from monitor.errors import BadInputError
from monitor.rubric import Rubric
from trainer.corpora.record import PictureSet
from trainer.disagreements import score_in_batches
from trainer.evaluation.questions import GENERIC_QUESTIONS
from trainer.finetune import finetune
from trainer.finetune.state import STATE_FILE
from trainer.pairs import picture_keys
from trainer.policy import LoraSettings, load_policy
from trainer.policy.lora import Trainable
from trainer.round_engine import PolicyEngine, PolicyVoice, SeenPictures
from trainer.round_manifest import closed_rounds
from trainer.round_parts import Parts
from trainer.round_settings import PolicyChoice, RoundData, RoundsSettings
from trainer.rounds import RUN_FILE, Outcome, run_rounds

Answers = Mapping[str, NDArray[np.int64]]
"""Set -> (N,) labels; a set that the arm cannot answer is left out."""


@dataclass(frozen=True)
class Result:
    """What one arm came to with one seed."""

    steps: int
    """Optimiser steps of this arm alone, beyond what it began from."""
    seconds: float
    """The same, of a core: what else the machine does counts little. Of this process, so a resumed arm tells less."""
    rounds: int
    """Accepted ones; 0 for arms without rounds."""
    answers: Answers


class Unique:
    """The pictures of all sets, each once: the sets overlap, and asking costs more than telling them apart."""

    def __init__(self, sets: Mapping[str, PictureSet]) -> None:
        places: dict[str, int] = {}
        images: list[NDArray[np.uint8]] = []
        self._rows: dict[str, NDArray[np.int64]] = {}
        for name, pictures in sets.items():
            keys = picture_keys(pictures.images_rgb)
            for row, key in enumerate(keys):
                if key not in places:
                    places[key] = len(places)
                    images.append(pictures.images_rgb[row])
            self._rows[name] = np.array([places[key] for key in keys])
        self.images_rgb = np.stack(images)

    def spread(self, answers: NDArray[np.int64]) -> Answers:
        """Answers to the unique pictures as answers to each set."""
        return {name: answers[rows] for name, rows in self._rows.items()}


class Experiment:
    """All arms over one split."""

    def __init__(self, plan: Plan, rubric: Rubric, parts: Parts, sets: Mapping[str, PictureSet], out: Path) -> None:
        self.plan, self.rubric, self.parts, self.sets, self.out = plan, rubric, parts, sets, out
        self.unique = Unique(sets)
        self._seen = SeenPictures()

    def run(self, arm: str, seed: int) -> Result:
        """Train what the arm needs and ask it everything.

        Raises:
            BadInputError: an arm before those it begins from.
        """
        began = time.process_time()
        if arm == "cnn":
            net, steps = train_cnn(self.parts.train, len(self.rubric.labels), self.plan.cnn, seed)
            seconds = time.process_time() - began
            return Result(steps, seconds, 0, self.unique.spread(ask_cnn(net, self.unique.images_rgb)))
        if arm == "pose-rule":
            rule = fit_pose_rule(self.parts.train, len(self.rubric.labels))
            asked = {name: rule.ask(pictures) for name, pictures in self.sets.items()}
            known = {name: labels for name, labels in asked.items() if labels is not None}
            return Result(0, time.process_time() - began, 0, known)
        adapter, steps, rounds = self._adapter(arm, seed)
        seconds = time.process_time() - began
        question = GENERIC_QUESTIONS[0] if arm == "sft-generic" else self.rubric.question
        return Result(steps, seconds, rounds, self._ask(adapter, question))

    def _adapter(self, arm: str, seed: int) -> tuple[Path | None, int, int]:
        """(adapter, steps, accepted rounds) of an arm with a policy."""
        if arm == "shipped":
            return None, 0, 0
        if arm in ("sft-generic", "sft-specific"):
            return self._sft(arm, seed, arm.removeprefix("sft-"), self.plan.sft.steps, None), self.plan.sft.steps, 0
        start = self._needed(self._folder("sft-specific", seed) / "adapter", arm)
        if arm == "sft-longer":
            return self._longer(arm, seed, start)
        kind, method = arm.split("-", 1)
        if kind == "rounds":
            outcome = self._rounds(arm, method, seed, start)
            return outcome.champion, self._steps(arm, seed), sum(one.accepted for one in outcome.rounds)
        if kind == "inverted":
            self._rounds(arm, method, seed, start)
        return self._first(arm if kind == "inverted" else f"rounds-{method}", seed, start)

    def _longer(self, arm: str, seed: int, start: Path) -> tuple[Path, int, int]:
        """As many more supervised steps as the rounds took."""
        steps = self._steps("rounds-hadpo", seed)
        return (self._sft(arm, seed, "specific", steps, start) if steps else start), steps, 0

    def _first(self, arm: str, seed: int, start: Path) -> tuple[Path, int, int]:
        """What the first round of an arm made, whatever was thought of it."""
        folder = self._needed(self._folder(arm, seed), arm)
        first = closed_rounds(folder)[:1]
        if not first or not first[0].adapter:
            return start, 0, 0
        return folder / first[0].adapter, int(first[0].metrics["training"].get("steps", 0)), int(first[0].accepted)

    def _sft(self, arm: str, seed: int, prompts: str, steps: int, start: Path | None) -> Path:
        """Supervised fine-tuning; for equal cost each step sees as many pictures as a step of the rounds does."""
        folder, plan = self._folder(arm, seed), self.plan
        settings = replace(plan.sft, seed=seed, steps=steps, threads=plan.threads)
        if start is not None:
            settings = replace(settings, batch_size=plan.preference.batch_size + plan.preference.sft_batch_size)
        weights = plan.weights
        policy = load_policy(
            weights.base,
            adapter=start,
            trainable=cast(Trainable, weights.trainable),
            lora=LoraSettings(weights.rank, weights.alpha, vision=weights.vision, projector=weights.projector),
            seed=seed,
        )
        resume = (folder / STATE_FILE).is_file()
        return finetune(policy, self.parts.train, self.rubric, settings, folder, prompts=prompts, resume=resume).adapter

    def _rounds(self, arm: str, method: str, seed: int, start: Path) -> Outcome:
        """Preference rounds by a method; with inverted pairs one alone."""
        plan, folder = self.plan, self._folder(arm, seed)
        inverted = plan.inverted_share if arm.startswith("inverted") else 0.0
        changes = dict(plan.methods.get(method, {}))
        if method == "robust":
            changes["epsilon"] = plan.inverted_share
        preference = replace(plan.preference, method=method, threads=plan.threads, **changes)
        learns = {name: value for name, value in asdict(plan.weights).items() if name != "base"}
        choice = PolicyChoice(base=plan.weights.base, adapter=str(start), **learns)
        settings = RoundsSettings(
            name=arm, rounds=1 if inverted else plan.rounds, patience=plan.patience, seed=seed, invert_share=inverted,
            rubric=self.rubric.rubric_id, data=RoundData(plan.data.domain), model=choice, sampling=plan.sampling,
            pairs=plan.pairs, preference=preference, guards=plan.guards, acceptance=plan.acceptance,
        )  # fmt: skip
        engine = PolicyEngine(choice, preference, self.out / "cache", seed=seed, seen=self._seen)
        resume = (folder / RUN_FILE).is_file()
        return run_rounds(settings, self.rubric, self.parts, engine, folder, resume=resume, tell=_say)

    def _ask(self, adapter: Path | None, question: str) -> Answers:
        voice = PolicyVoice(load_policy(self.plan.weights.base, adapter=adapter), self._seen)
        phrases = [label.phrase for label in self.rubric.labels]
        return self.unique.spread(score_in_batches(voice, self.unique.images_rgb, question, phrases).argmax(axis=1))

    def _steps(self, arm: str, seed: int) -> int:
        """Optimiser steps over all rounds of an arm, refused ones too: they cost as much."""
        rounds = closed_rounds(self._needed(self._folder(arm, seed), "sft-longer"))
        return sum(int(one.metrics["training"].get("steps", 0)) for one in rounds)

    def _folder(self, arm: str, seed: int) -> Path:
        return self.out / f"seed_{seed}" / arm

    def _needed(self, path: Path, arm: str) -> Path:
        if not path.is_dir():
            raise BadInputError(f"{arm}: begins from {path}, which is not there. Run the arm {path.parent.name} first.")
        return path


def _say(line: str) -> None:
    print(f"  {line}", flush=True)
