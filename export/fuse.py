"""Joins what onnxruntime has as one operator and leaves apart: products of static int8, their sums and their attention.

A quantizer writes each product as numbers rounded and made whole again around it. Here it becomes the operator that
computes on the rounded ones, with its bias inside; pixels, which are whole numbers already, are read as they are; and
the product before an attention goes into the attention. It chooses no ranges and rounds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_CONTRIB = "com.microsoft"
_PRODUCT, _ATTENTION = "MatMulIntegerToFloat", "QAttention"
_WHOLE = "whole_number_scale"
"""Scale of what is a whole number by nature."""
_SHAPING = ("Reshape", "Transpose", "Slice")


class _Wires:
    """Who makes and who reads each tensor of a graph."""

    def __init__(self, graph: Any) -> None:
        self.constants = {one.name: one for one in graph.initializer}
        self.maker = {name: node for node in graph.node for name in node.output}
        self.readers: dict[str, list[Any]] = {}
        for node in graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.given = {one.name for one in graph.output}

    def made_by(self, name: str, kind: str) -> Any | None:
        """The node that makes a tensor, if it is of a kind."""
        node = self.maker.get(name)
        return node if node is not None and node.op_type == kind else None

    def only_reader(self, name: str, kind: str) -> Any | None:
        """The one node that reads a tensor, if there is but one and it is of a kind."""
        readers = self.readers.get(name, [])
        return readers[0] if len(readers) == 1 and readers[0].op_type == kind and name not in self.given else None


def fuse_products(path: Path) -> None:
    """Make each product of two rounded factors one operator; a bias behind it goes inside. Names of results stay."""
    model = onnx.load(str(path))
    graph = model.graph
    wires = _Wires(graph)
    made, gone, renamed = {}, set(), {}
    for node in graph.node:
        inputs = _whole_factors(node, wires)
        if inputs is None:
            continue
        bias, total = _bias_behind(node, wires)
        if total is not None:
            renamed[total.output[0]] = node.output[0]
            gone.add(total.name)
        made[node.name] = helper.make_node(
            _PRODUCT, [*inputs, "", bias], list(node.output), name=node.name, domain=_CONTRIB
        )
    _replace(graph, made, gone)
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    if any(_WHOLE in node.input for node in graph.node):
        graph.initializer.append(numpy_helper.from_array(np.ones((), np.float32), _WHOLE))
    _sweep(graph)
    onnx.save(model, str(path))


def fuse_attention(path: Path) -> None:
    """Make an attention that sees all, and the product whose three parts it reads, one operator."""
    model = onnx.load(str(path))
    graph = model.graph
    wires = _Wires(graph)
    made, gone = {}, set()
    for node in graph.node:
        parts = _attention_behind(node, wires) if node.op_type == _PRODUCT else None
        if parts is None:
            continue
        split, attention = parts
        heads = next(one.i for one in attention.attribute if one.name == "num_heads")
        rounded, weights, scale, weight_scales, zero, _, bias = node.input
        made[attention.name] = helper.make_node(
            _ATTENTION,
            [rounded, weights, bias, scale, weight_scales, "", zero],
            list(attention.output),
            name=node.name,
            domain=_CONTRIB,
            num_heads=heads,
        )
        gone |= {node.name, split.name}
    _replace(graph, made, gone)
    _sweep(graph)
    onnx.save(model, str(path))


def _whole_factors(node: Any, wires: _Wires) -> list[str] | None:
    """Rounded states, weights, both scales and the zero point of the states; None for any other node."""
    if node.op_type != "MatMul":
        return None
    states, weights = (wires.made_by(name, "DequantizeLinear") for name in node.input)
    if states is None or weights is None or weights.input[0] not in wires.constants:
        return None
    if numpy_helper.to_array(wires.constants[weights.input[2]]).any():
        return None
    pixels = _pixels_of(states, wires)
    if pixels is not None:
        return [pixels, weights.input[0], _WHOLE, weights.input[1], ""]
    return [states.input[0], weights.input[0], states.input[1], weights.input[1], states.input[2]]


def _pixels_of(states: Any, wires: _Wires) -> str | None:
    """The tensor of bytes that was cast, rounded and made whole again."""
    rounding = wires.made_by(states.input[0], "QuantizeLinear")
    cast = None if rounding is None else wires.made_by(rounding.input[0], "Cast")
    if cast is None:
        return None
    source = cast.input[0]
    while (shaping := wires.maker.get(source)) is not None and shaping.op_type in _SHAPING:
        source = shaping.input[0]
    return str(cast.input[0]) if source not in wires.maker else None


def _bias_behind(product: Any, wires: _Wires) -> tuple[str, Any | None]:
    """A constant vector that is added to a product and to nothing else, and the node that adds it."""
    total = wires.only_reader(product.output[0], "Add")
    if total is not None:
        (other,) = [name for name in total.input if name != product.output[0]] or [""]
        if other in wires.constants and len(wires.constants[other].dims) == 1 and total.output[0] not in wires.given:
            return other, total
    return "", None


def _attention_behind(product: Any, wires: _Wires) -> tuple[Any, Any] | None:
    """The split and the attention that a product feeds, where nothing else reads any of it."""
    split = wires.only_reader(product.output[0], "Split")
    if split is None or len(split.output) != 3 or not product.input[6] or not product.input[4]:
        return None
    found = [wires.only_reader(name, "MultiHeadAttention") for name in split.output]
    attention = found[0]
    if attention is None or any(one is not attention for one in found) or list(attention.input) != list(split.output):
        return None
    return split, attention


def _replace(graph: Any, made: Mapping[str, Any], gone: set[str]) -> None:
    nodes = [made.get(node.name, node) for node in graph.node if node.name not in gone]
    _set_nodes(graph, nodes)


def _sweep(graph: Any) -> None:
    """Remove nodes and constants that nothing reads any more."""
    while True:
        read = {name for node in graph.node for name in node.input} | {one.name for one in graph.output}
        nodes = [node for node in graph.node if not read.isdisjoint(node.output)]
        if len(nodes) == len(graph.node):
            break
        _set_nodes(graph, nodes)
    taken = {one.name for one in graph.input}
    kept = [one for one in graph.initializer if one.name in read or one.name in taken]
    copies = [TensorProto.FromString(one.SerializeToString()) for one in kept]
    del graph.initializer[:]
    graph.initializer.extend(copies)


def _set_nodes(graph: Any, nodes: Sequence[Any]) -> None:
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
