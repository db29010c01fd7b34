"""Writes small adapters as PEFT does, with numbers large enough to change answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig, PeftModel, get_peft_model

from export.checkpoint import open_checkpoint
from export.parity import plain_scores

TEXT = r"model\.text_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
"""As the trainer names its targets: all products of the language model."""
VISION = r"model\.vision_model\..*\.(q_proj|k_proj|v_proj|out_proj|fc1|fc2)"


def write_adapter(checkpoint: Path, folder: Path, *, seed: int = 0, strength: float = 0.15, **options: Any) -> Path:
    """Write a PEFT adapter folder for a checkpoint; `options` go to LoraConfig."""
    torch.manual_seed(seed)
    chosen: dict[str, Any] = {"r": 4, "lora_alpha": 8, "target_modules": TEXT, **options}
    model = get_peft_model(open_checkpoint(checkpoint).model, LoraConfig(**chosen))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.normal_(0, strength)
    model.save_pretrained(folder, safe_serialization=True)
    return folder


def peft_scores(checkpoint: Path, adapter: Path, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Every label, one by one, by transformers and PEFT in torch: (N, labels)."""
    opened = open_checkpoint(checkpoint)
    wearing = PeftModel.from_pretrained(opened.model, str(adapter)).eval()
    return plain_scores(replace(opened, model=wearing), opened.asked("attention"), pixels)
