"""Writes bundles with a graph made by hand: the scores of the labels are the mean red, green and blue of the crop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from monitor.bundle import sha256_of
from monitor.rubric import load_rubric

SIDE = 16
THRESHOLD = 0.6


def color_graph(side: int = SIDE, scale: float = 16.0) -> bytes:
    """(B, side, side, 3) uint8 to (B, 3): each channel's mean / scale."""
    weights = helper.make_tensor("scale", TensorProto.FLOAT, [1], [scale])
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2])
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["means"], keepdims=0),
        helper.make_node("Div", ["means", "scale"], ["label_log_probs"]),
    ]
    graph = helper.make_graph(
        nodes,
        "colors",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["batch", side, side, 3])],
        [helper.make_tensor_value_info("label_log_probs", TensorProto.FLOAT, ["batch", 3])],
        [weights, axes],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def write_bundle(folder: Path, graph: bytes | None = None, **changes: Any) -> Path:
    """A bundle for the rubric `attention`; `changes` replace keys of its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    rubric = load_rubric("attention")
    files = {"label_graph.onnx": graph or color_graph(), "tokenizer.json": b"{}"}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    manifest = {
        "format": 1,
        "model_id": "colors-1",
        "image_size": SIDE,
        "files": {name: {"sha256": sha256_of(data), "bytes": len(data)} for name, data in files.items()},
        "rubrics": {
            "attention": {
                "graph": "label_graph.onnx",
                "question": rubric.question,
                "labels": list(rubric.names),
                "phrases": [label.phrase for label in rubric.labels],
                "temperature": 2.0,
                "abstain_threshold": THRESHOLD,
            }
        },
        **changes,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def flat(color_bgr: tuple[int, int, int], height: int = 40, width: int = 40) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A picture of one colour."""
    return np.full((height, width, 3), color_bgr, dtype=np.uint8)
