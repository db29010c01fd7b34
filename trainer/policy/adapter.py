"""Writes adapter folders: what was learned on top of a base, with a manifest that names the base by its hash.

A folder holds manifest.json, LoRA matrices in PEFT's format where there are any, and weights.safetensors with every
other weight that was trained; `monitor.vlm.checkpoint.adapters` reads it. This file knows no data and asks no model.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from monitor.vlm.checkpoint.adapters import FORMAT, LORA_CONFIG_FILE, MANIFEST_FILE, WEIGHTS_FILE
from monitor.vlm.checkpoint.files import hash_files
from trainer.policy.lora import LoraSettings, Trainable


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a policy comes from, and what of it learns."""

    base: str
    """Folder name or id of the base."""
    base_sha256: str
    trainable: Trainable = "none"
    quantize: str | None = None
    lora: LoraSettings | None = None
    adapter_sha256: str = ""
    """Hash of the adapter that it was loaded with; empty without one."""
    changed: tuple[str, ...] = ()
    """Names of weights, in the base model, that an earlier adapter changed and a later one must carry on."""


def save_adapter(model: Any, origin: Origin, folder: Path, story: dict[str, Any]) -> Path:
    """Write an adapter folder; it takes its name only once it is whole.

    Args:
        model: the policy's model, a PeftModel where there is LoRA.
        origin: what it was loaded as.
        folder: where to; an adapter that lies there is replaced.
        story: goes into the manifest under "story": method, round, data hash, metrics and the like.
    """
    staging = folder.with_name(f".{folder.name}.writing")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    if hasattr(model, "peft_config"):
        model.save_pretrained(staging, safe_serialization=True)
        (staging / "README.md").unlink(missing_ok=True)  # a card of blanks
        _forget_folders(staging / LORA_CONFIG_FILE, origin.base)
    other = _other_weights(model, origin)
    if other:
        save_file(other, staging / WEIGHTS_FILE)
    files = sorted(staging.glob("*.safetensors"))
    manifest = {
        "format": FORMAT,
        "base": origin.base,
        "base_sha256": origin.base_sha256,
        "trainable": origin.trainable,
        "quantize": origin.quantize,
        "lora": asdict(origin.lora) if origin.lora else None,
        "parent_sha256": origin.adapter_sha256,
        "sha256": hash_files(files),
        "files": {path.name: hash_files([path]) for path in files},
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "story": story,
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    (staging / MANIFEST_FILE).write_text(text + "\n", encoding="utf-8")
    for path in staging.iterdir():
        path.chmod(0o644)
    if folder.is_dir():
        shutil.rmtree(folder)
    staging.replace(folder)
    return folder


def with_adapter(origin: Origin, manifest: dict[str, Any], changed: tuple[str, ...]) -> Origin:
    """An origin that tells of its adapter."""
    written = manifest["lora"]
    lora = LoraSettings(**{**written, "targets": tuple(written["targets"])}) if written else origin.lora
    return replace(origin, adapter_sha256=manifest["sha256"], changed=changed, lora=lora)


def _other_weights(model: Any, origin: Origin) -> dict[str, torch.Tensor]:
    """Trained weights outside of LoRA, by their name in the base model (LoRA hides a layer inside of its own)."""
    core = model.get_base_model() if hasattr(model, "get_base_model") else model
    kept = set(origin.changed)
    named = ((name.replace(".base_layer.", "."), weight) for name, weight in core.named_parameters())
    return {
        name: weight.detach().cpu().contiguous().clone()
        for name, weight in named
        if "lora_" not in name and (weight.requires_grad or name in kept)
    }


def _forget_folders(path: Path, base: str) -> None:
    """PEFT writes the base's folder on this machine; an adapter travels."""
    config = json.loads(path.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = base
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
