"""Writes tiny networks with YuNet's inputs and outputs, that find every white square of 8 x 8 px."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

CHANNELS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
STRIDES = (8, 16, 32)
FACE_PX = (32, 40)
"""Width and height of the face that a bright square stands for, centred on it."""


def write_yunet(path: Path, side_px: int | None = None) -> Path:
    """A YuNet that sees a face of FACE_PX around each white square of the grid of 8 px, at any picture size.

    With `side_px` the file names one square input size, as OpenCV's own files do.
    """
    nodes, weights, outputs = [], [], []
    for kind, channels in CHANNELS.items():
        for stride in STRIDES:
            name = f"{kind}_{stride}"
            kernel, bias = _filter(kind, stride)
            weights += [_tensor(kernel, f"{name}_kernel"), _tensor(bias, f"{name}_bias")]
            weights.append(numpy_helper.from_array(np.array([1, -1, channels], np.int64), f"{name}_shape"))
            nodes += _branch(name, stride, squashed=kind in ("cls", "obj"))
            cells = None if side_px is None else (side_px // stride) ** 2
            outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, cells, channels]))
    size = ["height", "width"] if side_px is None else [side_px, side_px]
    picture = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, *size])
    return _save(path, helper.make_graph(nodes, "yunet", [picture], outputs, weights))


def write_other_network(path: Path) -> Path:
    """A whole ONNX file that is no YuNet."""
    picture = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 8, 8])
    answer = helper.make_tensor_value_info("loc", TensorProto.FLOAT, [1, 3, 8, 8])
    return _save(path, helper.make_graph([helper.make_node("Relu", ["input"], ["loc"])], "other", [picture], [answer]))


def _filter(kind: str, stride: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Kernel and bias of one output: the finest class and object cells answer to white, the others never."""
    channels = CHANNELS[kind]
    kernel, bias = np.zeros((channels, 3, stride, stride)), np.zeros(channels)
    if kind in ("cls", "obj"):
        bias[:] = -20.0
        kernel[:] = 0.2 / (3 * stride * stride) if stride == 8 else 0.0  # mean grey level 255 makes 31
    elif kind == "bbox":
        bias[:] = [0.5, 0.5, np.log(FACE_PX[0] / stride), np.log(FACE_PX[1] / stride)]
    return kernel, bias


def _branch(name: str, stride: int, *, squashed: bool) -> list[onnx.NodeProto]:
    """Picture to (1, cells, channels), one cell per stride x stride px."""
    sides = [stride, stride]
    nodes = [
        helper.make_node(
            "Conv", ["input", f"{name}_kernel", f"{name}_bias"], [f"{name}_map"], kernel_shape=sides, strides=sides
        )
    ]
    last = f"{name}_map"
    if squashed:
        nodes.append(helper.make_node("Sigmoid", [last], [f"{name}_chance"]))
        last = f"{name}_chance"
    nodes.append(helper.make_node("Transpose", [last], [f"{name}_cells"], perm=[0, 2, 3, 1]))
    nodes.append(helper.make_node("Reshape", [f"{name}_cells", f"{name}_shape"], [name]))
    return nodes


def _tensor(values: NDArray[np.float64], name: str) -> onnx.TensorProto:
    return numpy_helper.from_array(values.astype(np.float32), name)


def _save(path: Path, graph: onnx.GraphProto) -> Path:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path
