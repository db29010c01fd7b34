"""Composes the manifest of a bundle or an adapter: what the monitor needs to run it, and what people need to trust it.

It measures nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from export.calibrate import Calibration
from export.checkpoint import Asked, Checkpoint
from monitor.adapter import ADAPTER_FORMAT
from monitor.bundle import FORMAT, GRAPH, MANIFEST, VISION, Bundle, sha256_of

_ELSEWHERE = (
    "model_id",
    "image_size",
    "rubrics",
    "mean",
    "std",
    "weights",
    "license",
)  # keys of the card that the manifest has already


def describe_bundle(
    opened: Checkpoint, asked: Asked, calibration: Calibration, quantization: str, folder: Path
) -> dict[str, Any]:
    """The manifest, but for the figures, of a folder that holds all other files already."""
    files = _vouch(folder)
    graphs = sha256_of("".join(files[name]["sha256"] for name in (VISION, GRAPH)).encode())
    return {
        "format": FORMAT,
        "model_id": f"{opened.card['model_id']}-{graphs[:8]}",
        "created_by": f"classroom-monitor {_version()}",
        "license": opened.card.get("license", "Apache-2.0"),
        "image_size": int(opened.card["image_size"]),
        "quantization": quantization,
        "vision": VISION,
        "rubrics": {asked.rubric_id: {"graph": GRAPH, **_rubric(asked, calibration)}},
        "files": files,
        "parameters": sum(parameter.numel() for parameter in opened.model.parameters()),
        "training": without_places({key: value for key, value in opened.card.items() if key not in _ELSEWHERE}),
    }


def describe_adapter(
    adapter_id: str,
    base: Bundle,
    asked: Asked,
    calibration: Calibration,
    tensors: Mapping[str, tuple[int, ...]],
    folder: Path,
) -> dict[str, Any]:
    """The manifest, but for figures and lineage, of a folder that holds an adapter's file already.

    Args:
        adapter_id: its name.
        base: the bundle that it lies over.
        asked: what it was trained to answer.
        calibration: fitted with the adapter on.
        tensors: names and shapes.
        folder: with the file.
    """
    graphs = (str(base.vision), base.rubrics[asked.rubric_id].graph)
    return {
        "format": ADAPTER_FORMAT,
        "kind": "adapter",
        "adapter_id": adapter_id,
        "created_by": f"classroom-monitor {_version()}",
        "base_model_id": base.model_id,
        "base_files": {name: base.manifest["files"][name]["sha256"] for name in graphs},
        "rank": max(shape[1] for name, shape in tensors.items() if name.endswith(".lora_A")),
        "tensors": {name: list(shape) for name, shape in tensors.items()},
        "rubrics": {asked.rubric_id: _rubric(asked, calibration)},
        "files": _vouch(folder),
    }


def _vouch(folder: Path) -> dict[str, dict[str, Any]]:
    data = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    return {name: {"sha256": sha256_of(one), "bytes": len(one)} for name, one in data.items()}


def _rubric(asked: Asked, calibration: Calibration) -> dict[str, Any]:
    return {
        "question": asked.question,
        "labels": list(asked.labels),
        "phrases": list(asked.phrases),
        "temperature": calibration.temperature,
        "abstain_threshold": calibration.abstain_threshold,
    }


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write manifest.json."""
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8", newline="\n")


def without_places(value: Any) -> Any:
    """The same data with each absolute path cut to its last name: a bundle tells nothing of its maker's machine."""
    if isinstance(value, Mapping):
        return {key: without_places(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [without_places(one) for one in value]
    if isinstance(value, str) and (PurePosixPath(value).is_absolute() or PureWindowsPath(value).is_absolute()):
        return PureWindowsPath(value).name
    return value


def _version() -> str:
    try:
        return metadata.version("classroom-monitor")
    except metadata.PackageNotFoundError:
        return "(not installed)"
