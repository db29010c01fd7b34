"""The last stage of supervised training: yes/no probes that fit each other and the label.

Answers to "Is the student looking at paper?" and its like are learned one by one, so a doubtful picture gets two yes.
Here the probes of a picture are answered together, by the label that the model itself finds likeliest: a model that is
wrong about a picture is then wrong in one voice. Only the text part learns, and all else that it answers is held where
it was. This file knows no files.
"""

from __future__ import annotations

import copy
import random

import torch
from torch import Tensor
from torch.nn import functional
from transformers import Idefics3ForConditionalGeneration

from monitor.vlm import prompt
from trainer.augment import Augmentation, augment
from trainer.dialogue import IGNORED, Dialogue, answer_loss
from trainer.feed import Batch, Feed
from trainer.model import Checkpoint, normalise_floats, say, score_phrases, see
from trainer.schedule import Schedule
from trainer.settings import SftSettings
from trainer.teaching import Report

LABEL_SHARE = 0.6
"""Share of pictures whose label answer is held; of the others it is the answer about the gaze."""


def teach_probes(
    checkpoint: Checkpoint, feed: Feed, dialogue: Dialogue, settings: SftSettings, report: Report
) -> Checkpoint:
    """Teach a copy of the model to answer yes to one label of each picture, the one it names.

    Args:
        checkpoint: a model that answers the rubric's question; it stays as it is.
        feed: pictures; their truth is not looked at.
        dialogue: makes tokens of questions and answers.
        settings: of the run; its [probes] table counts.
        report: told of progress.

    Returns:
        the taught model, with the same card.
    """
    wanted, training = settings.probes, settings.training
    chance = torch.Generator().manual_seed(training.seed + 4)
    words = random.Random(training.seed + 5)
    how = Augmentation(**settings.augmentation_at(1.0))
    model = copy.deepcopy(checkpoint.model).requires_grad_(False).train()
    learning = [*model.model.text_model.parameters(), *model.lm_head.parameters()]
    for weights in learning:
        weights.requires_grad_(True)
    optimizer = torch.optim.AdamW(learning, lr=wanted.learning_rate, weight_decay=0.0)
    schedule = Schedule(steps=wanted.steps, seconds=0.0, warmup=wanted.warmup)
    while not schedule.over:
        for batch in feed.epoch(wanted.batch_size, chance):
            for group in optimizer.param_groups:
                group["lr"] = wanted.learning_rate * schedule.advance()
            seen, named = _look(checkpoint, dialogue, batch, how, chance)
            losses = {
                "probes": _probe_loss(model, dialogue, seen, named),
                "kept": _distance(checkpoint.model, model, dialogue, seen, named, words) * wanted.keep_weight,
            }
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(torch.stack(list(losses.values())).sum())
            torch.nn.utils.clip_grad_norm_(learning, 1.0)
            optimizer.step()
            report("probes", schedule.progress, {name: float(value.detach()) for name, value in losses.items()})
            if schedule.over:
                break
    return Checkpoint(model.requires_grad_(True).eval(), checkpoint.tokenizer, checkpoint.card)


@torch.no_grad()
def _look(
    checkpoint: Checkpoint, dialogue: Dialogue, batch: Batch, how: Augmentation, chance: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Image tokens (B, N, width) of changed views, and the label (B,) that the model names for each."""
    size = checkpoint.card.image_size
    views, _ = augment(batch.images, batch.angles_deg, batch.face_boxes_px, size, how, chance)
    pixels = normalise_floats(views)
    _, seen = see(checkpoint.model, pixels)
    return seen, score_phrases(checkpoint, pixels, dialogue.rubric.question, dialogue.phrases).argmax(dim=1)


def _probe_loss(model: Idefics3ForConditionalGeneration, dialogue: Dialogue, seen: Tensor, named: Tensor) -> Tensor:
    """Of yes to the label that was named and no to the others, about every picture."""
    turns = [
        (prompt.probe_question(phrase), prompt.YES if index == name else prompt.NO)
        for name in named.tolist()
        for index, phrase in enumerate(dialogue.phrases)
    ]
    ids, targets = dialogue.tokens(turns)
    return answer_loss(say(model, seen.repeat_interleave(len(dialogue.phrases), dim=0), ids), targets)


def _distance(
    before: Idefics3ForConditionalGeneration,
    model: Idefics3ForConditionalGeneration,
    dialogue: Dialogue,
    seen: Tensor,
    named: Tensor,
    words: random.Random,
) -> Tensor:
    """Kullback-Leibler divergence of the next token in answers about label and gaze, from what it was before."""
    gazes = prompt.gaze_phrases()
    turns = [
        (dialogue.rubric.question, dialogue.phrases[name])
        if words.random() < LABEL_SHARE
        else (prompt.GAZE_QUESTION, words.choice(gazes))
        for name in named.tolist()
    ]
    ids, targets = dialogue.tokens(turns)
    spoken = targets != IGNORED
    with torch.no_grad():
        wanted = say(before, seen, ids)[spoken].log_softmax(-1)
    return functional.kl_div(
        say(model, seen, ids)[spoken].log_softmax(-1), wanted, log_target=True, reduction="batchmean"
    )
