"""Stands where TRL calls the model: the same rows in, the same figures a token out, but pictures come in as features.

TRL's losses call `model(input_ids=..., attention_mask=..., labels=..., fused_lm_head=True)` and read log-probabilities
a token. `PictureForward` answers that call: image features fill the image markers, answers to one picture share their
prompt, and the vocabulary is computed for answer tokens only. This file knows no loss and no data.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from monitor.vlm.checkpoint.answers import answer_logits, placed
from monitor.vlm.checkpoint.packing import pack
from trainer.policy import Policy

IGNORED = -100
"""Label of a token that is not scored: TRL's and transformers' convention."""

Ids = tuple[int, ...]


@dataclass(frozen=True)
class Spoken:
    """Figures a token in TRL's layout, (rows, T - 1), the token at t + 1 at t; 0 where no answer token is predicted."""

    log_probs: Tensor
    entropy: Tensor
    mean_logits: Tensor
    is_top1: Tensor
    aux_loss: None = None


@dataclass(frozen=True)
class PictureForward:
    """A policy, bound to the pictures of one batch."""

    policy: Policy
    features: Tensor
    """(B, N, W): what stands at the image markers of each picture's prompt."""
    weights: Tensor | None = None
    """(B,): how much each picture's answers count in the gradient; None = alike. Values stay as they are: the loss that
    TRL computes and logs is its own."""
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext

    def __call__(self, *, input_ids: Tensor, attention_mask: Tensor, labels: Tensor, **_: Any) -> Spoken:
        """The figures of TRL's rows (A * B, T), answer by answer: the first B rows hold each picture's first answer.

        Raises:
            ValueError: the answers to one picture stand behind different prompts, or a row has no answer.
        """
        prompts, answers = trees(input_ids, attention_mask, labels, len(self.features))
        core = self.policy.core
        width = core.get_input_embeddings().weight.shape[-1]
        place = placed(core, self.policy.talk)
        packed = pack(prompts, answers, self.policy.talk.pad_token_id, place).to(input_ids.device)
        with self.autocast():
            logits = answer_logits(core, self.policy.sight.hand_over(self.features, width), packed)  # (B, K, V)
        every = logits.float().log_softmax(-1)
        taken = every.gather(-1, packed.targets.unsqueeze(-1)).squeeze(-1)
        with torch.no_grad():
            entropy = -(every.exp() * every).sum(-1)
            mean_logits = logits.float().mean(-1)
            is_top1 = (every.argmax(-1) == packed.targets).float()
        spoken = labels[:, 1:] != IGNORED
        laid = [
            lay_back(values, packed.owners, spoken) for values in (self._weighed(taken), entropy, mean_logits, is_top1)
        ]
        return Spoken(laid[0], laid[1], laid[2], laid[3].bool())

    def _weighed(self, log_probs: Tensor) -> Tensor:
        if self.weights is None:
            return log_probs
        weights = self.weights.to(log_probs.dtype)[:, None]
        return weights * log_probs + (1 - weights) * log_probs.detach()


def trees(
    input_ids: Tensor, attention_mask: Tensor, labels: Tensor, pictures: int
) -> tuple[list[Ids], list[tuple[Ids, ...]]]:
    """Each picture's prompt and its answers, out of TRL's padded rows.

    Raises:
        ValueError: rows that are no multiple of the pictures, without an answer, or of different prompts.
    """
    if len(input_ids) % pictures:
        raise ValueError(f"{len(input_ids)} rows cannot be equally many answers to each of {pictures} pictures")
    rows = []
    for ids, real, wanted in zip(input_ids.tolist(), attention_mask.tolist(), labels.tolist(), strict=True):
        text = tuple(token for token, one in zip(ids, real, strict=True) if one)
        said = sum(label != IGNORED for label in wanted)
        if not 0 < said < len(text):
            raise ValueError(f"a row of {len(text)} tokens has an answer of {said}")
        rows.append((text[:-said], text[-said:]))
    prompts = [rows[picture][0] for picture in range(pictures)]
    if any(prompt != prompts[place % pictures] for place, (prompt, _) in enumerate(rows)):
        raise ValueError("the answers to one picture stand behind different prompts")
    return prompts, [tuple(answer for _, answer in rows[picture::pictures]) for picture in range(pictures)]


def lay_back(values: Tensor, owners: Tensor, spoken: Tensor) -> Tensor:
    """Figures of packed answer tokens (B, K) where TRL looks for them.

    Args:
        values: (B, K), a picture's answers one after the other.
        owners: (B, K): the answer that a token belongs to, -1 for padding.
        spoken: (A * B, T - 1), bool: where TRL's rows, answer by answer, predict an answer's token.
    """
    pictures = len(values)
    places = spoken.reshape(-1, pictures, spoken.shape[1]).transpose(0, 1)  # (B, A, T - 1): the order of values
    laid = values.new_zeros(places.shape).masked_scatter(places, values[owners >= 0])
    return laid.transpose(0, 1).reshape(spoken.shape)


def mean_answer_loss(spoken: Spoken, labels: Tensor) -> Tensor:
    """Cross-entropy a token over all answers of a batch, as language models are trained by."""
    return -spoken.log_probs.sum() / (labels != IGNORED).sum().clamp(min=1)
