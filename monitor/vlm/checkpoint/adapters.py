"""Adapters for checkpoints run by torch: read, checked, and laid on a model that stays as it is.

A folder that training wrote names its base by a hash in manifest.json, and may hold other weights beside LoRA; one that
PEFT wrote names its base in adapter_config.json. Nothing is ever folded into the base. This file asks no model and
knows no rubric.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from monitor.adapter import ADAPTER_FILE as EXPORTED_FILE
from monitor.errors import BundleError
from monitor.vlm.checkpoint.files import check_safetensors, hash_files

MANIFEST_FILE = "manifest.json"
WEIGHTS_FILE = "weights.safetensors"
LORA_CONFIG_FILE = "adapter_config.json"
LORA_FILE = "adapter_model.safetensors"
FORMAT = 1
_MAY_START = (True, False, "gaussian", "eva", "orthogonal")
"""Ways to start LoRA that leave the base as it is; others (pissa, olora, corda, loftq) take a part out of it."""
_AGAIN = "Copy the adapter again, or train it again."


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter and no model of its own."""
    told = folder / LORA_CONFIG_FILE, folder / WEIGHTS_FILE
    return not (folder / "config.json").is_file() and any(path.is_file() for path in told)


def read_adapter(folder: Path, base: str, base_sha256: str) -> dict[str, Any]:
    """An adapter's manifest, or what stands for one where PEFT wrote the folder, once it is found to fit its base.

    Args:
        folder: the adapter folder.
        base: as it was given: a folder, or an id of the hub.
        base_sha256: of the files that an adapter is bound to.

    Raises:
        BundleError: no adapter, of a kind that cannot be used, damaged, or for another base.
    """
    if (folder / EXPORTED_FILE).is_file():
        raise BundleError(
            f"{folder}: an adapter exported for a bundle, which torch does not read. Promote it "
            "(`classroom models add`), or give the folder that training wrote."
        )
    if (folder / MANIFEST_FILE).is_file():
        return read_manifest(folder, base_sha256)
    config = _read_config(folder)
    told = str(config.get("base_model_name_or_path") or "")
    if _is_id(told) and _is_id(base) and told != base.partition("@")[0]:
        raise BundleError(_for_another(folder, told, base))
    check_safetensors(folder / LORA_FILE, _AGAIN)
    digest = hash_files([folder / LORA_FILE])
    return {"base": told, "lora": None, "sha256": digest, "files": {LORA_FILE: digest}, "story": {}}


def named_base(folder: Path) -> tuple[str, str]:
    """Name of the base that an adapter was trained on, and its hash; empty where the folder does not tell.

    Raises:
        BundleError: no adapter.
    """
    if (folder / MANIFEST_FILE).is_file():
        manifest = read_manifest(folder)
        return str(manifest["base"]), str(manifest["base_sha256"])
    return str(_read_config(folder).get("base_model_name_or_path") or ""), ""


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
        raise BundleError(_for_another(folder, f"{base!r} ({found[:12]}…)", f"({base_sha256[:12]}…)"))
    for name, expected in files.items():
        check_safetensors(folder / name, _AGAIN)
        hashed = hash_files([folder / name])
        if hashed != expected:
            raise BundleError(
                f"{folder / name}: was changed since it was written: expected {expected[:12]}…, found {hashed[:12]}…. "
                f"{_AGAIN}"
            )
    return manifest


def put_adapter(
    core: Any, folder: Path, manifest: Mapping[str, Any], *, trainable: bool
) -> tuple[Any, tuple[str, ...]]:
    """Lay an adapter on a model.

    Returns:
        the model (a PeftModel where there is LoRA) and the names of the other weights that were changed.

    Raises:
        BundleError: weights that this model does not have.
    """
    names: tuple[str, ...] = ()
    if WEIGHTS_FILE in manifest["files"]:
        names = _put_weights(core, folder)
    if LORA_FILE not in manifest["files"]:
        return core, names
    from peft import PeftModel

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # what it would go on without is an error here
            model = PeftModel.from_pretrained(core, str(folder), is_trainable=trainable)
    except (ValueError, RuntimeError, KeyError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        why = str(error).strip().partition("\n")
        raise BundleError(
            f"{folder}: does not fit this model ({(why[2] or why[0]).strip()[:200]}). Was it trained on another?"
        ) from error
    _require_all(model, folder)
    for config in model.peft_config.values():
        # The manifest names the base without its folder; PEFT would look for that name on the hub when it saves.
        config.base_model_name_or_path = core.name_or_path
    return model, names


def _put_weights(core: Any, folder: Path) -> tuple[str, ...]:
    """Copy weights outside of LoRA into a model; their names."""
    from safetensors.torch import load_file

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
    return tuple(sorted(weights))


def _require_all(model: Any, folder: Path) -> None:
    """PEFT goes on where a matrix is missing or finds no place."""
    from peft import get_peft_model_state_dict
    from safetensors import safe_open

    with safe_open(folder / LORA_FILE, framework="pt") as file:
        found = set(file.keys())
    taken = set(get_peft_model_state_dict(model, save_embedding_layers=False))
    for what, names in (("has no place in this model", found - taken), ("is missing in it", taken - found)):
        if names:
            raise BundleError(
                f"{folder / LORA_FILE}: {min(names)!r} {what} ({len(names)} in all). Was it trained on another?"
            )


def _read_config(folder: Path) -> dict[str, Any]:
    """adapter_config.json of a LoRA adapter whose matrices lie beside it as safetensors."""
    path = folder / LORA_CONFIG_FILE
    if not path.is_file():
        raise BundleError(
            f"{folder}: no adapter: expected {LORA_CONFIG_FILE} (of PEFT) or {MANIFEST_FILE} (of `classroom train`), "
            "found neither."
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BundleError(f"{path}: not valid JSON: {error}. {_AGAIN}") from error
    kind = config.get("peft_type") if isinstance(config, dict) else None
    if kind != "LORA":
        raise BundleError(f"{path}: expected an adapter of the kind LORA, found {kind!r}. Train LoRA.")
    start = config.get("init_lora_weights", True)
    if start not in _MAY_START:
        raise BundleError(f"{path}: init_lora_weights = {start!r} changed the base itself. Save it as plain LoRA.")
    if not (folder / LORA_FILE).is_file():
        raise BundleError(
            f"{folder}: no {LORA_FILE} in it. Weights in other formats can run code and are not read. Save it with "
            "safe_serialization=True."
        )
    return dict(config)


def _is_id(name: str) -> bool:
    """Whether a name is one of the hub, and no folder."""
    return name.count("/") == 1 and not name.startswith((".", "~", "/")) and not Path(name.partition("@")[0]).exists()


def _for_another(folder: Path, told: str, given: str) -> str:
    return (
        f"{folder}: this adapter belongs to the base {told}, not to the one given, {given}. "
        "Give the base it was trained on, or train an adapter for this one."
    )
