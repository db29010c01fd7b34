"""What the subclasses of TRL's trainers have in common: pictures as features, cached references, a stop at NaN.

TRL's loop, arguments, losses, logging and checkpoints stay. `PictureEngine` comes before a TRL trainer in the bases of
a class and gives its hooks another meaning: the dataset comes in as tokens, `_precompute_ref_logps` reads the cache,
and the model that a loss calls is a `PictureForward`. This file knows no method.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # nothing of a school leaves the machine
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

import torch
from datasets import Dataset
from torch import Tensor
from transformers import Trainer
from transformers.trainer_callback import PrinterCallback
from trl.trainer.utils import use_adapter

from monitor.errors import ClassroomError
from trainer.policy import Policy
from trainer.preference.forward import IGNORED, PictureForward
from trainer.preference.pictures import Pictures
from trainer.preference.references import Asked, Question, References

ASKED_AT_ONCE = 4
"""Batches of training that fit into one of the reference: nothing is kept for a gradient."""
REFERENCE_ADAPTER = "ref"
"""TRL's name for its copy of the adapter that training starts from."""


class NotANumberError(ClassroomError):
    """The loss became NaN or infinite: the run stops and keeps its last good state."""


@dataclass
class Supplies:
    """What a trainer of this folder needs beside TRL's arguments."""

    policy: Policy
    pictures: Pictures
    references: References
    reference: str = "start"
    """start or base, see `PreferenceSettings`."""
    weighted: bool = True
    """Whether the weights of pairs count."""


class RowCollator:
    """TRL's collator, and the image row and weight of each example."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, Tensor]:
        """A batch of TRL's, with `image_rows` and `weights`, (B,)."""
        batch: dict[str, Tensor] = self._inner(examples)
        batch["image_rows"] = torch.tensor([example["image_row"] for example in examples])
        batch["weights"] = torch.tensor([example["weight"] for example in examples])
        return batch


class PictureEngine(Trainer):
    """Mixed in before a TRL trainer; give `supplies` before the trainer's own arguments."""

    def __init__(self, *, supplies: Supplies, **arguments: Any) -> None:
        self.supplies = supplies
        super().__init__(model=supplies.policy.model, **arguments)
        self.remove_callback(PrinterCallback)
        self._drop_reference_adapter()

    def forward_over(self, inputs: dict[str, Any]) -> PictureForward:
        """The model bound to a batch's pictures; takes `image_rows` and `weights` out of the batch."""
        rows = inputs.pop("image_rows").tolist()
        weights = inputs.pop("weights", None)
        needed = weights is not None and self.supplies.weighted and bool((weights != 1).any())
        return self.forward_rows(rows, weights if needed else None)

    def forward_rows(self, rows: Sequence[int], weights: Tensor | None = None) -> PictureForward:
        """The model bound to the pictures in these rows."""
        features = self.supplies.pictures.take(rows)
        return PictureForward(self.supplies.policy, features, weights, self.accelerator.autocast)

    def reference_log_probs(self, asked: Sequence[Asked]) -> list[float]:
        """What the reference says, from the cache where it is known."""
        with self._as_reference():
            batch_size = ASKED_AT_ONCE * self.args.per_device_train_batch_size
            return self.supplies.references.look_up(asked, self._answer_log_probs, batch_size)

    def training_step(self, *arguments: Any, **named: Any) -> Tensor:
        """TRL's step, unless its loss is no number.

        Raises:
            NotANumberError: before any weight has moved.
        """
        loss: Tensor = super().training_step(*arguments, **named)
        if not bool(torch.isfinite(loss)):
            raise NotANumberError(
                f"the loss of step {self.state.global_step + 1} is {float(loss)}: the run has stopped and keeps its "
                "last good state. Lower learning_rate, or beta, and start again from there."
            )
        return loss

    def _answer_log_probs(self, questions: Sequence[Question]) -> Tensor:
        features = self.supplies.pictures.take([question.image_row for question in questions])
        prompts = [question.prompt_ids for question in questions]
        with self.accelerator.autocast():
            return self.supplies.policy.answer_logps(features, prompts, [question.answers for question in questions])

    def _as_reference(self) -> AbstractContextManager[Any]:
        """The model as the reference: TRL's copy of the adapter, no adapter, or the model as it is."""
        adapters = getattr(self.model, "peft_config", None)
        if adapters is None:
            return nullcontext()
        own = self.supplies.reference == "start" and REFERENCE_ADAPTER in adapters
        context: AbstractContextManager[Any] = use_adapter(self.model, REFERENCE_ADAPTER if own else None)
        return context

    def _drop_reference_adapter(self) -> None:
        """The reference has said all it will ever be asked."""
        if REFERENCE_ADAPTER in getattr(self.model, "peft_config", {}):
            self.model.delete_adapter(REFERENCE_ADAPTER)

    def _pad_id(self) -> int:
        return int(self.supplies.policy.talk.pad_token_id)

    # TRL's hooks.

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def _set_signature_columns_if_needed(self) -> None:
        self._signature_columns: list[str] = []

    def _send_telemetry(self) -> None:
        """TRL would tell the hub which model is trained; we tell nobody."""

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """TRL would write a README into each checkpoint."""


def lay_out(examples: Sequence[tuple[Sequence[int], Sequence[int]]], pad_id: int) -> tuple[Tensor, Tensor, Tensor]:
    """Prompts with one answer each as rows: ids, attention mask and labels (rows, longest), padded on the right."""
    longest = max(len(prompt) + len(answer) for prompt, answer in examples)
    ids = torch.full((len(examples), longest), pad_id)
    attention = torch.zeros_like(ids)
    labels = torch.full_like(ids, IGNORED)
    for row, (prompt, answer) in enumerate(examples):
        end = len(prompt) + len(answer)
        ids[row, :end] = torch.tensor([*prompt, *answer])
        attention[row, :end] = 1
        labels[row, len(prompt) : end] = torch.tensor(list(answer))
    return ids, attention, labels
