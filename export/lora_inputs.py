"""Gives a graph inputs for an adapter, after it was quantized: its own weights stay exactly as they are.

Beside each product of a layer go two small ones in floating point, whose matrices are inputs of rank 0 unless an
adapter brings others; so without one the graph answers as before. Keys and values of the cached prompt become inputs
too, for an adapter changes them. This file does not know where an adapter comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.graph_files import read_structure
from export.label_graph import LabelGraph
from export.towers import TextLayer, VisionLayer, VisionTower
from monitor.errors import BundleError

HALF, FULL = np.dtype(np.float16), np.dtype(np.float32)
"""Matrices of an adapter come in half precision: half the bytes, and the sums stay in the graph's own precision."""


@dataclass(frozen=True, slots=True)
class Site:
    """A product of a graph that an adapter may add to."""

    place: str
    """`text.0`, `vision.3`: part and layer."""
    source: str
    """Tensor that is multiplied, (B, T, depth)."""
    result: str
    """Tensor that comes out."""
    depth: int
    matrices: tuple[tuple[str, int], ...]
    """Names and output widths of the checkpoint's matrices that the product joins."""

    def inputs(self) -> dict[str, tuple[int, int]]:
        """Names of the inputs for an adapter, with their shapes at rank 0."""
        found = {}
        for name, width in self.matrices:
            found[f"{self.place}.{name}.lora_A"] = (self.depth, 0)
            found[f"{self.place}.{name}.lora_B"] = (0, width)
        return found


def find_sites(module: LabelGraph | VisionTower, plain: Path) -> list[Site]:
    """The products of all layers of a module, found in the fp32 graph that was exported from it.

    Raises:
        BundleError: a layer's product is not in the graph.
    """
    part = "text" if isinstance(module, LabelGraph) else "vision"
    nodes = {node.name: node for node in read_structure(plain).graph.node}
    sites = []
    for number, layer in enumerate(module.layers):
        assert isinstance(layer, TextLayer | VisionLayer)
        for product, matrices in layer.matrices.items():
            node = nodes.get(f"layers.{number}.{product}")
            if node is None:
                raise BundleError(f"{plain}: the product {product} of layer {number} is not in the graph. Report this.")
            depth = int(getattr(layer, product).weight.shape[1])
            sites.append(Site(f"{part}.{number}", node.input[0], node.output[0], depth, matrices))
    return sites


def prefix_inputs(number: int) -> tuple[str, str]:
    """Names of the inputs for keys and values of the cached prompt in one layer."""
    return f"prefix.{number}.keys", f"prefix.{number}.values"


def add_inputs(path: Path, sites: Sequence[Site], element: np.dtype[Any] = HALF) -> None:
    """Rewrite a graph with inputs for an adapter.

    Args:
        path: the graph.
        sites: products of it; those of a graph without any are none.
        element: what the matrices come in; FULL rounds nothing, to prove that each lands where it belongs.

    Raises:
        BundleError: a tensor of a site is not in the graph.
    """
    model = read_structure(path)
    graph = model.graph
    added: dict[str, list[Any]] = {}
    kind = _precision(graph)
    for site in sites:
        base = f"{site.result}_base"
        maker = next((node for node in graph.node if site.result in node.output), None)
        if maker is None:
            raise BundleError(f"{path.name}: the product {site.place} was optimised away. Report this.")
        maker.output[list(maker.output).index(site.result)] = base
        for name, shape in site.inputs().items():
            _add_input(graph, name, shape, element)
        added[base] = _products(site, base, kind)
    nodes = [each for node in graph.node for each in (node, *_after(node, added))]
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    _open_prefix(graph)
    onnx.save(model, str(path))


@dataclass(frozen=True, slots=True)
class Place:
    """An input that an adapter may fill."""

    shape: tuple[int, ...]
    """0 stands for the adapter's rank."""
    element: np.dtype[Any]


def places_in(path: Path) -> dict[str, Place]:
    """The inputs of a graph that an adapter may fill, by name."""
    graph = read_structure(path).graph
    defaults = {one.name: one for one in graph.initializer}
    return {
        one.name: Place(
            tuple(defaults[one.name].dims), np.dtype(helper.tensor_dtype_to_np_dtype(one.type.tensor_type.elem_type))
        )
        for one in graph.input
        if one.name in defaults
    }


def _products(site: Site, base: str, kind: int) -> list[Any]:
    """Nodes that add each matrix's x A B to the joined product, in the precision of its sums."""
    nodes, deltas = [], []
    for name, _ in site.matrices:
        a, b = (f"{site.place}.{name}.lora_{side}" for side in "AB")
        nodes += [helper.make_node("Cast", [one], [f"{one}.cast"], to=kind, name=one) for one in (a, b)]
        nodes.append(helper.make_node("MatMul", [site.source, f"{a}.cast"], [f"{a}.out"], name=f"{a}.product"))
        nodes.append(helper.make_node("MatMul", [f"{a}.out", f"{b}.cast"], [f"{b}.out"], name=f"{b}.product"))
        deltas.append(f"{b}.out")
    delta = deltas[0]
    if len(deltas) > 1:
        delta = f"{site.result}_delta"
        nodes.append(helper.make_node("Concat", deltas, [delta], axis=-1))
    return [*nodes, helper.make_node("Add", [base, delta], [site.result], name=f"{site.result}_adapted")]


def _precision(graph: Any) -> int:
    """What the graph computes in: half precision where its vectors, such as norms, are in it, else fp32."""
    kinds = [one.data_type for one in graph.initializer if len(one.dims) == 1]
    return int(TensorProto.FLOAT16 if TensorProto.FLOAT16 in kinds else TensorProto.FLOAT)


def _after(node: Any, added: dict[str, list[Any]]) -> Iterable[Any]:
    return (each for name in node.output for each in added.get(name, ()))


def _add_input(graph: Any, name: str, shape: tuple[int, int], element: np.dtype[Any]) -> None:
    """An input with a default that holds no numbers."""
    kind = helper.np_dtype_to_tensor_dtype(element)
    graph.input.append(helper.make_tensor_value_info(name, kind, [size or f"{name}.rank" for size in shape]))
    graph.initializer.append(numpy_helper.from_array(np.zeros(shape, element), name))


def _open_prefix(graph: Any) -> None:
    """Let an adapter replace keys and values of the prompt: constants that are inputs too."""
    constants = {one.name: one for one in graph.initializer}
    number = 0
    while f"keys_{number}" in constants:
        for old, new in zip((f"keys_{number}", f"values_{number}"), prefix_inputs(number), strict=True):
            constants[old].name = new
            for node in graph.node:
                node.input[:] = [new if name == old else name for name in node.input]
            graph.input.append(helper.make_tensor_value_info(new, constants[old].data_type, list(constants[old].dims)))
        number += 1
