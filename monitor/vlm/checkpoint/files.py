"""Files of a checkpoint: found on this machine, whole, and told apart by their hash.

Safetensors only, nothing downloaded unless asked. This file opens no model.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from monitor.errors import BundleError
from monitor.vlm.checkpoint.card import CARD_FILE

_WANTED = ("*.json", "*.safetensors", "*.jinja", "*.txt", "*.model")
_UNWANTED = ("*/*",)
"""Folders of a repository hold the model in other forms."""


def name_of(base: str | Path) -> str:
    """The last part of a path or id, without a revision: what was opened is told by its hash."""
    return Path(str(base).partition("@")[0] if not Path(base).exists() else base).resolve().name


def hash_files(paths: list[Path]) -> str:
    """One sha256 over names and contents."""
    return hash_digests({path.name: _digest(path) for path in paths})


def hash_digests(digests: Mapping[str, str]) -> str:
    """The same, of files whose own sha256 are known."""
    total = hashlib.sha256()
    for name in sorted(digests):
        total.update(name.encode())
        total.update(bytes.fromhex(digests[name]))
    return total.hexdigest()


def read_digests(folder: Path) -> dict[str, str]:
    """Name and sha256 of every file of a checkpoint that decides its answers.

    Raises:
        BundleError: a file from the hub's cache that is not what the hub gave.
    """
    paths = {path for pattern in _WANTED for path in folder.glob(pattern)}
    digests = {path.name: _digest(path) for path in sorted(paths)}
    for path in paths:
        _check_name(path, digests[path.name])
    return digests


def hash_base(folder: Path) -> str:
    """Hash of what an adapter is bound to: weights, configuration, tokenizer; neither the card nor the processor."""
    return hash_digests(base_part(read_digests(folder)))


def base_part(digests: Mapping[str, str]) -> dict[str, str]:
    """Of all files those that `hash_base` is made of."""
    others = ("config.json", "tokenizer.json")
    return {name: digest for name, digest in digests.items() if name.endswith(".safetensors") or name in others}


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
    _require_one(folder, "tokenizer", ("tokenizer.json", "tokenizer.model", "vocab.json"))
    if not (folder / CARD_FILE).is_file():
        _require_one(folder, "picture processor", ("preprocessor_config.json", "processor_config.json"))
    return folder


def _require_one(folder: Path, what: str, names: tuple[str, ...]) -> None:
    if not any((folder / name).is_file() for name in names):
        raise BundleError(
            f"{folder}: its {what} is missing: expected {' or '.join(names)}, found none. Copy the whole "
            "checkpoint; one of a language model alone, without pictures, cannot be used."
        )


def _from_hub(name: str, download: bool, how_to_download: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    repository, _, revision = name.partition("@")
    try:
        found = snapshot_download(
            repository,
            revision=revision or None,
            local_files_only=not download,
            allow_patterns=list(_WANTED),
            ignore_patterns=list(_UNWANTED),
        )
    except HFValidationError as error:
        raise BundleError(f"{name}: no such folder, and no id of the hub either.") from error
    except Exception as error:  # what breaks a connection is of another class in each version of the library
        why = f"It could not be fetched from the hub either ({str(error).strip().partition(chr(10))[0]})."
        raise BundleError(
            f"{name}: no such folder, and not on this machine. {why if download else how_to_download}"
        ) from error
    return Path(found)


def _check_name(path: Path, found: str) -> None:
    """The hub's cache names a large file by its sha256, a small one by git's hash: then its bytes must be those."""
    stored = path.resolve()
    expected = stored.name
    if stored.parent.name != "blobs" or not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", expected):
        return
    kind = "sha256" if len(expected) == 64 else "git hash"
    found = found if kind == "sha256" else _git_hash(stored.read_bytes())
    if found != expected:
        raise BundleError(
            f"{path}: changed or damaged: expected {kind} {expected[:12]}…, as the hub's cache names it, found "
            f"{found[:12]}…. Delete {stored} and fetch it again."
        )


def _git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
