from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.checkpoint import open_checkpoint
from export.fuse import fuse_attention, fuse_products
from export.graph_files import GraphFiles
from export.graph_runs import GraphRun, score
from export.label_graph import build
from export.lora_inputs import add_inputs, find_sites, places_in
from export.quantize import round_static
from tests.export.checkpoints import SIDE, random_pixels

LAYERS = 2
"""Of each tower of the small checkpoint."""


def operators(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(path).graph.node)


@pytest.fixture(scope="module")
def rounded(plain_graphs: GraphFiles, tmp_path_factory: pytest.TempPathFactory) -> GraphFiles:
    """Static int8 as the quantizer writes it."""
    folder, pixels = tmp_path_factory.mktemp("rounded"), random_pixels(24, SIDE)
    files = GraphFiles(folder / "vision.onnx", folder / "label.onnx")
    round_static(plain_graphs.vision, files.vision, lambda: pixels)
    round_static(plain_graphs.label, files.label, lambda: GraphRun(plain_graphs).see(pixels))
    return files


def copied(files: GraphFiles, folder: Path) -> GraphFiles:
    return GraphFiles(*(Path(shutil.copy(path, folder)) for path in (files.vision, files.label)))


def test_fused_graphs_answer_as_before_in_far_fewer_operators(rounded: GraphFiles, tmp_path: Path) -> None:
    pixels, fused = random_pixels(20, SIDE, seed=4), copied(rounded, tmp_path)
    for path in (fused.vision, fused.label):
        fuse_products(path)
    products_only = score(fused, pixels)
    fuse_attention(fused.vision)
    np.testing.assert_allclose(products_only, score(rounded, pixels), atol=2e-3)
    np.testing.assert_allclose(score(fused, pixels), products_only, atol=2e-3)
    kinds = operators(fused.vision)
    assert kinds["QAttention"] == LAYERS and kinds["MatMulIntegerToFloat"] == 2 * LAYERS + 2
    assert kinds["MatMul"] == LAYERS, "behind attention it is so small here that it stays in fp32"
    assert not {"MultiHeadAttention", "Split", "DequantizeLinear", "Cast"} & set(kinds)
    assert kinds["Add"] == 3 * LAYERS + 1, "positions, and what goes past each half of a layer: no bias but of fp32"
    assert kinds["QuantizeLinear"] == 3 * LAYERS + 1, "pixels are whole numbers already"
    assert operators(fused.label)["DequantizeLinear"] == 0 < operators(rounded.label)["DequantizeLinear"]
    assert fused.vision.stat().st_size < rounded.vision.stat().st_size


def test_an_adapter_for_vision_keeps_its_place_where_attention_would_be_fused(
    checkpoint: Path, plain_graphs: GraphFiles, rounded: GraphFiles, tmp_path: Path
) -> None:
    sites = find_sites(build(open_checkpoint(checkpoint), "attention").vision, plain_graphs.vision)
    pixels, fused = random_pixels(12, SIDE, seed=5), copied(rounded, tmp_path)
    plain = GraphFiles(Path(shutil.copy(plain_graphs.vision, tmp_path / "plain.onnx")), plain_graphs.label)
    fuse_products(fused.vision)
    for files in (plain, fused):
        add_inputs(files.vision, sites)
    fuse_attention(fused.vision)
    assert operators(fused.vision)["MultiHeadAttention"] == LAYERS
    rng = np.random.default_rng(0)
    tensors = {
        name: rng.normal(0, 0.4, [size or 3 for size in place.shape]).astype(place.element)
        for name, place in places_in(fused.vision).items()
    }
    assert len(tensors) == 2 * 6 * LAYERS
    expected, found = (score(one, pixels, tensors) - score(one, pixels) for one in (plain, fused))
    assert np.corrcoef(expected.ravel(), found.ravel())[0, 1] > 0.9


def test_what_others_read_too_is_left_as_it_is(tmp_path: Path) -> None:
    """A sum that is an output, a product read twice, weights that are no constant: joined, they would be lost."""
    path = tmp_path / "graph.onnx"
    whole = {"weights": np.ones((4, 4), np.int8), "bias": np.ones(4, np.float32)}
    whole |= {
        "scale": np.float32(0.5),
        "zero": np.uint8(3),
        "scales": np.ones(4, np.float32),
        "zeros": np.zeros(4, "i1"),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["states", "scale", "zero"], ["small"], name="q"),
        helper.make_node("DequantizeLinear", ["small", "scale", "zero"], ["again"], name="dq"),
        helper.make_node("DequantizeLinear", ["weights", "scales", "zeros"], ["matrix"], name="dw", axis=1),
        helper.make_node("MatMul", ["again", "matrix"], ["told"], name="told"),
        helper.make_node("Add", ["told", "bias"], ["out"], name="a"),
        helper.make_node("MatMul", ["again", "matrix"], ["twice"], name="twice"),
        helper.make_node("Add", ["twice", "bias"], ["summed"], name="b"),
        helper.make_node("Mul", ["summed", "twice"], ["both"], name="m"),
        helper.make_node("MatMul", ["again", "again"], ["square"], name="square"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 4]) for name in ("out", "both", "square")]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("states", TensorProto.FLOAT, [4, 4])],
        ends,
        [numpy_helper.from_array(np.asarray(one), name) for name, one in whole.items()],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    fuse_products(path)
    fuse_attention(path)
    kinds = operators(path)
    assert kinds["MatMulIntegerToFloat"] == 2 and kinds["MatMul"] == 1 and kinds["Add"] == 2
    assert [one.name for one in onnx.load(path).graph.output] == ["out", "both", "square"]
