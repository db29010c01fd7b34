"""Watches a run from inside TRL's loop: reports each step, and remembers the weights of the last good state.

This file knows transformers' callbacks, and no method.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback

from trainer.policy import Policy

Figures = dict[str, float]
Report = Callable[[Figures], None]
"""Called once a step; what it raises ends the run, whose last state is kept."""


class Watch(TrainerCallback):
    """Reports, and the last good weights."""

    def __init__(self, policy: Policy, report: Report | None) -> None:
        """Begin with the weights as they are."""
        self._policy, self._report = policy, report
        self._good: dict[str, Tensor] = {}
        self.good_step = 0
        self._keep(0)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Figures of a step; the summary at the end is no step."""
        if not logs or "loss" not in logs:
            return
        if self._report is not None:
            self._report(step_figures({**logs, "step": state.global_step}, state))

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A state on disk is a good one."""
        self._keep(state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """So is the end."""
        self._keep(state.global_step)

    def go_back(self) -> None:
        """Give the policy the last good weights again."""
        weights = self._policy.trained()
        with torch.no_grad():
            for name, value in self._good.items():
                weights[name].copy_(value)

    def _keep(self, step: int) -> None:
        weights = self._policy.trained()
        if all(math.isfinite(float(weight.detach().abs().sum())) for weight in weights.values()):
            self._good = {name: weight.detach().cpu().clone() for name, weight in weights.items()}
            self.good_step = step


def step_figures(entry: dict[str, Any], state: Any) -> Figures:
    """A line of TRL's log as numbers, with `progress` from 0 to 1."""
    figures = {name: float(value) for name, value in entry.items() if isinstance(value, int | float)}
    figures["progress"] = figures["step"] / max(1, state.max_steps)
    return figures
