"""Asks a checkpoint about labelled pictures and reports how it did, with intervals over people.

This file knows the model's door and the figures; it trains nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from monitor.rubric import Rubric
from monitor.vlm.pixels import fit_square
from trainer.corpora.record import PictureSet
from trainer.evaluation.intervals import bootstrap_by_person
from trainer.evaluation.metrics import expected_calibration_error, majority_baseline, score
from trainer.model import Checkpoint, normalise, score_phrases

BATCH = 100


def ask(
    checkpoint: Checkpoint, images_rgb: NDArray[np.uint8], question: str, phrases: Sequence[str]
) -> NDArray[np.float64]:
    """Probabilities (N, len(phrases)) of the phrases as answers.

    Args:
        checkpoint: which model.
        images_rgb: (N, S, S, 3); resized as the runtime does where S is not the model's.
        question: what is asked.
        phrases: what may be answered.
    """
    side = checkpoint.card.image_size
    checkpoint.model.eval()
    rows = []
    for start in range(0, len(images_rgb), BATCH):
        part = [fit_square(image, side) for image in images_rgb[start : start + BATCH]]
        pixels = normalise(torch.from_numpy(np.stack(part)).permute(0, 3, 1, 2))
        rows.append(score_phrases(checkpoint, pixels, question, phrases).exp().double().numpy())
    return np.concatenate(rows) if rows else np.zeros((0, len(phrases)))


def evaluate(checkpoint: Checkpoint, pictures: PictureSet, rubric: Rubric, *, draws: int = 1000) -> dict[str, Any]:
    """Figures of the rubric's question on pictures that have a label.

    Returns:
        macro_f1 with its 95 % interval over people, accuracy, f1 per label, confusion (rows are the truth), the
        majority baseline, expected calibration error, and the counts of pictures and people.
    """
    known = pictures.take(np.flatnonzero(pictures.labels >= 0))
    phrases = [label.phrase for label in rubric.labels]
    probabilities = ask(checkpoint, known.images_rgb, rubric.question, phrases)
    return figures(probabilities, known.labels, known.persons, rubric.names, draws=draws)


def figures(
    probabilities: NDArray[np.float64],
    truth: NDArray[np.int64],
    persons: Sequence[str],
    names: Sequence[str],
    *,
    draws: int = 1000,
) -> dict[str, Any]:
    """The same from probabilities that are at hand."""
    count = len(names)
    guess = probabilities.argmax(axis=1)
    scores = score(truth, guess, count)
    low, high = bootstrap_by_person(persons, lambda rows: score(truth[rows], guess[rows], count).macro_f1, draws=draws)
    return {
        "pictures": len(truth),
        "persons": len(set(persons)),
        "macro_f1": round(scores.macro_f1, 4),
        "macro_f1_interval": [round(low, 4), round(high, 4)],
        "accuracy": round(scores.accuracy, 4),
        "f1": {name: round(float(value), 4) for name, value in zip(names, scores.f1, strict=True)},
        "confusion": scores.confusion.tolist(),
        "majority_macro_f1": round(majority_baseline(truth, count).macro_f1, 4),
        "ece": round(expected_calibration_error(probabilities, truth), 4),
    }
