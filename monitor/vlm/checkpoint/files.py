"""Files of a checkpoint: found on this machine, whole, and told apart by their hash.

Safetensors only, nothing downloaded unless asked. This file opens no model.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from monitor.errors import BundleError

_WANTED = ("*.json", "*.safetensors", "*.jinja", "*.txt", "*.model")


def hash_files(paths: list[Path]) -> str:
    """One sha256 over names and contents."""
    total = hashlib.sha256()
    for path in sorted(paths, key=lambda one: one.name):
        total.update(path.name.encode())
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def hash_base(folder: Path) -> str:
    """Hash of what decides a base's answers: weights, configuration, tokenizer; not its card."""
    others = [folder / name for name in ("config.json", "tokenizer.json")]
    return hash_files([*folder.glob("*.safetensors"), *(path for path in others if path.is_file())])


def check_safetensors(path: Path, advice: str) -> None:
    """Refuse a file of weights that was cut short.

    Raises:
        BundleError: names the file and what is wrong with it.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            file.keys()
    except (SafetensorError, OSError) as error:
        size = path.stat().st_size if path.is_file() else 0
        raise BundleError(f"{path}: damaged or cut short at {size:,} bytes ({error}). {advice}") from error


def find_checkpoint(base: str | Path, *, download: bool, how_to_download: str) -> Path:
    """A checkpoint's folder on this machine, its weights found whole.

    Args:
        base: a folder, or an id of the hub, with `@revision` behind it or not.
        download: allow fetching from the hub; else only what was fetched before counts.
        how_to_download: said where it was not fetched before.

    Raises:
        BundleError: nothing there, not a checkpoint, weights in a format that can run code, or damaged ones.
    """
    folder = Path(base)
    if not folder.is_dir():
        folder = _from_hub(str(base), download, how_to_download)
    if not (folder / "config.json").is_file():
        raise BundleError(f"{base}: not a checkpoint, config.json is missing. Give a folder that training wrote.")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise BundleError(f"{base}: no *.safetensors in it. Weights in other formats can run code and are not read.")
    for path in weights:
        check_safetensors(path, "Copy the checkpoint again, or train it again.")
        _check_name(path)
    return folder


def _from_hub(name: str, download: bool, how_to_download: str) -> Path:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    repository, _, revision = name.partition("@")
    try:
        found = snapshot_download(
            repository, revision=revision or None, local_files_only=not download, allow_patterns=list(_WANTED)
        )
    except HFValidationError as error:
        raise BundleError(f"{name}: no such folder, and no id of the hub either.") from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise BundleError(
            f"{name}: no such folder, and not on this machine. "
            + ("It could not be fetched from the hub either." if download else how_to_download)
        ) from error
    return Path(found)


def _check_name(path: Path) -> None:
    """The hub's cache names a large file by its sha256: then its bytes must be those."""
    stored = path.resolve()
    if stored.parent.name != "blobs" or not re.fullmatch("[0-9a-f]{64}", stored.name):
        return
    with stored.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != stored.name:
        raise BundleError(
            f"{path}: changed or damaged: expected sha256 {stored.name[:12]}…, as the hub's cache names it, found "
            f"{found[:12]}…. Delete it and fetch it again."
        )
