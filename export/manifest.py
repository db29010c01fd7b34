"""Composes a bundle's manifest: what the monitor needs to run it, and what people need to trust it.

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
from monitor.bundle import FORMAT, GRAPH, MANIFEST, VISION, sha256_of

_ELSEWHERE = (
    "model_id",
    "image_size",
    "rubrics",
    "mean",
    "std",
    "weights",
)  # keys of the card that the manifest has already


def describe_bundle(
    opened: Checkpoint, asked: Asked, calibration: Calibration, quantization: str, folder: Path
) -> dict[str, Any]:
    """The manifest, but for the figures, of a folder that holds all other files already."""
    files: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        files[path.name] = {"sha256": sha256_of(data), "bytes": len(data)}
    graphs = sha256_of("".join(files[name]["sha256"] for name in (VISION, GRAPH)).encode())
    return {
        "format": FORMAT,
        "model_id": f"{opened.card['model_id']}-{graphs[:8]}",
        "created_by": f"classroom-monitor {_version()}",
        "license": "Apache-2.0",
        "image_size": int(opened.card["image_size"]),
        "quantization": quantization,
        "vision": VISION,
        "rubrics": {
            asked.rubric_id: {
                "graph": GRAPH,
                "question": asked.question,
                "labels": list(asked.labels),
                "phrases": list(asked.phrases),
                "temperature": calibration.temperature,
                "abstain_threshold": calibration.abstain_threshold,
            }
        },
        "files": files,
        "parameters": sum(parameter.numel() for parameter in opened.model.parameters()),
        "training": without_places({key: value for key, value in opened.card.items() if key not in _ELSEWHERE}),
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
