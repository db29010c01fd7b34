"""Opens a bundle: the folder with a model as the monitor runs it, and the manifest that vouches for each file.

A file is read once, checked against its sha256, and the checked bytes are what is used. This file knows no onnxruntime
and no pictures.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from monitor.errors import BundleError, RubricError
from monitor.rubric import Rubric

FORMAT = 2
"""Version of the manifest that this program writes; 1, where one graph did all and took no adapters, is still read."""
MANIFEST = "manifest.json"
VISION = "vision.onnx"
"""From format 2 on: the graph that turns pixels into image tokens, once for all rubrics and adapters."""
GRAPH = "label_graph.onnx"
"""The graph of a bundle's first rubric: image tokens (in format 1 pixels) to label scores."""
_SHIPPED = Path(__file__).parent / "assets" / "bundle"
_REPAIR = "Install the package again, or export the bundle again."
_KEYS = ("model_id", "image_size", "files", "rubrics")
_RUBRIC_KEYS = ("graph", "question", "labels", "phrases", "temperature", "abstain_threshold")


@dataclass(frozen=True, slots=True)
class TrainedRubric:
    """One rubric that the bundle's model was trained for, with its calibration."""

    rubric_id: str
    graph: str
    """Name of its label graph inside the bundle."""
    question: str
    labels: tuple[str, ...]
    """Names in order: the columns of the graph's output."""
    phrases: tuple[str, ...]
    temperature: float
    """Label log-probabilities are divided by it before the softmax."""
    abstain_threshold: float
    """Below this confidence, 0 to 1, the answer is "unsure"."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle whose files are as its manifest says."""

    path: Path
    manifest: Mapping[str, Any]
    model_id: str
    image_size: int
    """Side in pixels of the square that the graph reads."""
    rubrics: Mapping[str, TrainedRubric]
    vision: str | None = None
    """Name of the graph that makes image tokens; None in format 1, whose label graphs read pixels themselves."""

    def read(self, name: str) -> bytes:
        """The checked bytes of one file.

        Raises:
            BundleError: the file is not in the manifest, missing, or changed since.
        """
        return _read_checked(self.path, name, self.manifest["files"])

    def trained_for(self, rubric: Rubric) -> TrainedRubric:
        """The bundle's own record of a rubric.

        Raises:
            RubricError: the model was not trained for it, or was trained for other words under the same id.
        """
        trained = self.rubrics.get(rubric.rubric_id)
        if trained is None:
            raise RubricError(
                f"rubric {rubric.rubric_id!r}: the model {self.model_id} was not trained for it, only for "
                f"{', '.join(sorted(self.rubrics))}. {_how_to_train(rubric)}"
            )
        phrases = tuple(label.phrase for label in rubric.labels)
        for what, expected, found in (
            ("question", trained.question, rubric.question),
            ("labels", trained.labels, rubric.names),
            ("phrases", trained.phrases, phrases),
        ):
            if expected != found:
                raise RubricError(
                    f"rubric {rubric.rubric_id!r}: its {what} changed since the model {self.model_id} was trained: "
                    f"expected {expected!r}, found {found!r}. {_how_to_train(rubric)}"
                )
        return trained


def open_bundle(path: Path | None = None) -> Bundle:
    """Open a bundle and check every file of it.

    Args:
        path: its folder; None opens the one shipped with the package.

    Raises:
        BundleError: no bundle there, a newer format, or a file that is missing or changed.
    """
    folder = _SHIPPED if path is None else path
    manifest = _read_manifest(folder)
    for name in manifest["files"]:
        _read_checked(folder, name, manifest["files"])
    rubrics = {key: _trained(folder, key, entry) for key, entry in manifest["rubrics"].items()}
    vision = str(manifest["vision"]) if manifest["format"] > 1 else None
    foreign = [graph for graph in _graphs(rubrics, vision) if graph not in manifest["files"]]
    if foreign:
        raise BundleError(f"{folder / MANIFEST}: the graph {foreign[0]!r} is not among its files. {_REPAIR}")
    return Bundle(folder, manifest, str(manifest["model_id"]), int(manifest["image_size"]), rubrics, vision)


def sha256_of(data: bytes) -> str:
    """Hex digest, as the manifest has it."""
    return hashlib.sha256(data).hexdigest()


def require_sha256(path: Path, expected: str) -> None:
    """Make sure that a file is the one that somebody vouched for.

    Raises:
        BundleError: missing, changed or damaged.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{path}: expected a file with sha256 {expected[:12]}…, found none readable ({error.strerror}). {_REPAIR}"
        ) from error
    found = sha256_of(data)
    if found != expected:
        raise BundleError(
            f"{path}: changed or damaged: expected sha256 {expected[:12]}…, found {len(data)} bytes with "
            f"{found[:12]}…. {_REPAIR}"
        )


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(f"{folder}: no bundle here: expected a folder with {MANIFEST}. {_REPAIR}") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BundleError(f"{path}: cannot be read as a manifest: {error}. {_REPAIR}") from error
    version = manifest.get("format") if isinstance(manifest, dict) else None
    if not isinstance(version, int):
        raise BundleError(f"{path}: expected a bundle's manifest with a format number, found {version!r}. {_REPAIR}")
    if version > FORMAT:
        raise BundleError(
            f"{path}: made by a newer version: expected format {FORMAT} at most, found {version}. "
            "Update classroom-monitor."
        )
    needed = _KEYS if version == 1 else (*_KEYS, "vision")
    absent = [key for key in needed if key not in manifest]
    if absent or not manifest["rubrics"]:
        missing = ", ".join(absent) or "any rubric"
        raise BundleError(f"{path}: incomplete: expected {', '.join(needed)}; missing: {missing}. {_REPAIR}")
    return dict(manifest)


def _read_checked(folder: Path, name: str, files: Mapping[str, Any]) -> bytes:
    if name not in files:
        raise BundleError(f"{folder / name}: not in the bundle's manifest, so nothing vouches for it. {_REPAIR}")
    if PurePosixPath(name).name != name or "\\" in name:
        raise BundleError(f"{folder / MANIFEST}: files must lie in the bundle itself, found {name!r}. {_REPAIR}")
    expected = str(files[name]["sha256"])
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise BundleError(
            f"{folder / name}: expected a file with sha256 {expected[:12]}…, found none readable ({error.strerror}). "
            f"{_REPAIR}"
        ) from error
    found = sha256_of(data)
    if found != expected:
        raise BundleError(
            f"{folder / name}: changed or damaged: expected {files[name]['bytes']} bytes with sha256 {expected[:12]}…, "
            f"found {len(data)} bytes with {found[:12]}…. {_REPAIR}"
        )
    return data


def _graphs(rubrics: Mapping[str, TrainedRubric], vision: str | None) -> list[str]:
    return [*([] if vision is None else [vision]), *(rubric.graph for rubric in rubrics.values())]


def _trained(folder: Path, rubric_id: str, entry: Mapping[str, Any]) -> TrainedRubric:
    absent = [key for key in _RUBRIC_KEYS if key not in entry]
    if absent:
        raise BundleError(f"{folder / MANIFEST}: rubric {rubric_id!r} lacks {', '.join(absent)}. {_REPAIR}")
    return TrainedRubric(
        rubric_id=rubric_id,
        graph=str(entry["graph"]),
        question=str(entry["question"]),
        labels=tuple(entry["labels"]),
        phrases=tuple(entry["phrases"]),
        temperature=float(entry["temperature"]),
        abstain_threshold=float(entry["abstain_threshold"]),
    )


def _how_to_train(rubric: Rubric) -> str:
    return (
        f"Train a model for it (`classroom train sft` with {rubric.rubric_id!r} as the rubric in its config), export "
        "it, and give that bundle."
    )
