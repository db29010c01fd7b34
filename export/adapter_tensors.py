"""Reads a PEFT adapter and turns it into tensors for the inputs of a bundle's graphs: LoRA matrices under other names.

What it cannot bring into a graph whole, it refuses. It does not judge how well the adapter answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from export.lora_inputs import Place
from monitor.adapter import VISION_PREFIX
from monitor.errors import BundleError
from monitor.vlm.checkpoint.files import check_safetensors, hash_files

CONFIG, LORA, OTHER, STORY = "adapter_config.json", "adapter_model.safetensors", "weights.safetensors", "manifest.json"
_NAME = re.compile(r"model\.(text_model|vision_model\.encoder)\.layers\.(\d+)\.(?:self_attn|mlp)\.(\w+)")
_FOREIGN = {
    "use_dora": "DoRA, whose magnitudes change the base's own products",
    "modules_to_save": "whole modules beside LoRA",
    "lora_bias": "biases beside LoRA",
    "trainable_token_indices": "tokens of its own",
    "target_parameters": "LoRA on bare parameters",
    "layer_replication": "copies of layers",
    "alora_invocation_tokens": "LoRA that acts after some tokens only",
    "fan_in_fan_out": "transposed weights",
}
"""Options of PEFT that a graph with LoRA inputs cannot hold, and what they mean."""
_MERGE = "Merge it into the checkpoint (trainer.policy.merge_adapter) and export that, or train LoRA alone."
_NO_PLACE = {
    True: "Export the bundle with inputs for it (`classroom export --vision-adapters`), or train without vision.",
    False: "Export bundle and adapter with the same version of this program.",
}
_MAY_START = (True, False, "gaussian", "eva", "orthogonal")
"""Ways to start LoRA that leave the base as it is; others (pissa, olora, corda, loftq) take a part out of it."""


@dataclass(frozen=True, slots=True)
class Lora:
    """An adapter as read, and the model that wears it."""

    tensors: dict[str, NDArray[Any]]
    """float32, by name of the graph's input; the scale of LoRA is in the matrices."""
    model: Any
    """peft.PeftModel around the checkpoint's model."""
    story: Mapping[str, Any]
    """The trainer's manifest; empty for an adapter that came without."""


def read_lora(folder: Path, model: Any, base_sha256: str) -> Lora:
    """Read a folder as the trainer or PEFT wrote it, and lay it on a model.

    Args:
        folder: with adapter_config.json and adapter_model.safetensors.
        model: the checkpoint's model; it wears the adapter afterwards.
        base_sha256: of the checkpoint, for adapters that name theirs.

    Raises:
        BundleError: no LoRA adapter, damaged, for another base, or with something that cannot become graph inputs.
    """
    config, story = _read_config(folder), _read_story(folder, base_sha256)
    _require_plain(folder, config)
    from peft import PeftModel
    from safetensors import safe_open

    check_safetensors(folder / LORA, "Copy the adapter again, or train it again.")
    try:
        wearing = PeftModel.from_pretrained(model, str(folder)).eval()
    except (ValueError, RuntimeError, KeyError) as error:
        raise BundleError(
            f"{folder}: does not fit this checkpoint: {error}. Give the one it was trained on."
        ) from error
    tensors, used = _matrices(folder, wearing)
    with safe_open(folder / LORA, framework="pt") as file:
        left = sorted(set(file.keys()) - used)
    if left:
        raise BundleError(f"{folder / LORA}: the graph has no place for {left[0]!r} ({len(left)} in all). {_MERGE}")
    return Lora(tensors, wearing, story)


def _matrices(folder: Path, wearing: Any) -> tuple[dict[str, NDArray[Any]], set[str]]:
    """Graph tensors and the names in the file that they come from."""
    tensors: dict[str, NDArray[Any]] = {}
    used: set[str] = set()
    core = wearing.get_base_model()
    for name, module in core.named_modules():
        if not (hasattr(module, "lora_A") and "default" in module.lora_A):
            continue
        found = _NAME.fullmatch(name)
        if found is None:
            raise BundleError(f"{folder}: LoRA on {name!r}, but graphs take it in the layers' products. {_MERGE}")
        place = f"{'text' if found[1] == 'text_model' else 'vision'}.{found[2]}.{found[3]}"
        a, b = (getattr(module, side)["default"].weight.detach().float().T for side in ("lora_A", "lora_B"))
        pair = _balanced(place, a, b * float(module.scaling["default"]))
        tensors |= {f"{place}.lora_{side}": matrix for side, matrix in zip("AB", pair, strict=True)}
        used |= {f"base_model.model.{name}.lora_{side}.weight" for side in "AB"}
    if not tensors:
        raise BundleError(f"{folder}: no LoRA matrices in it. Give an adapter that training wrote.")
    return tensors, used


def fitted(tensors: Mapping[str, NDArray[Any]], places: Mapping[str, Place]) -> dict[str, NDArray[Any]]:
    """The same in the precision of the inputs they go to.

    Raises:
        BundleError: no input for one, in another shape, or a number too large for its precision.
    """
    made = {}
    for name, one in tensors.items():
        place = places.get(name)
        if place is None:
            raise BundleError(f"{name} has no place in the graphs. {_NO_PLACE[name.startswith(VISION_PREFIX)]}")
        if any(size not in (0, found) for size, found in zip(place.shape, one.shape, strict=True)):
            raise BundleError(f"{name} is {one.shape}, the graph takes {place.shape} (0: any rank).")
        made[name] = one.astype(place.element)
        if not np.isfinite(made[name]).all():
            raise BundleError(f"{name} holds {np.abs(one).max()}, too large for {place.element}. Train it again.")
    return made


def _balanced(place: str, a: torch.Tensor, b: torch.Tensor) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both matrices made equally large: a young B is so small that half precision would lose digits of it."""
    tops = [float(matrix.abs().max()) for matrix in (a, b)]
    if not all(map(np.isfinite, tops)):
        raise BundleError(f"{place}: its matrices hold numbers that are none. Train the adapter again.")
    balance = (tops[1] / tops[0]) ** 0.5 if all(tops) else 1.0
    return np.ascontiguousarray((a * balance).numpy()), np.ascontiguousarray((b / balance).numpy())


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    missing = [name for name in (CONFIG, LORA) if not (folder / name).is_file()]
    if missing == [LORA, CONFIG] or missing:
        other = (
            f" It holds {OTHER}: not LoRA, but other weights learned. {_MERGE}" if (folder / OTHER).is_file() else ""
        )
        raise BundleError(f"{folder}: a LoRA adapter needs {CONFIG} and {LORA}; missing: {', '.join(missing)}.{other}")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BundleError(f"{path}: not valid JSON: {error}. Copy the adapter again.") from error
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        kind = config.get("peft_type") if isinstance(config, dict) else type(config).__name__
        raise BundleError(f"{path}: expected an adapter of the kind LORA, found {kind!r}. Train LoRA.")
    return config


def _require_plain(folder: Path, config: Mapping[str, Any]) -> None:
    path = folder / CONFIG
    for key, meaning in _FOREIGN.items():
        if config.get(key):
            raise BundleError(f"{path}: {key} = {config[key]!r}: {meaning} cannot become inputs of a graph. {_MERGE}")
    if config.get("bias", "none") != "none":
        raise BundleError(
            f"{path}: bias = {config['bias']!r}: biases that learned cannot become inputs of a graph. {_MERGE}"
        )
    start = config.get("init_lora_weights", True)
    if start not in _MAY_START:
        raise BundleError(f"{path}: init_lora_weights = {start!r} changed the base itself. {_MERGE}")
    if (folder / OTHER).is_file():
        raise BundleError(f"{folder / OTHER}: weights outside of LoRA learned too (the projector?). {_MERGE}")


def _read_story(folder: Path, base_sha256: str) -> dict[str, Any]:
    """The trainer's manifest, once its files and its base are found to be those it names; empty where there is none."""
    path = folder / STORY
    if not path.is_file():
        return {}
    try:
        story = json.loads(path.read_text(encoding="utf-8"))
        base, name, files = str(story["base_sha256"]), story["base"], dict(story["files"])
    except (UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path}: not the manifest of an adapter ({error!r}). Train it again.") from error
    if base != base_sha256:
        raise BundleError(
            f"{folder}: this adapter belongs to the base {name!r} ({base[:12]}…), not to the checkpoint given "
            f"({base_sha256[:12]}…). Give the checkpoint it was trained on."
        )
    for file, expected in files.items():
        found = hash_files([folder / file]) if (folder / file).is_file() else "no such file"
        if found != expected:
            raise BundleError(
                f"{folder / file}: changed or damaged: expected {expected[:12]}…, found {found[:12]}…. Copy it again."
            )
    return dict(story)
