"""Adapter folders: what was learned on top of a base, with a manifest that names the base by its hash.

A folder holds manifest.json, LoRA matrices in PEFT's format where there are any, and weights.safetensors with every
other weight that was trained. This file knows no data and asks no model.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from monitor.errors import BundleError
from monitor.vlm.checkpoint.files import check_safetensors, hash_files
from trainer.policy.lora import LoraSettings, Trainable

MANIFEST_FILE = "manifest.json"
WEIGHTS_FILE = "weights.safetensors"
LORA_CONFIG_FILE = "adapter_config.json"
LORA_FILE = "adapter_model.safetensors"
FORMAT = 1


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


def read_manifest(folder: Path, base_sha256: str | None = None) -> dict[str, Any]:
    """An adapter's manifest, once its files are found whole.

    Args:
        folder: the adapter folder.
        base_sha256: of the base it shall sit on; None asks nothing.

    Raises:
        BundleError: no adapter, of a newer format, damaged or cut short, or for another base.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        raise BundleError(f"{folder}: no adapter, {MANIFEST_FILE} is missing. Give a folder that training wrote.")
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found, files, base = manifest["base_sha256"], manifest["files"], manifest["base"]
    except (json.JSONDecodeError, KeyError) as error:
        raise BundleError(f"{path}: not the manifest of an adapter ({error!r}). Train it again.") from error
    if manifest["format"] > FORMAT:
        raise BundleError(f"{path}: format {manifest['format']}, this program knows up to {FORMAT}. Update it.")
    if base_sha256 is not None and found != base_sha256:
        raise BundleError(
            f"{folder}: this adapter belongs to the base {base!r} ({found[:12]}…), not to the one given "
            f"({base_sha256[:12]}…). Give the base it was trained on, or train an adapter for this one."
        )
    for name, expected in files.items():
        check_safetensors(folder / name, "Copy the adapter again, or train it again.")
        hashed = hash_files([folder / name])
        if hashed != expected:
            raise BundleError(
                f"{folder / name}: was changed since it was written: expected {expected[:12]}…, found {hashed[:12]}…. "
                "Copy the adapter again, or train it again."
            )
    return manifest


def put_adapter(core: Any, folder: Path, manifest: dict[str, Any], *, trainable: bool) -> tuple[Any, tuple[str, ...]]:
    """Lay an adapter on a model.

    Returns:
        the model (a PeftModel where there is LoRA) and the names of the other weights that were changed.

    Raises:
        BundleError: weights that this model does not have.
    """
    names: tuple[str, ...] = ()
    if WEIGHTS_FILE in manifest["files"]:
        weights = load_file(folder / WEIGHTS_FILE)
        own = dict(core.named_parameters())
        absent = sorted(set(weights) - set(own))
        if absent:
            raise BundleError(f"{folder}: holds {absent[0]!r}, which this model does not have.")
        other = [name for name, value in weights.items() if own[name].shape != value.shape]
        if other:  # 4-bit weights are stored as rows of bytes
            raise BundleError(
                f"{folder}: {other[0]!r} has another shape here. Was it trained in full and is the base quantised now? "
                "Leave out quantize, or merge the adapter first."
            )
        with torch.no_grad():
            for name, value in weights.items():
                own[name].copy_(value)
        names = tuple(sorted(weights))
    if LORA_FILE in manifest["files"]:
        from peft import PeftModel

        model = PeftModel.from_pretrained(core, str(folder), is_trainable=trainable)
        for config in model.peft_config.values():
            # The manifest names the base without its folder; PEFT would look for that name on the hub when it saves.
            config.base_model_name_or_path = core.name_or_path
        return model, names
    return core, names


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
