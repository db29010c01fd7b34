"""Makes graphs small: int8 weights, with static or dynamic activations.

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

from export.graph_files import GraphFiles, files_in, strip
from export.graph_runs import GraphRun
from monitor.errors import BadInputError, BundleError

_SMALLEST = 4096  # smaller matrices cost nothing and hold exact tables
_BATCH = 16
_MOST_CROPS = 256


def _static(source: Path, target: Path, seen: NDArray[Any]) -> None:
    quantize_static(
        str(source),
        str(target),
        _Batches(source, seen),
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


def _dynamic(source: Path, target: Path, seen: NDArray[Any]) -> None:
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


METHODS: dict[str, Callable[[Path, Path, NDArray[Any]], None]] = {"int8-static": _static, "int8-dynamic": _dynamic}
"""In order of preference: with static ranges, a crop's answer does not depend on the others in its batch."""


def quantize(method: str, source: GraphFiles, folder: Path, crops: NDArray[np.uint8]) -> GraphFiles:
    """Write quantized copies of two fp32 graphs.

    Args:
        method: a key of METHODS.
        source: the fp32 graphs.
        folder: where to write; it need not exist.
        crops: (N, side, side, 3) RGB pictures like those they will see; static ranges are taken from them.

    Raises:
        BadInputError: an unknown method, or no crops to take ranges from.
        BundleError: a product was left in fp32.
    """
    if method not in METHODS:
        raise BadInputError(f"no quantization {method!r}: choose from {', '.join(METHODS)}")
    if not len(crops):
        raise BadInputError("quantization needs calibration crops, found none: render held-out crops first")
    folder.mkdir(parents=True, exist_ok=True)
    target, crops = files_in(folder), crops[:_MOST_CROPS]
    with _quiet():
        METHODS[method](source.vision, target.vision, crops)
        METHODS[method](source.label, target.label, GraphRun(source).see(crops))
    for path in (target.vision, target.label):
        _require_integers(path)
        strip(path)
    return target


class _Batches(CalibrationDataReader):
    """Hands what a graph shall see to the quantizer, batch by batch."""

    def __init__(self, graph: Path, seen: NDArray[Any]) -> None:
        self._name = onnx.load(str(graph)).graph.input[0].name
        self._batches = iter([seen[start : start + _BATCH] for start in range(0, len(seen), _BATCH)])

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {self._name: batch}


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
