"""Opens an adapter: LoRA weights for one bundle, with the manifest that vouches for them and says whose they are.

Like a bundle's, its files are checked against their sha256, and the checked bytes are what is used. This file knows no
onnxruntime, and not which adapter is in use.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from monitor.bundle import MANIFEST, Bundle, TrainedRubric, sha256_of
from monitor.errors import BundleError
from monitor.rubric import Rubric

ADAPTER_FORMAT = 1
"""Version of the adapter's manifest that this program reads and writes."""
ADAPTER_FILE = "adapter.onnx_adapter"
VISION_PREFIX = "vision."
"""Names of tensors that change what is seen begin so; all others change only what is made of it."""
_KEYS = ("adapter_id", "base_model_id", "base_files", "rank", "tensors", "rubrics", "files")
_RUBRIC_KEYS = ("question", "labels", "phrases", "temperature", "abstain_threshold")
_REPAIR = "Export the adapter again, put its copy back, or `classroom models rollback` to the model before."


@dataclass(frozen=True, slots=True)
class AdapterFile:
    """An opened adapter whose files are as its manifest says, and whose base is the bundle given."""

    path: Path
    """Its folder."""
    manifest: Mapping[str, Any]
    adapter_id: str
    base: Bundle
    rank: int
    tensors: Mapping[str, tuple[int, ...]]
    """Shapes by name: inputs of the base's graphs."""
    rubrics: Mapping[str, TrainedRubric]
    """What it was trained for, with its own temperature and threshold."""

    def read(self) -> bytes:
        """The checked bytes of the weights.

        Raises:
            BundleError: missing, or changed since.
        """
        return _read_checked(self.path, ADAPTER_FILE, self.manifest["files"])

    @property
    def changes_vision(self) -> bool:
        """Whether pictures look different through it; else image tokens may be shared with the base."""
        return any(name.startswith(VISION_PREFIX) for name in self.tensors)

    def trained_for(self, rubric: Rubric) -> TrainedRubric:
        """The adapter's own record of a rubric.

        Raises:
            RubricError: it was not trained for it, or for other words under the same id.
        """
        named = f"{self.base.model_id} with {self.adapter_id}"
        return replace(self.base, model_id=named, rubrics=self.rubrics).trained_for(rubric)


def open_adapter(folder: Path, base: Bundle) -> AdapterFile:
    """Open an adapter and check every file of it, and that it was made for this base.

    Raises:
        BundleError: no adapter there, a newer format, a missing or changed file, or another base.
    """
    manifest = read_adapter_manifest(folder)
    for name in manifest["files"]:
        _read_checked(folder, name, manifest["files"])
    _require_base(folder, manifest, base)
    return AdapterFile(
        path=folder,
        manifest=manifest,
        adapter_id=str(manifest["adapter_id"]),
        base=base,
        rank=int(manifest["rank"]),
        tensors={name: tuple(map(int, shape)) for name, shape in manifest["tensors"].items()},
        rubrics={key: _trained(folder, key, entry, base) for key, entry in manifest["rubrics"].items()},
    )


def read_adapter_manifest(folder: Path) -> dict[str, Any]:
    """The manifest alone, its form checked and none of its files.

    Raises:
        BundleError: missing, unreadable, of another kind or newer, or incomplete.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BundleError(f"{path}: expected the manifest of an adapter, cannot be read: {error}. {_REPAIR}") from error
    found = (manifest.get("kind"), manifest.get("format")) if isinstance(manifest, dict) else (None, None)
    if found[0] != "adapter" or not isinstance(found[1], int):
        raise BundleError(
            f"{path}: expected the kind 'adapter' with a format number, found {found[0]!r}, {found[1]!r}. {_REPAIR}"
        )
    if found[1] > ADAPTER_FORMAT:
        raise BundleError(
            f"{path}: made by a newer version: expected format {ADAPTER_FORMAT} at most, found {found[1]}. "
            "Update classroom-monitor."
        )
    _require_form(path, manifest)
    return dict(manifest)


def _require_form(path: Path, manifest: Mapping[str, Any]) -> None:
    absent = [key for key in _KEYS if key not in manifest]
    if absent:
        raise BundleError(f"{path}: incomplete: expected {', '.join(_KEYS)}; missing: {', '.join(absent)}. {_REPAIR}")
    for key in ("base_files", "tensors", "rubrics", "files"):
        if not isinstance(manifest[key], dict) or not manifest[key]:
            raise BundleError(f"{path}: expected a table with something in it for {key}, found none. {_REPAIR}")
    if ADAPTER_FILE not in manifest["files"]:
        raise BundleError(
            f"{path}: expected {ADAPTER_FILE} among its files, found {list(manifest['files'])}. {_REPAIR}"
        )
    if not isinstance(manifest["rank"], int) or manifest["rank"] < 1:
        raise BundleError(f"{path}: expected a rank of 1 or more, found {manifest['rank']!r}. {_REPAIR}")


def _require_base(folder: Path, manifest: Mapping[str, Any], base: Bundle) -> None:
    advice = f"Train it again from {base.model_id}, or put the bundle it was made for into the folder of models."
    if manifest["base_model_id"] != base.model_id:
        raise BundleError(
            f"{folder}: an adapter for another model: expected {base.model_id}, found {manifest['base_model_id']}. "
            f"{advice}"
        )
    for name, expected in manifest["base_files"].items():
        here = base.manifest["files"].get(name)
        found = str(here["sha256"]) if here else "no such file"
        if found != expected:
            raise BundleError(
                f"{folder}: an adapter for other files of {base.model_id}: expected {name} with sha256 "
                f"{str(expected)[:12]}…, found {found[:12]}… in {base.path}. {advice}"
            )


def _read_checked(folder: Path, name: str, files: Mapping[str, Any]) -> bytes:
    if PurePosixPath(name).name != name or "\\" in name:
        raise BundleError(f"{folder / MANIFEST}: files must lie in the adapter's folder, found {name!r}. {_REPAIR}")
    try:
        expected, size = str(files[name]["sha256"]), int(files[name]["bytes"])
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"{folder / MANIFEST}: expected bytes and sha256 of {name}, found neither. {_REPAIR}"
        ) from error
    path = folder / name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{path}: expected {size} bytes with sha256 {expected[:12]}…, found none readable ({error.strerror}). "
            f"{_REPAIR}"
        ) from error
    found = sha256_of(data)
    if found != expected:
        raise BundleError(
            f"{path}: changed or damaged: expected {size} bytes with sha256 {expected[:12]}…, found {len(data)} bytes "
            f"with {found[:12]}…. {_REPAIR}"
        )
    return data


def _trained(folder: Path, rubric_id: str, entry: Mapping[str, Any], base: Bundle) -> TrainedRubric:
    absent = [key for key in _RUBRIC_KEYS if key not in entry]
    if absent:
        raise BundleError(f"{folder / MANIFEST}: rubric {rubric_id!r} lacks {', '.join(absent)}. {_REPAIR}")
    asked = base.rubrics.get(rubric_id)
    if asked is None:
        raise BundleError(
            f"{folder / MANIFEST}: rubric {rubric_id!r} has no graph in {base.path}, only "
            f"{', '.join(sorted(base.rubrics))} {'has' if len(base.rubrics) == 1 else 'have'}. {_REPAIR}"
        )
    return TrainedRubric(
        rubric_id=rubric_id,
        graph=asked.graph,
        question=str(entry["question"]),
        labels=tuple(entry["labels"]),
        phrases=tuple(entry["phrases"]),
        temperature=float(entry["temperature"]),
        abstain_threshold=float(entry["abstain_threshold"]),
    )
