"""Trains the convolutional teacher: the first part of a run, kept on disk for the rest.

This file knows no text and no embedded model.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from trainer.augment import Augmentation, augment
from trainer.corpora.record import PictureSet
from trainer.evaluation.metrics import score
from trainer.feed import Feed
from trainer.model import normalise, normalise_floats
from trainer.schedule import Schedule
from trainer.settings import SftSettings
from trainer.teacher import Teacher, truth_loss

Report = Callable[[str, float, dict[str, float]], None]
"""Takes the phase, its progress 0 to 1, and figures."""


def train_teacher(feed: Feed, size: int, labels: int, settings: SftSettings, report: Report) -> Teacher:
    """Teach the teacher, from nothing.

    Args:
        feed: pictures.
        size: side of the pictures in pixels.
        labels: how many labels there are.
        settings: of the run; its [teacher] table counts.
        report: told of progress.

    Returns:
        the averaged teacher, in evaluation mode.
    """
    wanted = settings.teacher
    torch.manual_seed(settings.training.seed)
    chance = torch.Generator().manual_seed(settings.training.seed)
    teacher = Teacher(labels, wanted.widths)
    average = copy.deepcopy(teacher).requires_grad_(False)
    optimizer = torch.optim.AdamW(teacher.parameters(), lr=wanted.learning_rate, weight_decay=0.05, fused=True)
    schedule = Schedule(steps=wanted.steps, seconds=wanted.minutes * 60, warmup=settings.training.warmup)
    while not schedule.over:
        feed.refresh()
        for batch in feed.epoch(wanted.batch_size, chance):
            for group in optimizer.param_groups:
                group["lr"] = wanted.learning_rate * schedule.advance()
            how = Augmentation(**settings.augmentation_at(schedule.progress))
            pixels, angles = augment(batch.images, batch.angles_deg, batch.face_boxes_px, size, how, chance)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=settings.training.half_precision):
                judged = teacher(normalise_floats(pixels).contiguous(memory_format=torch.channels_last))
            loss = truth_loss(judged, batch.labels, angles)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
            _follow(average, teacher, min(0.998, (1 + schedule.step) / (10 + schedule.step)))
            report("teacher", schedule.progress, {"truth": float(loss.detach()), "pictures": float(feed.size)})
            if schedule.over:
                break
    average.eval()
    return average


def load_or_train(
    path: Path, feed: Feed, size: int, labels: int, settings: SftSettings, report: Report
) -> Teacher | None:
    """The teacher of an earlier process of this run, or a new one; None where the settings want none."""
    if settings.teacher.steps <= 0 and settings.teacher.minutes <= 0:
        return None
    if path.is_file():
        teacher = Teacher(labels, settings.teacher.widths)
        teacher.load_state_dict(torch.load(path, weights_only=True))
        teacher.eval()
        return teacher
    teacher = train_teacher(feed, size, labels, settings, report)
    torch.save(teacher.state_dict(), path)
    return teacher


@torch.no_grad()
def teacher_macro_f1(teacher: Teacher, pictures: PictureSet, labels: int) -> float:
    """How well the teacher itself does: what imitation can be expected to reach."""
    teacher.eval()
    known = pictures.take(np.flatnonzero(pictures.labels >= 0))
    guesses = [
        teacher(normalise(torch.from_numpy(known.images_rgb[i : i + 100]).permute(0, 3, 1, 2))).label_logits.argmax(-1)
        for i in range(0, len(known), 100)
    ]
    return score(known.labels, torch.cat(guesses).numpy(), labels).macro_f1


@torch.no_grad()
def _follow(average: Teacher, teacher: Teacher, decay: float) -> None:
    for ours, theirs in zip(average.parameters(), teacher.parameters(), strict=True):
        ours.lerp_(theirs, 1 - decay)
    for kept, fresh in zip(average.buffers(), teacher.buffers(), strict=True):
        kept.copy_(fresh)
