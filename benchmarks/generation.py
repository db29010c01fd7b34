"""The way most programs ask such a model: `generate` of `transformers`, in fp32 on the processor, as fast as it can be.

Greedy, with its cache of keys and values, no token more than the answer needs, stopping where the answer ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.utils import logging as transformers_logging

from export.checkpoint import Asked, open_checkpoint
from monitor.vlm.prompt import answer_text, prompt_text


class Generator:
    """A checkpoint that writes its answers."""

    def __init__(self, folder: Path, asked: Asked, threads: int) -> None:
        torch.set_num_threads(threads)
        transformers_logging.set_verbosity_error()
        opened = open_checkpoint(folder)
        self._tokenizer, self._model, self._phrases = opened.tokenizer, opened.model, asked.phrases
        self._model.config.use_cache = self._model.generation_config.use_cache = True
        self._mean, self._std = (torch.tensor(opened.card[key])[:, None, None] for key in ("mean", "std"))
        self._prompt = self._ids(prompt_text(asked.question, int(opened.card["image_tokens"])))
        self._lengths = [len(self._ids(answer_text(phrase))) for phrase in asked.phrases]

    @property
    def shortest(self) -> int:
        """Tokens of the shortest answer, its end included."""
        return min(self._lengths)

    @torch.inference_mode()
    def answer(self, pixels: NDArray[np.uint8], most_tokens: int | None = None) -> list[str]:
        """What it says of crops (B, side, side, 3), in one batch; at most so many tokens each."""
        images = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - self._mean) / self._std
        ids = torch.tensor(self._prompt).expand(len(pixels), -1)
        told = self._model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            pixel_values=images[:, None],
            max_new_tokens=most_tokens or max(self._lengths),
            do_sample=False,
        )
        texts = self._tokenizer.decode_batch(told[:, ids.shape[1] :].tolist(), skip_special_tokens=True)
        return [text.strip() for text in texts]

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)


def crops_per_s(
    answerers: Sequence[Callable[[NDArray[np.uint8]], object]],
    pixels: Sequence[NDArray[np.uint8]],
    clock: Callable[[], float],
    repeats: int,
) -> list[float]:
    """Crops a second of each answerer on its own batch, the median of `repeats`; they run in turn."""
    for answer, batch in zip(answerers, pixels, strict=True):
        answer(batch)
    times = np.empty((repeats, len(answerers)))
    for row in range(repeats):
        for column, (answer, batch) in enumerate(zip(answerers, pixels, strict=True)):
            started = clock()
            answer(batch)
            times[row, column] = clock() - started
    return [len(batch) / float(spent_s) for batch, spent_s in zip(pixels, np.median(times, axis=0), strict=True)]
