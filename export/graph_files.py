"""Writes the two graphs of a bundle as ONNX files: pixels to image tokens, and image tokens to label scores.

Each product keeps the name of the layer it comes from, so that later steps find it. Weights that one file cannot hold
lie in a second one beside it. It knows no quantization.
"""

from __future__ import annotations

import ast
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from export.label_graph import ScoringModel
from monitor.bundle import GRAPH, VISION

PIXELS, TOKENS, OUTPUT = "pixels", "image_tokens", "label_log_probs"
OPSET = 20
_LARGEST_BYTES = 2**31 - 2**24
"""Of the weights in one file: it ends at 2 GiB, and its nodes take a little of that."""
_SCOPES = "pkg.torch.onnx.name_scopes"


@dataclass(frozen=True, slots=True)
class GraphFiles:
    """A bundle's two graphs on disk."""

    vision: Path
    """(B, S, S, 3) uint8 RGB to (B, image tokens, D)."""
    label: Path
    """(B, image tokens, D) to (B, labels) log-probabilities."""

    @property
    def size_bytes(self) -> int:
        """Of both together, with weights that lie beside them."""
        return sum(path.stat().st_size for graph in (self.vision, self.label) for path in _parts(graph))


def files_in(folder: Path) -> GraphFiles:
    """Where a folder has, or will have, its graphs."""
    return GraphFiles(folder / VISION, folder / GRAPH)


@torch.no_grad()
def write_graphs(model: ScoringModel, image_size: int, folder: Path) -> GraphFiles:
    """Export both graphs in fp32 with a free batch size, into a folder that is there or not."""
    folder.mkdir(parents=True, exist_ok=True)
    files = files_in(folder)
    pixels = torch.zeros(2, image_size, image_size, 3, dtype=torch.uint8)
    _write(model.vision, pixels, (PIXELS, TOKENS), files.vision)
    _write(model.label, model.vision(pixels), (TOKENS, OUTPUT), files.label)
    return files


def weigh(module: nn.Module) -> int:
    """Bytes of a module's weights, as they are."""
    return sum(one.numel() * one.element_size() for one in (*module.parameters(), *module.buffers()))


def fits_one_file(weights_bytes: float) -> bool:
    """Whether so many bytes of weights can lie in an ONNX file itself."""
    return weights_bytes <= _LARGEST_BYTES


def weights_beside(graph: Path) -> Path:
    """Where the weights of a graph lie that are too many for its own file; whether they are there tells which it is."""
    return graph.with_name(f"{graph.name}.data")


def read_structure(graph: Path) -> Any:
    """A graph without the weights that lie beside it; saved at its old place, it goes on pointing at them."""
    return onnx.load(str(graph), load_external_data=False)


def gather(graph: Path) -> None:
    """Bring a graph and the weights beside it into its one file."""
    if (beside := weights_beside(graph)).exists():
        model = onnx.load(str(graph))
        beside.unlink()
        onnx.save(model, str(graph))


def strip(path: Path) -> None:
    """Remove what tools note in a graph: stack traces and paths of the machine that exported it."""
    model = read_structure(path)
    model.doc_string = ""
    del model.metadata_props[:]
    _strip_graph(model.graph)
    for function in model.functions:
        function.doc_string = ""
        del function.metadata_props[:]
        for node in function.node:
            _strip_one(node)
    onnx.save(model, str(path))


def _write(module: nn.Module, example: Tensor, names: tuple[str, str], path: Path) -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells that torchvision, which nobody needs, is absent
    batch = torch.export.Dim("batch", min=1, max=4096)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch warns of its own code
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[names[0]],
            output_names=[names[1]],
            dynamic_shapes=({0: batch},),
            verbose=False,
        )
    assert program is not None
    program.save(str(path), external_data=not fits_one_file(weigh(module)))
    _name_products(path)
    strip(path)


def _name_products(path: Path) -> None:
    """Call each product with a weight by the layer that it was exported from, such as `layers.0.qkv`."""
    model = read_structure(path)
    for node in model.graph.node:
        if node.op_type == "MatMul":
            scopes = next((prop.value for prop in node.metadata_props if prop.key == _SCOPES), "[]")
            node.name = next((scope for scope in reversed(ast.literal_eval(scopes)[:-1]) if scope), node.name)
    onnx.save(model, str(path))


def _parts(graph: Path) -> list[Path]:
    return [path for path in (graph, weights_beside(graph)) if path.exists()]


def _strip_graph(graph: Any) -> None:
    _strip_one(graph)
    for part in (graph.node, graph.initializer, graph.input, graph.output, graph.value_info):
        for one in part:
            _strip_one(one)


def _strip_one(one: Any) -> None:
    one.doc_string = ""
    del one.metadata_props[:]
