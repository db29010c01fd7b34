"""Asks a checkpoint, in fp32, any questions about pictures: each picture is looked at once for all of them.

The label graph that ships scores the rubric's labels alone; yes/no probes, and the proof that half-precision weights
answer the same, need the whole model. It knows no figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.checkpoint import Checkpoint

_BATCH_PX = 64 * 128 * 128
"""Pixels of the pictures that are looked at at once: memory grows with them."""

Question = tuple[str, Sequence[str]]
"""What is asked, and the phrases that may answer it."""


@torch.no_grad()
def answer(
    checkpoint: Checkpoint, pixels: NDArray[np.uint8], questions: Sequence[Question]
) -> list[NDArray[np.float64]]:
    """Exact log-probabilities of phrases as answers, renormalised over each question's phrases.

    Args:
        checkpoint: whom to ask.
        pixels: (N, side, side, 3) red-green-blue.
        questions: each with its phrases.

    Returns:
        for each question (N, phrases).
    """
    found: list[list[NDArray[np.float64]]] = [[] for _ in questions]
    at_once = max(1, _BATCH_PX // pixels.shape[1] ** 2)
    for start in range(0, len(pixels), at_once):
        seen = _look(checkpoint, pixels[start : start + at_once])
        for place, (question, phrases) in enumerate(questions):
            scores = torch.stack([_score(checkpoint, seen, question, phrase) for phrase in phrases], dim=1)
            found[place].append(scores.log_softmax(-1).double().numpy())
    return [np.concatenate(rows) if rows else np.zeros((0, 0)) for rows in found]


def _look(checkpoint: Checkpoint, pixels: NDArray[np.uint8]) -> Tensor:
    """Image tokens (B, tokens, width)."""
    images = checkpoint.talk.pixels(list(pixels)).values[:, 0]
    core = checkpoint.model.model
    seen: Tensor = core.connector(core.vision_model(pixel_values=images).last_hidden_state)
    return seen


def _score(checkpoint: Checkpoint, seen: Tensor, question: str, phrase: str) -> Tensor:
    """(B,) log-probability of the phrase after the question and the picture."""
    model: Any = checkpoint.model
    prompt = checkpoint.talk.prompt_ids(question)
    start = len(prompt)
    batch = torch.tensor(prompt + checkpoint.talk.answer_ids(phrase)).expand(len(seen), -1)
    embedded = model.model.text_model.get_input_embeddings()(batch)
    markers = (batch == model.config.image_token_id).unsqueeze(-1)
    embedded = embedded.masked_scatter(markers, seen.to(embedded.dtype))
    states = model.model.text_model(inputs_embeds=embedded, use_cache=False).last_hidden_state[:, start - 1 : -1]
    told: Tensor = model.lm_head(states).log_softmax(-1).gather(2, batch[:, start:, None])
    return told.sum((1, 2))
