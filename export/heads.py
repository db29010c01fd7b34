"""Writes a trained head finder as one small ONNX file with its manifest, and proves that both answer the same.

The graph reads pictures as they come (uint8, blue-green-red) and gives peaks and boxes, so that the monitor only has to
pick them. Weights are stored in half precision. It knows nothing of how the network was trained.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

from monitor.bundle import sha256_of
from monitor.errors import BadInputError

GRAPH, MANIFEST = "heads.onnx", "manifest.json"
PICTURES, PEAKS, BOXES = "pictures", "peaks", "boxes"
"""Input (N, H, W, 3) uint8; outputs (N, h, w), the chance of a head where it is a peak, else 0, and (N, 4, h, w) with
centre x, y, width and height in pixels of the input."""
_OPSET = 18


def export_heads(trained: Path, out: Path) -> Path:
    """Write the graph and the manifest of the network in folder `trained` to `out`. Returns the graph's path.

    Raises:
        BadInputError: `trained` holds no trained head finder.
    """
    try:
        weights = load_file(trained / "heads.safetensors")
        card = json.loads((trained / "heads.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInputError(
            f"{trained}: no trained head finder ({error}). Train one: trainer/configs/heads.toml"
        ) from error
    data = _Graph(weights, int(card["cell_px"])).model().SerializeToString()
    out.mkdir(parents=True, exist_ok=True)
    (out / GRAPH).write_bytes(data)
    manifest = {
        "format": 1,
        "license": "Apache-2.0",
        "files": {GRAPH: {"sha256": sha256_of(data), "bytes": len(data)}},
        "threshold": card["threshold"],
        "cell_px": card["cell_px"],
        "multiple_px": card["multiple_px"],
        "parameters": card["parameters"],
        "held_out": card["held_out"],
        "training": {key: card[key] for key in ("cutouts", "crops")} | _plain(card["settings"]),
    }
    text = json.dumps(manifest, indent=2) + "\n"
    (out / MANIFEST).write_text(text, encoding="utf-8", newline="\n")
    return out / GRAPH


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings without folders: a manifest tells nothing of its maker's machine."""
    return {key: value for key, value in settings.items() if not (value and _is_place(value))}


def _is_place(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and isinstance(value[0], str))


class _Graph:
    """Collects nodes and weights."""

    def __init__(self, weights: dict[str, NDArray[Any]], cell_px: int) -> None:
        self._weights, self._cell_px = weights, float(cell_px)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def model(self) -> onnx.ModelProto:
        """The whole graph, checked."""
        x = self._pictures()
        for name in self._in_order("stem"):
            x = self._convolution(x, name, stride=2)
        for name in self._in_order("fine"):
            x = self._node("Add", x, self._convolution(x, name))
        y = self._convolution(x, "down", stride=2)
        for name in self._in_order("coarse"):
            y = self._node("Add", y, self._convolution(y, name))
        y = self._convolution(y, "join", active=False)
        scales = self._constant(np.array([1, 1, 2, 2], np.float32))
        y = self._node("Resize", y, "", scales, mode="nearest", coordinate_transformation_mode="asymmetric")
        x = self._node("Relu", self._node("Add", x, y))
        x = self._convolution(x, "last")
        self._answers(self._convolution(x, "out", active=False))
        graph = helper.make_graph(
            self._nodes,
            "heads",
            [helper.make_tensor_value_info(PICTURES, TensorProto.UINT8, ["n", "height", "width", 3])],
            [
                helper.make_tensor_value_info(PEAKS, TensorProto.FLOAT, ["n", "rows", "columns"]),
                helper.make_tensor_value_info(BOXES, TensorProto.FLOAT, ["n", 4, "rows", "columns"]),
            ],
            self._constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=9)
        onnx.checker.check_model(model, full_check=True)
        return model

    def _pictures(self) -> str:
        x = self._node("Cast", PICTURES, to=TensorProto.FLOAT)
        x = self._node("Transpose", x, perm=[0, 3, 1, 2])
        x = self._node("Mul", x, self._constant(np.float32(1 / 64)))
        return self._node("Sub", x, self._constant(np.float32(2)))

    def _answers(self, out: str) -> None:
        heat, offset, size = (f"{part}" for part in ("heat", "offset", "log_size"))
        parts = self._constant(np.array([1, 2, 2], np.int64))
        self._nodes.append(helper.make_node("Split", [out, parts], [heat, offset, size], axis=1))
        chance = self._node("Sigmoid", heat)
        highest = self._node("MaxPool", chance, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        is_peak = self._node("Cast", self._node("Equal", chance, highest), to=TensorProto.FLOAT)
        first = self._constant(np.array([1], np.int64))
        self._nodes.append(helper.make_node("Squeeze", [self._node("Mul", chance, is_peak), first], [PEAKS]))
        # A cell's own place: how many cells lie left of it and above, by summing ones.
        ones = self._node(
            "Add", self._node("Mul", offset, self._constant(np.float32(0))), self._constant(np.float32(1))
        )
        across = self._node("CumSum", self._channel(ones, 0), self._constant(np.int64(3)))
        down = self._node("CumSum", self._channel(ones, 1), self._constant(np.int64(2)))
        half = self._constant(np.float32(0.5))
        middle = self._node("Sub", self._node("Add", offset, self._node("Concat", across, down, axis=1)), half)
        cells = self._node("Concat", middle, self._node("Exp", size), axis=1)
        self._nodes.append(helper.make_node("Mul", [cells, self._constant(np.float32(self._cell_px))], [BOXES]))

    def _channel(self, x: str, index: int) -> str:
        start, end, axis = (self._constant(np.array([v], np.int64)) for v in (index, index + 1, 1))
        return self._node("Slice", x, start, end, axis)

    def _in_order(self, part: str) -> list[str]:
        return sorted({name.rsplit(".", 1)[0] for name in self._weights if name.startswith(f"{part}.")})

    def _convolution(self, x: str, name: str, stride: int = 1, active: bool = True) -> str:
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        names = [self._half(array, f"{name}.{part}") for array, part in ((weight, "weight"), (bias, "bias"))]
        pad = weight.shape[2] // 2
        x = self._node("Conv", x, *names, strides=[stride] * 2, pads=[pad] * 4)
        return self._node("Relu", x) if active else x

    def _half(self, array: NDArray[Any], name: str) -> str:
        self._constants.append(numpy_helper.from_array(array.astype(np.float16), name))
        return self._node("Cast", name, to=TensorProto.FLOAT)

    def _constant(self, array: Any) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def _node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name
