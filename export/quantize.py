"""Makes a label graph small: int8 weights, with static or dynamic activations.

Weights keep 7 of their 8 bits, per channel: without VNNI, an x86 processor adds two 8 x 8-bit products in 16 bits and
would overflow, and a laptop would answer differently from the machine that measured. This file judges nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

from export.label_graph import INPUT
from monitor.errors import BadInputError, BundleError

_SMALLEST = 4096  # smaller matrices cost nothing and hold exact tables
_BATCH = 16
_MOST_CROPS = 256


def _static(source: Path, target: Path, crops: NDArray[np.uint8]) -> None:
    if not len(crops):
        raise BadInputError("static quantization needs calibration crops, found none: render held-out crops first")
    quantize_static(
        str(source),
        str(target),
        _Crops(crops[:_MOST_CROPS]),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["MatMul"],
        nodes_to_exclude=_small_products(source),
        per_channel=True,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        # Sums stay in fp32: rounding them again costs accuracy and saves nothing.
        extra_options={"OpTypesToExcludeOutputQuantization": ["MatMul"]},
    )


def _dynamic(source: Path, target: Path, crops: NDArray[np.uint8]) -> None:
    quantize_dynamic(
        str(source),
        str(target),
        op_types_to_quantize=["MatMul"],
        nodes_to_exclude=_small_products(source),
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )


METHODS: dict[str, Callable[[Path, Path, NDArray[np.uint8]], None]] = {"int8-static": _static, "int8-dynamic": _dynamic}
"""In order of preference: with static ranges, a crop's answer does not depend on the others in its batch."""


def quantize(method: str, source: Path, target: Path, crops: NDArray[np.uint8]) -> None:
    """Write a quantized copy of an fp32 graph.

    Args:
        method: a key of METHODS.
        source: the fp32 graph.
        target: the file to write.
        crops: (N, side, side, 3) RGB pictures like those it will see; static ranges are taken from them.

    Raises:
        BadInputError: an unknown method, or no crops to take ranges from.
    """
    if method not in METHODS:
        raise BadInputError(f"no quantization {method!r}: choose from {', '.join(METHODS)}")
    with _quiet():
        METHODS[method](source, target, crops)
    _require_integers(target)
    strip(target)


def strip(path: Path) -> None:
    """Remove what tools note in a graph: stack traces and paths of the machine that exported it."""
    model = onnx.load(str(path))
    model.doc_string = ""
    del model.metadata_props[:]
    _strip_graph(model.graph)
    for function in model.functions:
        function.doc_string = ""
        del function.metadata_props[:]
        for node in function.node:
            _strip_one(node)
    onnx.save(model, str(path))


def _strip_graph(graph: Any) -> None:
    _strip_one(graph)
    for part in (graph.node, graph.initializer, graph.input, graph.output, graph.value_info):
        for one in part:
            _strip_one(one)


def _strip_one(one: Any) -> None:
    one.doc_string = ""
    del one.metadata_props[:]


class _Crops(CalibrationDataReader):
    """Hands calibration crops to the quantizer, batch by batch."""

    def __init__(self, crops: NDArray[np.uint8]) -> None:
        self._batches = iter([crops[start : start + _BATCH] for start in range(0, len(crops), _BATCH)])

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}


def _small_products(path: Path) -> list[str]:
    """Names of the MatMul nodes whose constant side is tiny."""
    graph = onnx.load(str(path)).graph
    sizes = {weights.name: int(np.prod(weights.dims)) for weights in graph.initializer}
    return [
        node.name
        for node in graph.node
        if node.op_type == "MatMul" and min(sizes.get(name, _SMALLEST) for name in node.input) < _SMALLEST
    ]


def _require_integers(path: Path) -> None:
    """Check that each big product multiplies integers: the quantizer skips without a word what it cannot type."""
    graph = onnx.load(str(path)).graph
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    sizes = {weights.name: int(np.prod(weights.dims)) for weights in graph.initializer}
    for node in graph.node:
        sources = [made_by.get(name) for name in node.input]
        plain = any(sizes.get(name, 0) >= _SMALLEST for name in node.input)
        half = "DequantizeLinear" in sources and sources != ["DequantizeLinear"] * len(sources)
        if node.op_type == "MatMul" and (plain or half):
            raise BundleError(
                f"{path.name}: the product {node.name} was left in fp32. Report this with its checkpoint."
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantizer's advice, logged to the root logger, about a pre-processing that the export has done."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
