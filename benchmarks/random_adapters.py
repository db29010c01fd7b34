"""Adapters with random weights for any bundle that takes them: as big and as slow as trained ones, as wise as dice.

They fill every input of the bundle's label graph but the cached prompt, which an adapter need not bring.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

from monitor.adapter import ADAPTER_FILE, ADAPTER_FORMAT
from monitor.bundle import MANIFEST, Bundle, sha256_of
from monitor.errors import BundleError

_STRENGTH = 0.05
"""Of one matrix product, beside the base's: answers change, and stay numbers."""


def write_random_adapter(folder: Path, base: Bundle, *, rubric_id: str = "attention", rank: int = 8, seed: int) -> Path:
    """Write an adapter as the registry has it; its name is the folder's.

    Raises:
        BundleError: the bundle takes no adapters.
    """
    folder.mkdir(parents=True)
    tensors = _tensors(base, rubric_id, rank, np.random.default_rng(seed))
    files = {ADAPTER_FILE: _weights(tensors), "README.md": b"Random weights, for a benchmark.\n"}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    trained = base.rubrics[rubric_id]
    manifest = {
        "format": ADAPTER_FORMAT,
        "kind": "adapter",
        "adapter_id": folder.name,
        "base_model_id": base.model_id,
        "base_files": {name: told["sha256"] for name, told in base.manifest["files"].items()},
        "rank": rank,
        "tensors": {name: list(one.shape) for name, one in tensors.items()},
        "rubrics": {
            rubric_id: {
                "question": trained.question,
                "labels": list(trained.labels),
                "phrases": list(trained.phrases),
                "temperature": trained.temperature,
                "abstain_threshold": trained.abstain_threshold,
            }
        },
        "files": {name: {"sha256": sha256_of(data), "bytes": len(data)} for name, data in files.items()},
        "lineage": {
            "parent": None,
            "round": None,
            "data_sha256": None,
            "lectures": [],
            "annotators": [],
            "students": [],
        },
        "figures": {},
        "tainted_by": [],
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2), encoding="utf-8")
    return folder


def _tensors(base: Bundle, rubric_id: str, rank: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 3
    graph = base.read(base.rubrics[rubric_id].graph)
    session = onnxruntime.InferenceSession(graph, quiet, providers=["CPUExecutionProvider"])
    tensors = {}
    for one in session.get_overridable_initializers():
        if ".lora_" not in one.name:
            continue
        shape = [size if isinstance(size, int) else rank for size in one.shape]
        element = np.float16 if one.type == "tensor(float16)" else np.float32
        tensors[one.name] = (rng.normal(size=shape) * np.sqrt(_STRENGTH / shape[0])).astype(element)
    if not tensors:
        raise BundleError(f"{base.path}: takes no adapters. Export it again with this version (`classroom export`).")
    return tensors


def _weights(tensors: dict[str, np.ndarray]) -> bytes:
    file = onnxruntime.AdapterFormat()
    file.set_adapter_version(1)
    file.set_model_version(1)
    file.set_parameters({name: onnxruntime.OrtValue.ortvalue_from_numpy(one) for name, one in tensors.items()})
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / ADAPTER_FILE
        file.export_adapter(str(path))
        return path.read_bytes()
