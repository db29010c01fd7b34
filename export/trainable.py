"""Writes the weights to go on training from, in half precision, with the sha256 that they are checked by when read.

Half precision rounds each weight to 11 bits; the labels must stay, which is measured here. It trains nothing.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from export.answers import answer
from export.checkpoint import CARD, WEIGHTS, Asked, open_checkpoint, read_card
from export.manifest import without_places
from monitor.bundle import sha256_of
from monitor.errors import BundleError

AGREEMENT = 0.995
"""At least this share of crops must keep their label."""
_COPIED = ("config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json")


def write_trainable(checkpoint: Path, folder: Path) -> dict[str, Any]:
    """Write a checkpoint's weights as float16 into a folder that is there and empty.

    config.json keeps its dtype, float32: that is what plain `transformers` computes in when it opens the folder.

    Returns:
        file, dtype, bytes and sha256 of the weights, as classroom.json has them.

    Raises:
        BundleError: a weight that is no number, or too large for half precision.
    """
    card = without_places(read_card(checkpoint))
    tensors = {name: _halve(checkpoint, name, one) for name, one in load_file(checkpoint / WEIGHTS).items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / WEIGHTS).chmod(0o644)  # safetensors writes for its owner alone
    for name in _COPIED:
        if (checkpoint / name).is_file():
            shutil.copyfile(checkpoint / name, folder / name)
    data = (folder / WEIGHTS).read_bytes()
    card["weights"] = {"file": WEIGHTS, "dtype": "float16", "bytes": len(data), "sha256": sha256_of(data)}
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    (folder / CARD).write_text(text, encoding="utf-8", newline="\n")
    return dict(card["weights"])


def require_same_labels(
    folder: Path, asked: Asked, pixels: NDArray[np.uint8], reference: NDArray[np.float64], bar: float = AGREEMENT
) -> dict[str, Any]:
    """Read a written folder back and compare its labels with those of the checkpoint it came from.

    Args:
        folder: what `write_trainable` wrote.
        asked: the rubric's question and phrases.
        pixels: (N, side, side, 3).
        reference: (N, labels) log-probabilities of the checkpoint in fp32.
        bar: least share of crops with the same label.

    Returns:
        crops, agreement and worst gap in probability.

    Raises:
        BundleError: agreement below the bar.
    """
    (found,) = answer(open_checkpoint(folder), pixels, [(asked.question, asked.phrases)])
    agreement = float((found.argmax(axis=1) == reference.argmax(axis=1)).mean())
    if agreement < bar:
        raise BundleError(
            f"{folder}: expected float16 weights to keep the label in {bar:.1%} of crops, found {agreement:.2%} of "
            f"{len(found)}. Nothing was written. Train longer: a model at odds with itself changes with any rounding."
        )
    gap = float(np.abs(np.exp(found) - np.exp(reference)).max())
    return {"crops": len(found), "agreement": round(agreement, 5), "worst_gap": round(gap, 5)}


def _halve(checkpoint: Path, name: str, tensor: torch.Tensor) -> torch.Tensor:
    if not tensor.is_floating_point():
        return tensor
    half = tensor.to(torch.float16)
    if not bool(torch.isfinite(half).all()):
        worst = float(tensor.abs().max())
        raise BundleError(f"{checkpoint / WEIGHTS}: {name} holds {worst}, float16 ends at 65504. Train it again.")
    return half
