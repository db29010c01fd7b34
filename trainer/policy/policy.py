"""A model that is asked and trained: log-probabilities of answers that share one prompt, scores, greedy answers.

This file knows no loss and no data. Loading and saving are in load.py and adapter.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monitor.errors import BadInputError
from monitor.vlm.checkpoint.asking import Asking
from monitor.vlm.checkpoint.packing import Ids
from monitor.vlm.checkpoint.sight import Pixels
from monitor.vlm.checkpoint.talk import Talk
from trainer.policy.adapter import Origin, save_adapter

Pictures = NDArray[np.uint8] | Sequence[NDArray[np.uint8]]
"""(B, S, S, 3) red-green-blue, or a list of pictures of any size."""


class Policy:
    """Any image-text-to-text model with all that is needed to ask and to train it."""

    def __init__(self, model: Any, talk: Talk, origin: Origin) -> None:
        """Join the parts; `load_policy` does it.

        Args:
            model: a model of transformers, or the PeftModel around it.
            talk: how it is asked.
            origin: where it comes from, and what of it learns.
        """
        self.model = model
        self.talk = talk
        self.origin = origin
        self._asking = Asking(self.core, talk, origin.base)
        self.sight = self._asking.sight

    @property
    def core(self) -> Any:
        """The model of transformers itself; layers of an adapter sit inside of it."""
        inner = getattr(self.model, "get_base_model", None)
        return inner() if inner else self.model

    @property
    def processor(self) -> Any:
        """The processor, as TRL's trainers take it."""
        return self.talk.processor

    @property
    def side_px(self) -> int:
        """Side of the pictures that the model reads."""
        return self.talk.side_px

    @property
    def base_sha256(self) -> str:
        """Hash of the base's weights, configuration and tokenizer."""
        return self.origin.base_sha256

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return torch.device(self.core.device)

    def trained(self) -> dict[str, torch.nn.Parameter]:
        """Every weight that learns, by its name in `model`."""
        return {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}

    # What it sees and reads

    def prepare(self, images_rgb: Pictures) -> Pixels:
        """Pictures as the model takes them, prepared as at run time."""
        return self.talk.pixels(list(images_rgb))

    def prompt_ids(self, question: str) -> list[int]:
        """All tokens before the answer; each image feature has its marker."""
        return self.talk.prompt_ids(question)

    def answer_ids(self, phrase: str) -> list[int]:
        """The tokens of an answer, with the one that ends it."""
        return self.talk.answer_ids(phrase)

    def look(self, pixels: Pixels) -> Tensor:
        """The frozen part of seeing, to be kept between steps; see `Sight.look`."""
        return self.sight.look(pixels)

    def image_features(self, seen: Pixels | Tensor) -> Tensor:
        """Image features (B, N, W), of pixels or of what `look` gave; with gradient only where something learns."""
        return self.sight.finish(self.look(seen) if isinstance(seen, Pixels) else seen)

    def encode(self, images_rgb: Pictures, batch_size: int = 32) -> Tensor:
        """`look` at many pictures, in batches: (B, …) in memory of the processor."""
        if not len(images_rgb):
            raise BadInputError("no pictures to look at")
        parts = []
        with torch.no_grad():
            for start in range(0, len(images_rgb), batch_size):
                parts.append(self.look(self.prepare(images_rgb[start : start + batch_size])).cpu())
        return torch.cat(parts)

    # What it says

    def answer_logps(
        self,
        features: Tensor,
        prompt_ids: Ids | Sequence[Ids],
        answers_ids: Sequence[Ids] | Sequence[Sequence[Ids]],
    ) -> Tensor:
        """(B, A) sums of the answers' log-probabilities, of `image_features`; see `Asking.answer_logps`."""
        return self._asking.answer_logps(features, prompt_ids, answers_ids)

    @torch.no_grad()
    def score(
        self, images_rgb: Pictures, question: str, phrases: Sequence[str], batch_size: int = 64
    ) -> NDArray[np.float64]:
        """Log-probabilities of phrases as answers, renormalised over them: (B, L); exponentials of a row sum to 1."""
        rows = [np.zeros((0, len(phrases)))]
        with self.resting():
            for start in range(0, len(images_rgb), batch_size):
                pixels = self.prepare(images_rgb[start : start + batch_size])
                rows.append(self.score_features(self.image_features(pixels), question, phrases))
        return np.concatenate(rows)

    @torch.no_grad()
    def score_features(self, features: Tensor, question: str, phrases: Sequence[str]) -> NDArray[np.float64]:
        """The same from features that are at hand."""
        answers = [self.answer_ids(phrase) for phrase in phrases]
        scores = self.answer_logps(features, self.prompt_ids(question), answers)
        return scores.log_softmax(-1).double().cpu().numpy()

    @torch.no_grad()
    def generate(self, images_rgb: Pictures, question: str, max_new_tokens: int = 24) -> list[str]:
        """What the model says of itself, greedily; special tokens are left out."""
        with self.resting():
            pixels = self.prepare(images_rgb)
            said = self._asking.say(pixels, self.prompt_ids(question), max_new_tokens)
        return [self.talk.decode(ids) for ids in said]

    # Its states

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Without dropout, and afterwards as before."""
        training = self.model.training
        self.model.eval()
        try:
            yield
        finally:
            self.model.train(training)

    def without_adapter(self) -> Any:
        """A context in which the model answers as before its LoRA adapter; nothing else is undone."""
        return self.model.disable_adapter() if hasattr(self.model, "disable_adapter") else nullcontext()

    def save_adapter(self, folder: Path, story: dict[str, Any] | None = None) -> Path:
        """Write what was learned as an adapter folder; see `trainer.policy.adapter.save_adapter`."""
        return save_adapter(self.model, self.origin, folder, story or {})
