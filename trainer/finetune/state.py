"""The state of a run on disk: weights that learn, optimiser, step. Written whole or not at all.

This file knows tensors and files, and no loss.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from monitor.errors import BundleError

STATE_FILE = "state.pt"
LOSSES_FILE = "losses.jsonl"


@dataclass
class State:
    """Where a run stands before a step."""

    step: int
    """Steps that are done."""
    weights: dict[str, Tensor]
    optimizer: dict[str, Any]
    fingerprint: str
    """Of the base, settings and pictures: a run is only resumed as itself."""


def save_state(folder: Path, state: State) -> None:
    """Write the state; an older one stays until this one is whole."""
    staging = folder / f".{STATE_FILE}"
    torch.save(vars(state), staging)
    staging.replace(folder / STATE_FILE)


def load_state(folder: Path) -> State:
    """Read the state.

    Raises:
        BundleError: the file is damaged or cut short.
    """
    path = folder / STATE_FILE
    try:
        return State(**torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, EOFError, TypeError, OSError, pickle.UnpicklingError) as error:
        raise BundleError(
            f"{path}: a state that is damaged or cut short ({type(error).__name__}). "
            "Start the run anew in another folder."
        ) from error


def log_loss(folder: Path, step: int, loss: float, rate: float) -> None:
    """Add one line a step."""
    with (folder / LOSSES_FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"step": step, "loss": loss, "learning_rate": rate}) + "\n")


def read_losses(folder: Path) -> list[float]:
    """The losses of all steps so far; half a line at the end, of a run that was killed, is left out."""
    path = folder / LOSSES_FILE
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [float(json.loads(line)["loss"]) for line in lines]


def cut_losses(folder: Path, steps: int) -> None:
    """Forget what was logged after the state was saved: a resumed run does those steps again."""
    path = folder / LOSSES_FILE
    if path.is_file():
        lines = path.read_text(encoding="utf-8").split("\n")[:-1][:steps]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
