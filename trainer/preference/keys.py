"""Names for what a cached number depends on: hashes of weights, pictures and texts.

This file reads weights and knows nothing of training.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.policy import Policy


def digest(*parts: str) -> str:
    """sha256 of texts; their order and borders count."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def picture_sha256(image_rgb: NDArray[np.uint8]) -> str:
    """sha256 of a picture's bytes and shape."""
    return hashlib.sha256(str(image_rgb.shape).encode() + np.ascontiguousarray(image_rgb).tobytes()).hexdigest()


def pictures_sha256(images_rgb: NDArray[np.uint8]) -> str:
    """sha256 of several pictures in their order."""
    return digest(*(picture_sha256(image) for image in images_rgb))


def weights_sha256(weights: Mapping[str, Tensor]) -> str:
    """sha256 of named weights."""
    found = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        found.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def policy_sha256(policy: Policy, *, lora: bool = True) -> str:
    """What tells a policy's answers from another's: base, quantisation, precision, pixels, what was learned.

    Args:
        policy: as it is now.
        lora: False leaves its LoRA adapter out: the policy that `without_adapter` gives.
    """
    learned = {
        name: weight
        for name, weight in policy.model.named_parameters()
        if ("lora_" in name and lora and ".ref." not in name)
        or ("lora_" not in name and (weight.requires_grad or _core_name(name) in policy.origin.changed))
    }
    parts = (policy.base_sha256, str(policy.origin.quantize), str(policy.core.dtype), _preparation(policy))
    return digest(*parts, weights_sha256(learned))


def _core_name(name: str) -> str:
    return name.removeprefix("base_model.model.").replace(".base_layer.", ".")


def _preparation(policy: Policy) -> str:
    """The picture preparation, by what it makes of one fixed picture of another size than the model's."""
    side = policy.side_px + 5
    ramp = (np.arange(side * side * 3) % 251).astype(np.uint8).reshape(side, side, 3)
    return weights_sha256({"pixels": policy.prepare([ramp]).values.float()})
