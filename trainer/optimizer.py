"""How weights are stepped: AdamW for all, or Muon for the matrices inside layers and AdamW for the rest.

This file knows no losses.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from trainer.settings import TrainingSettings


class Optimizer:
    """One or two of torch's optimizers that step together."""

    def __init__(self, model: nn.Module, heads: nn.Module, training: TrainingSettings) -> None:
        """Take over the weights of a model and its auxiliary heads.

        Args:
            model: with layers under names that hold `.layers.`; those matrices are Muon's.
            heads: always AdamW's.
            training: names the optimizer, its peak learning rate and its weight decay.
        """
        self._peak = training.learning_rate
        inside = [p for name, p in model.named_parameters() if ".layers." in name and p.ndim == 2]
        orthogonal = inside if training.optimizer == "muon" else []
        theirs = {id(p) for p in orthogonal}
        others = [p for p in (*model.parameters(), *heads.parameters()) if id(p) not in theirs]
        self._all: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(_groups(others, training.weight_decay), lr=self._peak, betas=(0.9, 0.98), fused=True)
        ]
        if orthogonal:
            # Liu et al. 2025, "Muon is scalable for LLM training": so scaled, AdamW's learning rate and decay hold.
            muon = torch.optim.Muon(
                orthogonal, lr=self._peak, weight_decay=training.weight_decay, adjust_lr_fn="match_rms_adamw"
            )
            self._all.append(muon)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for one in self._all:
            one.zero_grad(set_to_none=True)

    def step(self, rate: float) -> None:
        """Move the weights; `rate` is the factor on the peak learning rate."""
        for one in self._all:
            for group in one.param_groups:
                group["lr"] = self._peak * rate
            one.step()

    def state_dict(self) -> list[dict[str, Any]]:
        """All that is needed to go on."""
        return [one.state_dict() for one in self._all]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Go on from `state_dict`.

        Raises:
            ValueError: it is of another kind of optimizer, or of other weights.
        """
        if not isinstance(states, list):
            raise ValueError(f"expected a list of states, found {type(states).__name__}")
        for one, state in zip(self._all, states, strict=True):
            one.load_state_dict(state)


def _groups(weights: Iterable[nn.Parameter], decay: float) -> list[dict[str, Any]]:
    """Biases and norms are not decayed."""
    weights = list(weights)
    return [
        {"params": [p for p in weights if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
    ]
