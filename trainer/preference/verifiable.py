"""The trainer on a verifiable reward: TRL's GRPO on pictures, where the right label is worth 1 and any other 0.

The answers are a closed set, so that sampling is exact: an answer is drawn by its probability among the set, with one
forward pass and no generation. This file knows TRL's GRPO; what a picture is, is in `engine`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from trl import GRPOTrainer

from trainer.preference.engine import PictureEngine, lay_out


class RewardTrainer(PictureEngine, GRPOTrainer):
    """TRL's GRPOTrainer on pictures. Dataset: prompt, prompt_ids, answer_ids, image_row."""

    def __init__(self, *, choices: dict[tuple[int, ...], list[list[int]]], **arguments: Any) -> None:
        """Take the possible answers to each prompt (ids to ids) beside the trainer's own arguments."""
        self._choices = choices
        self._rows: list[int] = []
        self._asked: list[tuple[int, ...]] = []
        super().__init__(reward_funcs=[right_answer], rollout_func=self._roll_out, **arguments)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._rows = [example["image_row"] for example in inputs]
        self._asked = [tuple(example["prompt_ids"]) for example in inputs]
        found: dict[str, Any] = super()._generate_and_score_completions(inputs)
        # In the batch, so that rows follow their answers when TRL shuffles and splits it.
        return {**found, "image_rows": torch.tensor(self._rows, device=self.accelerator.device)}

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:
        self._rows = inputs["image_rows"].tolist()
        return super()._compute_loss(model, inputs)

    def _get_per_token_logps_and_entropies(self, model: Any, input_ids: Tensor, *arguments: Any, **named: Any) -> Any:
        """TRL's, with the pictures of the rows it is given: the batch as a whole, or part of it by part."""
        named["batch_size"] = None
        return super()._get_per_token_logps_and_entropies(self.forward_rows(self._rows), input_ids, *arguments, **named)

    @torch.no_grad()
    def _roll_out(self, prompts: Sequence[str], _: Any) -> dict[str, Any]:
        """One answer to each prompt, by the policy's odds among the possible ones; of the seed and the step alone."""
        chance = torch.Generator().manual_seed(self.args.seed * 7919 + self.state.global_step)
        answers = []
        for prompt, odds in zip(self._asked, self._odds(), strict=True):
            drawn = int(torch.multinomial(odds, 1, generator=chance))
            answers.append(self._choices[prompt][drawn])
        return {"prompt_ids": [list(prompt) for prompt in self._asked], "completion_ids": answers, "logprobs": None}

    def _odds(self) -> list[Tensor]:
        """Probabilities of each prompt's possible answers; a picture that is asked the same twice is asked once."""
        known: dict[tuple[tuple[int, ...], int], Tensor] = {}
        for prompt in dict.fromkeys(self._asked):
            rows = list(dict.fromkeys(r for r, asked in zip(self._rows, self._asked, strict=True) if asked == prompt))
            choices = self._choices[prompt]
            laid = lay_out([(prompt, answer) for answer in choices for _ in rows], self._pad_id())
            ids, attention, labels = (part.to(self.accelerator.device) for part in laid)
            spoken = self.forward_rows(rows)(input_ids=ids, attention_mask=attention, labels=labels)
            odds = spoken.log_probs.sum(1).reshape(len(choices), len(rows)).T.softmax(1).cpu()
            known.update({(prompt, row): one for row, one in zip(rows, odds, strict=True)})
        return [known[key] for key in zip(self._asked, self._rows, strict=True)]

    def _drop_reference_adapter(self) -> None:
        """Its divergence is computed at each step: TRL's copy of the start stays until the run is over."""
        if self.supplies.reference == "base":
            super()._drop_reference_adapter()


def right_answer(completion_ids: list[list[int]], answer_ids: list[list[int]], **_: Any) -> list[float]:
    """1 where the whole answer is the right one, else 0."""
    return [float(list(said) == list(right)) for said, right in zip(completion_ids, answer_ids, strict=True)]
