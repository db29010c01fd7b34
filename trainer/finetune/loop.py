"""The loop of fine-tuning: lessons in, losses down, an adapter out; resumable to the very same losses.

What is dealt, asked and changed at a step depends on seed and step alone, so a state is weights, optimiser and a
number. This file knows no corpus and no configuration file.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from monitor.errors import BadInputError, ClassroomError
from monitor.rubric import Rubric
from trainer.augment import Augmentation
from trainer.corpora.record import PictureSet
from trainer.finetune.lessons import Deck, Lesson, Teaching
from trainer.finetune.pictures import Album
from trainer.finetune.settings import LearningSettings
from trainer.finetune.state import (
    STATE_FILE,
    State,
    cut_losses,
    load_state,
    log_loss,
    read_losses,
    save_state,
)
from trainer.finetune.stopping import Stopping
from trainer.memory import advising, next_batch_size
from trainer.policy import Policy
from trainer.schedule import Schedule

ADAPTER_FOLDER = "adapter"
Report = Callable[[int, float], None]
"""Told after each step: steps that are done, and the loss."""


class LossNotFiniteError(ClassroomError):
    """A loss that is no number; the last good state is kept."""


@dataclass(frozen=True)
class FinetuneRun:
    """What a run leaves."""

    adapter: Path
    """Folder of the adapter."""
    losses: list[float]
    """One a step, from the first."""


def finetune(  # noqa: PLR0913 - what is learned, from what, how, and where to
    policy: Policy,
    pictures: PictureSet,
    rubric: Rubric,
    settings: LearningSettings,
    out: Path,
    *,
    prompts: str = "specific",
    augmentation: Augmentation | None = None,
    resume: bool = False,
    story: dict[str, Any] | None = None,
    report: Report | None = None,
) -> FinetuneRun:
    """Fine-tune a policy on labelled pictures.

    Args:
        policy: loaded with what is to learn ("lora", "projector" or "full"); it is changed in place.
        pictures: any; those without a label are left out.
        rubric: what is asked and answered.
        settings: how long, how fast, how balanced.
        out: folder of the run: state, losses, adapter.
        prompts: "specific" or "generic".
        augmentation: of views beyond the plain one.
        resume: go on where an earlier run in `out` stopped.
        story: goes into the adapter's manifest.
        report: told after each step.

    Raises:
        BadInputError: nothing to learn or to learn from, a folder that holds another run, or out of memory.
        BundleError: a state that was cut short.
        LossNotFiniteError: the loss is no number; the adapter of the last good state is in `out`.
        KeyboardInterrupt: after Ctrl-C, once the state is saved.
    """
    known = pictures.take(np.flatnonzero(pictures.labels >= 0))
    _require(policy, known, rubric)
    run = _Run(policy, known, rubric, settings, out, prompts, augmentation or Augmentation())
    run.start(resume)
    return run.go(story or {}, report or (lambda _step, _loss: None))


class _Run:
    """One process of a run."""

    def __init__(
        self,
        policy: Policy,
        pictures: PictureSet,
        rubric: Rubric,
        settings: LearningSettings,
        out: Path,
        prompts: str,
        how: Augmentation,
    ) -> None:
        self.policy, self.settings, self.out = policy, settings, out
        self.labels = pictures.labels
        self.deck = Deck(self.labels, settings.seed, balanced=settings.balanced)
        self.teaching = Teaching(
            rubric, prompts=prompts, paraphrased=settings.paraphrased, probes=settings.probes, seed=settings.seed
        )
        self.weights = policy.trained()
        self.optimizer = torch.optim.AdamW(
            list(self.weights.values()), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.fingerprint = _fingerprint(policy, pictures, rubric, settings, (prompts, asdict(how)))
        self.step = 0
        self._pictures, self._how = pictures, how

    def start(self, resume: bool) -> None:
        """From nothing, or from the saved state; the state's step counts, not what was logged after it."""
        if (self.out / STATE_FILE).is_file() != resume:
            raise BadInputError(
                f"{self.out}: no run to resume ({STATE_FILE} is missing); start it without --resume."
                if resume
                else f"{self.out}: holds a run already; add --resume to go on with it, or give another --out."
            )
        self.out.mkdir(parents=True, exist_ok=True)
        if resume:
            self.restore()
        cut_losses(self.out, self.step)

    def restore(self) -> None:
        """Take the saved state up.

        Raises:
            BadInputError: it is of another run.
        """
        state = load_state(self.out)
        if state.fingerprint != self.fingerprint:
            raise BadInputError(
                f"{self.out}: the run there has another base, other pictures or other settings. Give another --out."
            )
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(state.weights[name])
        self.optimizer.load_state_dict(state.optimizer)
        self.step = state.step

    def go(self, story: dict[str, Any], report: Report) -> FinetuneRun:
        """All steps that are left, then the adapter."""
        album = Album(self.policy, self._pictures, self.settings, self._how)
        schedule = Schedule(steps=self.settings.steps, seconds=0.0, warmup=self.settings.warmup)
        schedule.step = self.step
        self.policy.model.train()
        try:
            with Stopping() as stopping:
                while self.step < self.settings.steps:
                    rate = schedule.advance() * self.settings.learning_rate
                    loss = self._learn(album, rate)
                    log_loss(self.out, self.step, loss, rate)
                    self.step += 1
                    report(self.step, loss)
                    if stopping.wanted:
                        self._save()
                        raise KeyboardInterrupt
        except LossNotFiniteError:
            self._keep_last_good(story)
            raise
        finally:
            self.policy.model.eval()
        self._save()
        told = {**story, "steps": self.step, "settings": asdict(self.settings)}
        return FinetuneRun(self.policy.save_adapter(self.out / ADAPTER_FOLDER, told), read_losses(self.out))

    def _learn(self, album: Album, rate: float) -> float:
        """One step; the state is saved where it is due, and only after these weights gave a loss that is a number."""
        size = self.settings.batch_size
        lessons = self.teaching.lessons(self.deck.rows(self.step, size), self.labels, self.step)
        torch.manual_seed(self.settings.seed * 1_000_003 + self.step)  # dropout of this step
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with advising(next_batch_size(size)):
            features = album.features([lesson.row for lesson in lessons], self.step)
            loss = self._loss(features, lessons)
            value = float(loss.detach())
            self._require_finite(value, "loss")
            if self.step % self.settings.save_every == 0:
                self._save()
            self.optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            length = torch.nn.utils.clip_grad_norm_(self.weights.values(), self.settings.clip)
            self._require_finite(float(length), "gradient")
            self.optimizer.step()
        return value

    def _loss(self, features: Tensor, lessons: list[Lesson]) -> Tensor:
        """Mean negative log-probability of the right answers."""
        prompts = [self.policy.prompt_ids(lesson.question) for lesson in lessons]
        if self.settings.objective == "answer":
            said = [[self.policy.answer_ids(lesson.answers[lesson.right])] for lesson in lessons]
            return -self.policy.answer_logps(features, prompts, said).mean()
        losses = []
        # Rows with equally many answers go together: labels, and yes or no.
        for count in sorted({len(lesson.answers) for lesson in lessons}):
            places = [place for place, lesson in enumerate(lessons) if len(lesson.answers) == count]
            answers = [[self.policy.answer_ids(text) for text in lessons[place].answers] for place in places]
            scores = self.policy.answer_logps(features[places], [prompts[place] for place in places], answers)
            right = torch.tensor([lessons[place].right for place in places], device=scores.device)
            losses.append(torch.nn.functional.cross_entropy(scores, right, reduction="sum"))
        return torch.stack(losses).sum() / len(lessons)

    def _require_finite(self, value: float, what: str) -> None:
        if not math.isfinite(value):
            raise LossNotFiniteError(
                f"{self.out}: the {what} of step {self.step} is {value}, no number. The last good state is kept there; "
                f"try learning_rate = {self.settings.learning_rate / 3:.2g} (it was {self.settings.learning_rate:.2g})."
            )

    def _keep_last_good(self, story: dict[str, Any]) -> None:
        if not (self.out / STATE_FILE).is_file():
            return  # the very first loss: nothing was learned
        self.restore()
        cut_losses(self.out, self.step)
        self.policy.save_adapter(self.out / ADAPTER_FOLDER, {**story, "steps": self.step, "stopped": "NaN"})

    def _save(self) -> None:
        weights = {name: weight.detach().cpu().clone() for name, weight in self.weights.items()}
        save_state(self.out, State(self.step, weights, self.optimizer.state_dict(), self.fingerprint))


def _require(policy: Policy, pictures: PictureSet, rubric: Rubric) -> None:
    classes = np.unique(pictures.labels)
    if not len(pictures):
        raise BadInputError("no labelled pictures to learn from. `classroom corpus inspect` tells what a corpus holds.")
    if len(classes) < 2:
        raise BadInputError(
            f"every picture is {rubric.names[classes[0]]!r}: with one class there is nothing to tell apart."
        )
    if classes[-1] >= len(rubric.labels):
        raise BadInputError(
            f"label number {classes[-1]}: the rubric {rubric.rubric_id!r} has {len(rubric.labels)} labels, from 0."
        )
    if not policy.trained():
        raise BadInputError("nothing of this policy learns: load it with trainable = lora, projector or full.")


def _fingerprint(policy: Policy, pictures: PictureSet, rubric: Rubric, settings: LearningSettings, more: Any) -> str:
    """Hash of all that decides the losses."""
    total = hashlib.sha256(pictures.images_rgb.tobytes())
    total.update(pictures.labels.tobytes())
    told = {
        "origin": [policy.base_sha256, policy.origin.adapter_sha256, policy.origin.quantize, policy.origin.trainable],
        "weights": {name: list(weight.shape) for name, weight in policy.trained().items()},
        "rubric": [rubric.question, *(label.phrase for label in rubric.labels)],
        "settings": {**asdict(settings), "save_every": 0, "threads": 0},
        "more": more,
    }
    total.update(json.dumps(told, sort_keys=True, default=str).encode())
    return total.hexdigest()
