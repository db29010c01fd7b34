"""Writes registries for tests: entries beside each other in a folder, and the aliases that choose one.

What `classroom models` writes, written here by hand, so that the reader is tested against the format and not against
the writer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from monitor.bundle import open_bundle, sha256_of
from monitor.rubric import load_rubric


def choose(models: Path, model_id: str, *, alias: str = "champion", **changes: Any) -> None:
    """Point an alias at an entry, as a promotion does: in one step, with the sha256 of the entry's manifest."""
    manifest = models / model_id / "manifest.json"
    record = {
        "model_id": model_id,
        "sha256": sha256_of(manifest.read_bytes()) if manifest.is_file() else "",
        "at": "2026-11-22T10:00:00+00:00",
        "by": "test",
        "reason": "",
        "forced": False,
        "previous": None,
        **changes,
    }
    models.mkdir(parents=True, exist_ok=True)
    written = models / f".{alias}.json.part"
    written.write_text(json.dumps(record), encoding="utf-8")
    written.replace(models / f"{alias}.json")


def write_adapter(folder: Path, base: Path, weights: bytes = b"weights", **changes: Any) -> Path:
    """An adapter for a bundle, with any bytes as weights; `changes` replace keys of its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    rubric, bundle = load_rubric("attention"), open_bundle(base)
    files = {"adapter.onnx_adapter": weights, "README.md": b"# An adapter\n"}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    manifest = {
        "format": 1,
        "kind": "adapter",
        "adapter_id": folder.name,
        "base_model_id": bundle.model_id,
        "base_files": {name: entry["sha256"] for name, entry in bundle.manifest["files"].items()},
        "rank": 2,
        "tensors": {"text.0.qkv.lora_A": [2, 8]},
        "rubrics": {
            "attention": {
                "question": rubric.question,
                "labels": list(rubric.names),
                "phrases": [label.phrase for label in rubric.labels],
                "temperature": 1.5,
                "abstain_threshold": 0.4,
            }
        },
        "files": {name: {"sha256": sha256_of(data), "bytes": len(data)} for name, data in files.items()},
        "lineage": {"parent": None, "round": 1, "data_sha256": "", "lectures": [], "annotators": [], "students": []},
        "figures": {},
        "tainted_by": [],
        **changes,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def spoil(path: Path) -> None:
    """Change one byte in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
