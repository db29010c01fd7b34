"""One training step of the embedded model, with its averaged weights and its state on disk.

This file knows the losses and the optimiser, and neither files of pictures nor the clock.
"""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from monitor.errors import BadInputError
from trainer.augment import Augmentation, augment, plain
from trainer.corpora.record import PictureSet
from trainer.dialogue import Dialogue, answer_loss
from trainer.evaluation.metrics import score
from trainer.feed import Batch
from trainer.model import Checkpoint, normalise_floats, say, see
from trainer.optimizer import Optimizer
from trainer.restyle import restyle
from trainer.settings import SftSettings
from trainer.teacher import Judgement, Teacher, VisionHeads, imitation_loss, truth_loss


class Student:
    """The model in training."""

    def __init__(
        self, checkpoint: Checkpoint, dialogue: Dialogue, settings: SftSettings, teacher: Teacher | None
    ) -> None:
        self.checkpoint = checkpoint
        self.settings = settings
        self.model = checkpoint.model
        # On a processor the fused attention's backward pass is slower than plain matrix products (measured: 74
        # against 121 pictures a second); the weights are the same.
        self.model.set_attn_implementation("eager")
        if settings.training.compile:
            # In place: the names of the weights stay as they are.
            self.model.model.vision_model.compile()
        self._teacher = teacher
        self._dialogue = dialogue
        width = self.model.config.vision_config.hidden_size
        channels = teacher.map_channels if teacher else 1
        torch.manual_seed(settings.training.seed + 1)
        self.heads = VisionHeads(width, len(dialogue.rubric.labels), channels)
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self._start = copy.deepcopy(self.average) if settings.training.start_share else None
        self._optimizer = Optimizer(self.model, self.heads, settings.training)
        later = settings.teacher.later_rate
        self._teacher_optimizer = (
            torch.optim.AdamW(teacher.parameters(), lr=later, weight_decay=0.05, fused=True)
            if teacher and later
            else None
        )
        if teacher:
            teacher.train(bool(later)).requires_grad_(bool(later))
        self._steps = 0
        self._chance = torch.Generator().manual_seed(settings.training.seed + 2)
        self._words = random.Random(settings.training.seed + 3)

    def step(self, batch: Batch, rate: float, progress: float) -> dict[str, float]:
        """Learn from one batch.

        Args:
            batch: pictures and truth.
            rate: factor on the peak learning rate.
            progress: share of the run that is done; imitation fades with it.

        Returns:
            the losses, by name.
        """
        self.model.train()
        losses = self._losses(batch, rate, progress)
        total = torch.stack(list(losses.values())).sum()
        self._optimizer.zero_grad()
        torch.autograd.backward(total)
        torch.nn.utils.clip_grad_norm_([*self.model.parameters(), *self.heads.parameters()], 1.0)
        self._optimizer.step(rate)
        self._follow()
        return {name: float(value.detach()) for name, value in losses.items()}

    @torch.no_grad()
    def glance(self, pictures: PictureSet) -> float:
        """Macro-F1 of the auxiliary head, to watch a run whose words have not been learned yet."""
        known = pictures.take(np.flatnonzero(pictures.labels >= 0))
        size = self.checkpoint.card.image_size
        guesses = []
        for start in range(0, len(known), 100):
            images = torch.from_numpy(known.images_rgb[start : start + 100]).permute(0, 3, 1, 2)
            patches, _ = see(self.average, normalise_floats(plain(images, size)))
            guesses.append(self.heads(patches).label_logits.argmax(-1))
        return score(known.labels, torch.cat(guesses).numpy(), len(self._dialogue.rubric.labels)).macro_f1

    def averaged(self) -> Checkpoint:
        """The model with averaged weights, and its share of the starting ones: what is measured and saved."""
        model = self.average
        if self._start is not None:
            model = copy.deepcopy(self.average)
            ours, theirs = list(model.parameters()), list(self._start.parameters())
            torch._foreach_lerp_(ours, theirs, self.settings.training.start_share)
        return Checkpoint(model, self.checkpoint.tokenizer, self.checkpoint.card)

    def save(self, path: Path, extra: dict[str, Any]) -> None:
        """Write all that is needed to go on."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "heads": self.heads.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "steps": self._steps,
            "chance": self._chance.get_state(),
            "words": self._words.getstate(),
            **extra,
        }
        if self._teacher and self._teacher_optimizer:
            state["teacher"] = self._teacher.state_dict()
            state["teacher_optimizer"] = self._teacher_optimizer.state_dict()
        staging = path.with_suffix(".writing")
        torch.save(state, staging)
        staging.replace(path)

    def restore(self, path: Path) -> dict[str, Any]:
        """Go on from what `save` wrote; returns all of it.

        Raises:
            BadInputError: it was written with another optimizer.
        """
        # Our own file, with Python's random state in it: more than weights.
        state: dict[str, Any] = torch.load(path, weights_only=False)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.heads.load_state_dict(state["heads"])
        try:
            self._optimizer.load_state_dict(state["optimizer"])
        except ValueError as error:
            raise BadInputError(
                f"{path}: not the state of optimizer {self.settings.training.optimizer!r} ({error}). Resume with the "
                "configuration and the version that the run began with, or begin anew in another folder."
            ) from error
        self._steps = state["steps"]
        self._chance.set_state(state["chance"])
        self._words.setstate(state["words"])
        if self._teacher and self._teacher_optimizer:
            self._teacher.load_state_dict(state["teacher"])
            self._teacher_optimizer.load_state_dict(state["teacher_optimizer"])
        return state

    def _losses(self, batch: Batch, rate: float, progress: float) -> dict[str, Tensor]:
        training, lessons = self.settings.training, self.settings.teacher
        size = self.checkpoint.card.image_size
        how = Augmentation(**self.settings.augmentation_at(progress))
        pixels, angles = augment(batch.images, batch.angles_deg, batch.face_boxes_px, size, how, self._chance)
        # The teacher sees the view as it was, the student restyled: what is the same in both is what counts.
        lesson = self._lesson(normalise_floats(pixels), batch.labels, angles, rate)
        pixels = normalise_floats(restyle(pixels, how, self._chance))
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=training.half_precision):
            patches, seen = see(self.model, pixels)
            judged = self.heads(patches)
        weight = 1.0 if progress >= training.lead else 0.1 + 0.9 * progress / training.lead
        losses = {"truth": truth_loss(judged, batch.labels, angles) * training.truth_weight * weight}
        if progress >= training.text_from:
            losses["answer"] = self._answer_loss(seen, batch.labels, angles) * training.answer_weight
        if lesson is not None:
            odds, features = imitation_loss(judged, lesson)
            losses["odds"] = odds * lessons.odds_weight * weight
            losses["map"] = features * lessons.map_weight * (1 - progress)
        return losses

    def _lesson(self, pixels: Tensor, labels: Tensor, angles: Tensor, rate: float) -> Judgement | None:
        """What the teacher says of the same views; it goes on learning from them, at a tenth of the student's cost."""
        if self._teacher is None:
            return None
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.settings.training.half_precision):
            said: Judgement = self._teacher(pixels.contiguous(memory_format=torch.channels_last))
        if self._teacher_optimizer is not None:
            for group in self._teacher_optimizer.param_groups:
                group["lr"] = self.settings.teacher.later_rate * rate
            self._teacher_optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(truth_loss(said, labels, angles))
            self._teacher_optimizer.step()
        return Judgement(said.label_logits.detach(), said.angles.detach(), said.map.detach())

    def _answer_loss(self, seen: Tensor, labels: Tensor, angles: Tensor) -> Tensor:
        ids, targets, owner = self._conversation(labels, angles)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.settings.training.half_precision):
            logits = say(self.model, seen[owner], ids)
        return answer_loss(logits, targets)

    def _conversation(self, labels: Tensor, angles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens and targets of all turns, and which picture each is about."""
        turns: list[tuple[str, str]] = []
        owner: list[int] = []
        for row, (label, angle) in enumerate(zip(labels.tolist(), angles.tolist(), strict=True)):
            about = self._dialogue.turns(label, angle[2:], self._words)
            turns += about
            owner += [row] * len(about)
        ids, targets = self._dialogue.tokens(turns)
        return ids, targets, torch.tensor(owner)

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards the weights; quickly at first, when it still holds random ones."""
        self._steps += 1
        decay = min(self.settings.training.average, (1 + self._steps) / (10 + self._steps))
        ours, theirs = list(self.average.parameters()), list(self.model.parameters())
        torch._foreach_lerp_(ours, theirs, 1 - decay)
