"""Trainers on pairs: TRL's DPO with its losses, HA-DPO with its separate anchor, ORPO without a reference.

This file knows the losses; what a picture or a reference is, is in `engine`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from torch.nn import functional
from trl import DPOTrainer

from trainer.preference.engine import PictureEngine, lay_out
from trainer.preference.forward import IGNORED, mean_answer_loss
from trainer.preference.references import Asked

CERTAIN = -1e-6
"""A mean log-probability above this counts as this: the odds of what is certain are infinite."""


class PairTrainer(PictureEngine, DPOTrainer):
    """TRL's DPOTrainer on pictures: every loss type of its own, on log-probabilities that cost less."""

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        """TRL refuses this for pictures; here the key holds the picture."""
        sides = ("chosen", "rejected")
        # Both sides at once: they are answers to one question, whose prompt is then computed once.
        asked = [
            Asked(row["image_row"], tuple(row["prompt_ids"]), tuple(row[f"{side}_ids"]))
            for side in sides
            for row in dataset
        ]
        numbers = self.reference_log_probs(asked)
        for side, part in zip(sides, (numbers[: len(dataset)], numbers[len(dataset) :]), strict=True):
            dataset = dataset.add_column(f"ref_{side}_logps", part)
        return dataset

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:
        forward = self.forward_over(inputs)
        return super()._compute_loss(forward, inputs, return_outputs)


class AnchoredTrainer(PairTrainer):
    """HA-DPO: DPO plus gamma times the cross-entropy of a batch of SFT examples of its own."""

    def __init__(self, *, anchor: Dataset, gamma: float, anchor_batch_size: int, **arguments: Any) -> None:
        """Take the anchor's examples (`examples.sft_rows`) beside the trainer's own arguments."""
        self._anchor, self._gamma, self._anchor_batch_size = anchor, gamma, anchor_batch_size
        self._drawn = (-1, 0)
        super().__init__(**arguments)

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:
        loss = super()._compute_loss(model, inputs, return_outputs)
        anchor = self._anchor_loss()
        self._metrics["train"]["anchor"].append(float(anchor.detach()))
        return loss + self._gamma * anchor

    def _anchor_loss(self) -> Tensor:
        examples = [self._anchor[index] for index in self._draw()]
        rows = [example["image_row"] for example in examples]
        laid = lay_out([(example["prompt_ids"], example["answer_ids"]) for example in examples], self._pad_id())
        ids, attention, labels = (part.to(self.accelerator.device) for part in laid)
        spoken = self.forward_rows(rows)(input_ids=ids, attention_mask=attention, labels=labels)
        return mean_answer_loss(spoken, labels)

    def _draw(self) -> Sequence[int]:
        """The step's examples: of the seed and the step alone, so that a resumed run draws the same."""
        step, part = self._drawn
        part = part + 1 if step == self.state.global_step else 0
        self._drawn = (self.state.global_step, part)
        size, count = self._anchor_batch_size, len(self._anchor)
        # A walk through shuffled epochs: each example comes once before any comes again.
        place = (self.state.global_step * self.args.gradient_accumulation_steps + part) * size
        found: list[int] = []
        while len(found) < size:
            turn, offset = divmod(place + len(found), count)
            order = torch.randperm(count, generator=torch.Generator().manual_seed(self.args.seed * 7919 + turn))
            found += order[offset : offset + size - len(found)].tolist()
        return found


class OddsTrainer(PairTrainer):
    """ORPO: cross-entropy of the chosen answers, and the log-odds of chosen over rejected; no reference.

    TRL's own is for texts only; its loss on prompt tokens would teach the model to say image markers. Here the
    cross-entropy is of answers alone.
    """

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        zeros = [0.0] * len(dataset)
        return dataset.add_column("ref_chosen_logps", zeros).add_column("ref_rejected_logps", zeros)

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Tensor:
        forward = self.forward_over(inputs)
        ids, mask = inputs["input_ids"], inputs["completion_mask"]
        labels = ids.masked_fill(mask == 0, IGNORED)
        spoken = forward(input_ids=ids, attention_mask=inputs["attention_mask"], labels=labels)
        lengths = mask[:, 1:].sum(1)
        chosen, rejected = (spoken.log_probs.sum(1) / lengths).chunk(2)
        chosen_tokens = lengths.chunk(2)[0].sum()
        likelihood = spoken.log_probs.chunk(2)[0].sum() / chosen_tokens
        odds = log_odds_ratio(chosen, rejected)
        loss: Tensor = -likelihood - self.beta * functional.logsigmoid(odds).mean()
        self._note(chosen, rejected, likelihood)
        return loss

    def _note(self, chosen: Tensor, rejected: Tensor, likelihood: Tensor) -> None:
        figures = self._metrics["train"]
        for side, log_probs in (("chosen", chosen), ("rejected", rejected)):
            figures[f"logps/{side}"].append(float(log_probs.detach().mean()))
            figures[f"rewards/{side}"].append(self.beta * float(log_probs.detach().mean()))
        rewards = self.beta * (chosen - rejected).detach()
        figures["rewards/margins"].append(float(rewards.mean()))
        figures["rewards/accuracies"].append(float((rewards > 0).float().mean()))
        figures["nll_loss"].append(-float(likelihood.detach()))


def log_odds_ratio(chosen: Tensor, rejected: Tensor) -> Tensor:
    """Log of the odds of chosen over the odds of rejected, from mean log-probabilities a token (pairs,)."""

    def log_odds(log_prob: Tensor) -> Tensor:
        log_prob = log_prob.clamp(max=CERTAIN)
        return log_prob - torch.log(-torch.expm1(log_prob))

    ratio: Tensor = log_odds(chosen) - log_odds(rejected)
    return ratio
