"""Makes graphs small: int8 with static or dynamic activations, int4 weights, or half precision for a graphics card.

int8 weights keep 7 of their 8 bits, per channel: without VNNI, an x86 processor adds two 8 x 8-bit products in 16 bits
and would overflow, and a laptop would answer differently from the machine that measured. What comes out is one file
a graph, also where the weights of the fp32 one lie beside it. This file judges nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.transformers.float16 import convert_float_to_float16
from torch import nn

from export.fuse import fuse_products
from export.graph_files import (
    GraphFiles,
    files_in,
    fits_one_file,
    gather,
    read_structure,
    strip,
    weigh,
    weights_beside,
)
from export.graph_runs import GraphRun
from monitor.errors import BadInputError, BundleError

FOR_GPU = ("fp16",)
"""Slower than fp32 on a processor, so never the choice for one."""
_SMALLEST = 4096  # smaller matrices cost nothing and hold exact tables
_BATCH, _BATCH_BYTES = 16, 16 * 256 * 256 * 3  # crops whose every state is kept at a time: for large ones fewer
_MOST_CROPS = 256
_BLOCK = 32  # weights of an int4 matrix that share a scale
_INT8_SUMS = 4  # onnxruntime's name for: activations rounded to int8 too, which is what makes int4 fast

Seen = Callable[[], NDArray[Any]]
"""Gives what a graph sees of the calibration crops."""


def _static(source: Path, target: Path, seen: Seen) -> None:
    round_static(source, target, seen)
    fuse_products(target)


def round_static(source: Path, target: Path, seen: Seen) -> None:
    """Write a graph whose products have rounded factors, with ranges taken from what it has seen; nothing is fused."""
    quantize_static(
        str(source),
        str(target),
        _Batches(source, seen()),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["MatMul"],
        nodes_to_exclude=_small_products(source),
        per_channel=True,
        reduce_range=True,
        use_external_data_format=weights_beside(source).exists(),
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        # Sums stay in fp32: rounding them again costs accuracy and saves nothing.
        extra_options={"OpTypesToExcludeOutputQuantization": ["MatMul"]},
    )
    gather(target)


def _dynamic(source: Path, target: Path, seen: Seen) -> None:
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


def _int4(source: Path, target: Path, seen: Seen) -> None:
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer  # sets up logging: see _quiet

    model = onnx.load(str(source))
    few = _small_products(source)
    quantizer = MatMulNBitsQuantizer(
        model, bits=4, block_size=_BLOCK, is_symmetric=True, accuracy_level=_INT8_SUMS, nodes_to_exclude=few
    )
    quantizer.process()
    onnx.save(quantizer.model.model, str(target))


def _fp16(source: Path, target: Path, seen: Seen) -> None:
    onnx.save(convert_float_to_float16(onnx.load(str(source)), keep_io_types=True), str(target))


METHODS: dict[str, Callable[[Path, Path, Seen], None]] = {
    "int8-static": _static,
    "int8-dynamic": _dynamic,
    "int4": _int4,
    "fp16": _fp16,
}
"""In order of preference: with static ranges, a crop's answer does not depend on the others in its batch."""
_SHARES = {"int8-static": 1 / 4, "int8-dynamic": 1 / 4, "int4": (4 + 32 / _BLOCK) / 32, "fp16": 1 / 2}
"""What each leaves of the bytes of fp32 weights; an int4 block has a scale in fp32."""


def that_fit(methods: Sequence[str], parts: Mapping[str, nn.Module]) -> list[str]:
    """The methods whose graphs fit into one file each.

    Args:
        methods: keys of METHODS.
        parts: what becomes a graph each, by a name for people.

    Raises:
        BadInputError: none does; the message names the part, its size, and what runs the model instead.
    """
    sizes = {name: weigh(module) for name, module in parts.items()}
    part = max(sizes, key=lambda name: sizes[name])
    fitting = [one for one in methods if fits_one_file(sizes[part] * _SHARES.get(one, 0))]
    if not fitting:
        raise BadInputError(
            f"its {part} part takes {sizes[part] / 1e9:.1f} GB in fp32, too much for one ONNX file of "
            f"{2**31 / 1e9:.1f} GB as {' or '.join(methods)}. Let torch run this one: --model, smaller with --quantize "
            "nf4 or int8."
        )
    return fitting


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
    target, some = files_in(folder), crops[:_MOST_CROPS]
    with _quiet():
        METHODS[method](source.vision, target.vision, lambda: some)
        METHODS[method](source.label, target.label, lambda: GraphRun(source).see(some))
    for path in (target.vision, target.label):
        _require_small(path)
        strip(path)
    return target


class _Batches(CalibrationDataReader):
    """Hands what a graph shall see to the quantizer, batch by batch."""

    def __init__(self, graph: Path, seen: NDArray[Any]) -> None:
        self._name = read_structure(graph).graph.input[0].name
        at_once = min(_BATCH, max(1, _BATCH_BYTES // seen[0].nbytes))
        self._batches = iter([seen[start : start + at_once] for start in range(0, len(seen), at_once)])

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {self._name: batch}


def _small_products(path: Path) -> list[str]:
    """Names of the MatMul nodes whose constant side is tiny."""
    graph = read_structure(path).graph
    sizes = {weights.name: int(np.prod(weights.dims)) for weights in graph.initializer}
    return [
        node.name
        for node in graph.node
        if node.op_type == "MatMul" and min(sizes.get(name, _SMALLEST) for name in node.input) < _SMALLEST
    ]


def _require_small(path: Path) -> None:
    """Check that no big product is left in fp32: the quantizers skip without a word what they cannot type."""
    graph = read_structure(path).graph
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    big = {
        weights.name
        for weights in graph.initializer
        if weights.data_type == onnx.TensorProto.FLOAT and np.prod(weights.dims) >= _SMALLEST
    }
    for node in graph.node:
        sources = [made_by.get(name) for name in node.input]
        half = "DequantizeLinear" in sources and sources != ["DequantizeLinear"] * len(sources)
        if node.op_type == "MatMul" and (half or not big.isdisjoint(node.input)):
            raise BundleError(
                f"{path.name}: the product {node.name} was left in fp32. Report this with its checkpoint."
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the quantizers tell: of a pre-processing that the export has done, and of each product they leave.

    One of them gives the root logger a handler and a level of its own when it is imported; that is taken back.
    """
    root = logging.getLogger()
    level, handlers, silent = root.level, list(root.handlers), logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(silent)
        root.handlers[:] = handlers
        root.setLevel(level)
