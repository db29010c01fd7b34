"""Writes registries for tests: entries beside each other in a folder, and the aliases that choose one.

`write_swappable` and `write_turned` are a bundle and its adapters, as small as can be, and real ones: onnxruntime runs
them.

What `classroom models` writes, written here by hand, so that the reader is tested against the format and not against
the writer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from monitor.bundle import open_bundle, sha256_of
from monitor.rubric import load_rubric
from tests.monitor.bundles import SIDE, write_bundle

SCALE = 16.0


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


def write_swappable(folder: Path, *, batch: int = -1, **changes: Any) -> Path:
    """A bundle of format 2: what is seen is the mean red, green and blue, and each speaks for one label.

    Its label graph takes an adapter of any rank; that of rank 0, which it has by itself, changes nothing.

    Args:
        folder: of the entry.
        batch: how many crops it can look at in a batch, and fails at any other number; -1 is any number.
        changes: replace keys of the manifest.
    """
    files = {"vision.onnx": _mean_graph(batch), "label_graph.onnx": _answer_graph(), "tokenizer.json": b"{}"}
    write_bundle(folder, files["label_graph.onnx"])
    for name, data in files.items():
        (folder / name).write_bytes(data)
    told = {name: {"sha256": sha256_of(data), "bytes": len(data)} for name, data in files.items()}
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**manifest, "format": 2, "vision": "vision.onnx", "files": told, **changes}))
    return folder


def write_turned(folder: Path, base: Path, by: int = 1, *, strength: float = 1.0, **changes: Any) -> Path:
    """An adapter of `write_swappable` that turns the labels on: what was screen is paper, paper wander, wander screen.

    Args:
        folder: of the entry.
        base: folder of the bundle.
        by: how far; 1 or 2 turn all three labels, 0 changes nothing.
        strength: 1 turns them wholly.
        changes: replace keys of the manifest.
    """
    turned = (np.roll(np.eye(3), by, axis=1) - np.eye(3)) * (strength / SCALE)
    tensors = {"text.0.qkv.lora_A": np.eye(3, dtype=np.float32), "text.0.qkv.lora_B": turned.astype(np.float32)}
    file = onnxruntime.AdapterFormat()
    file.set_adapter_version(1)
    file.set_model_version(1)
    file.set_parameters({name: onnxruntime.OrtValue.ortvalue_from_numpy(value) for name, value in tensors.items()})
    scratch = folder.with_name(f".{folder.name}.onnx_adapter")
    scratch.parent.mkdir(parents=True, exist_ok=True)
    file.export_adapter(str(scratch))
    weights = scratch.read_bytes()
    scratch.unlink()
    shapes = {name: list(value.shape) for name, value in tensors.items()}
    return write_adapter(folder, base, weights, **{"rank": 3, "tensors": shapes, **changes})


def _mean_graph(batch: int) -> bytes:
    """(B, side, side, 3) uint8 to (B, 1, 3)."""
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2])
    shape = helper.make_tensor("shape", TensorProto.INT64, [3], [batch, 1, 3])
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["means"], keepdims=0),
        helper.make_node("Reshape", ["means", "shape"], ["tokens"]),
    ]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["batch", SIDE, SIDE, 3])
    tokens = helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["batch", 1, 3])
    return _model(nodes, [pixels], tokens, [axes, shape])


def _answer_graph() -> bytes:
    """(B, 1, 3) to (B, 3): tokens / SCALE, and what an adapter adds."""
    constants = [
        helper.make_tensor("scale", TensorProto.FLOAT, [1], [SCALE]),
        helper.make_tensor("axes", TensorProto.INT64, [1], [1]),
        helper.make_tensor("text.0.qkv.lora_A", TensorProto.FLOAT, [3, 0], []),
        helper.make_tensor("text.0.qkv.lora_B", TensorProto.FLOAT, [0, 3], []),
    ]
    nodes = [
        helper.make_node("Squeeze", ["tokens", "axes"], ["seen"]),
        helper.make_node("Div", ["seen", "scale"], ["plain"]),
        helper.make_node("MatMul", ["seen", "text.0.qkv.lora_A"], ["narrow"]),
        helper.make_node("MatMul", ["narrow", "text.0.qkv.lora_B"], ["added"]),
        helper.make_node("Add", ["plain", "added"], ["label_log_probs"]),
    ]
    inputs = [
        helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["batch", 1, 3]),
        helper.make_tensor_value_info("text.0.qkv.lora_A", TensorProto.FLOAT, [3, "rank"]),
        helper.make_tensor_value_info("text.0.qkv.lora_B", TensorProto.FLOAT, ["rank", 3]),
    ]
    scores = helper.make_tensor_value_info("label_log_probs", TensorProto.FLOAT, ["batch", 3])
    return _model(nodes, inputs, scores, constants)


def _model(nodes: list[Any], inputs: list[Any], output: Any, constants: list[Any]) -> bytes:
    graph = helper.make_graph(nodes, "colors", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
