"""Asks a checkpoint: exact log-probabilities of answers that share one prompt, and what it says token by token.

This file knows no rubric, no loss and no data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from monitor.errors import BadInputError
from monitor.vlm.checkpoint.answers import placed, sum_log_probs
from monitor.vlm.checkpoint.packing import Ids, pack
from monitor.vlm.checkpoint.sight import Pixels, Sight
from monitor.vlm.checkpoint.talk import Talk

Mask = Callable[[Tensor, Tensor], Tensor]
"""Takes ids so far (B, T) and next-token scores (B, V), gives scores where what may not be said is -inf."""


class Asking:
    """One model and its way of being asked."""

    def __init__(self, core: Any, talk: Talk, name: str) -> None:
        """Join the two.

        Args:
            core: a model of transformers.
            talk: how it is asked.
            name: of the model, in messages.
        """
        self.core = core
        self.talk = talk
        self.sight = Sight(core)
        self._name = name
        self._place = placed(core, talk)
        self._checked: set[tuple[tuple[int, ...], int, int]] = set()

    def answer_logps(
        self,
        features: Tensor,
        prompt_ids: Ids | Sequence[Ids],
        answers_ids: Sequence[Ids] | Sequence[Sequence[Ids]],
    ) -> Tensor:
        """Sums of the log-probabilities of answers' tokens; each prompt is computed once for all its answers.

        Args:
            features: of the pictures, (B, N, W).
            prompt_ids: one prompt for all pictures, or one for each.
            answers_ids: A answers for all pictures, or A for each.

        Returns:
            (B, A), float32, with gradient where gradients are on.

        Raises:
            BadInputError: image markers that do not fit the features, or more tokens than the model can take.
        """
        prompts: list[Ids] = _per_row(prompt_ids, 1, len(features))
        answers: list[Sequence[Ids]] = _per_row(answers_ids, 2, len(features))
        for prompt, own in set(zip(map(tuple, prompts), map(_frozen, answers), strict=True)):
            self._check(prompt, max(map(len, own)), features)
        device = torch.device(self.core.device)
        packed = pack(prompts, answers, self.talk.pad_token_id, self._place).to(device)
        width = self.core.get_input_embeddings().weight.shape[-1]
        return sum_log_probs(self.core, self.sight.hand_over(features.to(device), width), packed)

    @torch.no_grad()
    def say(
        self, pixels: Pixels, prompt_ids: Ids, max_new_tokens: int, mask: Mask | None = None, end_id: int | None = None
    ) -> list[list[int]]:
        """The likeliest next token, again and again, for each picture.

        Args:
            pixels: B prepared pictures.
            prompt_ids: the same for all of them.
            max_new_tokens: where it stops at the latest.
            mask: what may be said; None = anything.
            end_id: the token that ends an answer; None = the model's own.

        Returns:
            the tokens said about each picture, from after the prompt.
        """
        ids = torch.tensor([prompt_ids], device=self.core.device).expand(len(pixels), -1)
        how: dict[str, Any] = {} if mask is None else {"logits_processor": [mask], "repetition_penalty": 1.0}
        if end_id is not None:
            how["eos_token_id"] = end_id
        if pixels.grid is not None:
            how["mm_token_type_ids"] = (ids == self.talk.image_token_id).int()
        made = self.core.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), **pixels.arguments(self.core), **how,
            max_new_tokens=max_new_tokens, do_sample=False, num_beams=1, pad_token_id=self.talk.pad_token_id,
        )  # fmt: skip
        return [row[ids.shape[1] :].tolist() for row in made]

    def _check(self, prompt: tuple[int, ...], longest: int, features: Tensor) -> None:
        key = (prompt, longest, features.shape[1])
        if key in self._checked:
            return
        markers = prompt.count(self.talk.image_token_id)
        if markers != features.shape[1]:
            raise BadInputError(
                f"{self._name}: {markers} image tokens in the prompt for {features.shape[1]} image features; "
                "they must be equal on every row. Is the processor another model's?"
            )
        most = getattr(self.core.config.get_text_config(), "max_position_embeddings", None)
        if most and len(prompt) + longest > most:
            raise BadInputError(
                f"{self._name}: prompt and answer take {len(prompt) + longest} tokens, the model takes {most}; "
                "nothing is cut off silently. Ask a shorter question."
            )
        self._checked.add(key)


def _per_row(values: Any, depth: int, rows: int) -> Any:
    """A list for each row, from one for all or one for each."""
    inner = values
    for _ in range(depth):
        inner = inner[0]
    if isinstance(inner, int):
        return [values] * rows
    if len(values) != rows:
        raise ValueError(f"{rows} pictures need as many rows of tokens, found {len(values)}")
    return list(values)


def _frozen(answers: Sequence[Ids]) -> tuple[tuple[int, ...], ...]:
    return tuple(map(tuple, answers))
