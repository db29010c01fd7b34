from __future__ import annotations

import logging
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from export.candidates import Candidate, choose
from export.checkpoint import open_checkpoint
from export.graph_files import GraphFiles
from export.graph_runs import GraphRun, score
from export.label_graph import build
from export.lora_inputs import add_inputs, find_sites, places_in
from export.parity import Parity, compare, require
from export.quantize import METHODS, quantize
from monitor.errors import BadInputError, BundleError
from tests.export.checkpoints import SIDE, random_pixels


@pytest.mark.parametrize("method", METHODS)
def test_quantized_graph_is_smaller_and_answers_much_the_same(
    method: str, plain_graphs: GraphFiles, tmp_path: Path
) -> None:
    pixels = random_pixels(48, SIDE)
    small = quantize(method, plain_graphs, tmp_path, pixels[:24])
    assert small.size_bytes < 0.7 * plain_graphs.size_bytes  # a small graph is mostly not weights
    reference, found = (score(files, pixels) for files in (plain_graphs, small))
    gaps = (found - found.mean(1, keepdims=True)) - (reference - reference.mean(1, keepdims=True))
    assert 0 < np.abs(gaps).mean() < 0.25 * reference.std()


def test_static_answers_do_not_depend_on_the_rest_of_the_batch(plain_graphs: GraphFiles, tmp_path: Path) -> None:
    pixels = random_pixels(20, SIDE)
    run = GraphRun(quantize("int8-static", plain_graphs, tmp_path, pixels))
    alone = np.concatenate([run.score(pixels[place : place + 1]) for place in range(len(pixels))])
    np.testing.assert_allclose(run.score(pixels), alone, atol=1e-3)


@pytest.mark.parametrize("method", ["int8-static", "int8-dynamic"])
def test_weights_leave_room_for_sums_in_sixteen_bits(method: str, plain_graphs: GraphFiles, tmp_path: Path) -> None:
    small = quantize(method, plain_graphs, tmp_path, random_pixels(8, SIDE))
    graphs = [onnx.load(path).graph for path in (small.vision, small.label)]
    whole = [onnx.numpy_helper.to_array(weights) for graph in graphs for weights in graph.initializer]
    integers = [weights for weights in whole if weights.dtype == np.int8 and weights.ndim == 2]
    assert integers
    assert max(int(np.abs(weights.astype(int)).max()) for weights in integers) <= 64


@pytest.mark.parametrize("method", METHODS)
def test_an_adapter_acts_on_a_quantized_graph_as_on_the_plain_one(
    method: str, checkpoint: Path, plain_graphs: GraphFiles, tmp_path: Path
) -> None:
    sites = find_sites(build(open_checkpoint(checkpoint), "attention").label, plain_graphs.label)
    rng, pixels = np.random.default_rng(0), random_pixels(24, SIDE)
    plain = GraphFiles(plain_graphs.vision, tmp_path / "plain.onnx")
    shutil.copy(plain_graphs.label, plain.label)
    small = quantize(method, plain_graphs, tmp_path / "small", pixels)
    before = score(small, pixels)
    for files in (plain, small):
        add_inputs(files.label, sites)
    np.testing.assert_allclose(score(small, pixels), before, atol=1e-5)  # of rank 0 it does nothing
    tensors = {
        name: rng.normal(0, 0.2, [size or 3 for size in place.shape]).astype(np.float16)
        for name, place in places_in(plain.label).items()
        if ".lora_" in name
    }
    assert len(tensors) == 2 * 2 * 7
    (changed, expected), found = (score(plain, pixels, one) for one in ({}, tensors)), score(small, pixels, tensors)
    assert np.abs(changed - expected).mean() > 4 * np.abs(found - expected).mean()


def test_four_bits_and_half_precision_leave_no_big_matrix_in_fp32(
    plain_graphs: GraphFiles, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pixels = random_pixels(4, SIDE)
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level
    four, half = (quantize(method, plain_graphs, tmp_path / method, pixels) for method in ("int4", "fp16"))
    assert (logging.getLogger().handlers, logging.getLogger().level) == (handlers, level)
    assert not caplog.records, "the quantizers tell of each product they leave alone"
    for path in (four.vision, four.label):
        assert "MatMulNBits" in {node.op_type for node in onnx.load(path).graph.node}
    for path in (half.vision, half.label):
        kinds = {one.data_type for one in onnx.load(path).graph.initializer if len(one.dims) == 2}
        assert onnx.TensorProto.FLOAT not in kinds


def candidate(method: str, agreement: float) -> Candidate:
    nowhere = Path("nowhere")
    return Candidate(method, GraphFiles(nowhere, nowhere), np.zeros((1, 3), np.float32), Parity(9, agreement, 0.1, 0.0))


def test_the_choice_is_the_fastest_that_keeps_the_labels_and_the_first_of_equals() -> None:
    static, dynamic, four, half = (
        candidate(*one) for one in (("int8-static", 0.995), ("int8-dynamic", 0.995), ("int4", 0.97), ("fp16", 1.0))
    )
    every = [static, dynamic, four, half]
    assert choose("it", every, [1.1, 1.0, 0.4, 0.3], 0.99) is static
    assert choose("it", every, [1.3, 1.0, 0.4, 0.3], 0.99) is dynamic
    assert choose("it", every, [1.3, 1.0, 0.4, 0.3], 0.96) is four
    with pytest.raises(BundleError, match="fp16 alone keeps the labels"):
        choose("it", every, [1.0] * 4, 0.998)
    with pytest.raises(BundleError, match=r"it as int8-static: expected .* 99\.8%.*found 99\.50%"):
        choose("it", every[:3], [1.0] * 3, 0.998)
    assert choose("it", [half], [1.0], 0.99) is half  # asked for by name


def test_no_calibration_crops_and_unknown_methods_are_refused(plain_graphs: GraphFiles, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="found none"):
        quantize("int8-static", plain_graphs, tmp_path, np.zeros((0, SIDE, SIDE, 3), np.uint8))
    with pytest.raises(BadInputError, match="int8-static"):
        quantize("int2", plain_graphs, tmp_path, random_pixels(2, SIDE))


def test_parity_counts_changed_labels_and_the_worst_probability() -> None:
    reference = np.log(np.array([[0.7, 0.3], [0.6, 0.4], [0.2, 0.8], [0.1, 0.9]]))
    found = np.log(np.array([[0.7, 0.3], [0.45, 0.55], [0.2, 0.8], [0.2, 0.8]]))
    parity = compare(reference, found)
    assert parity.agreement == 0.75
    assert parity.worst_gap == pytest.approx(0.15)
    with pytest.raises(BundleError, match=r"found 75\.00%"):
        require("a graph", parity)
    require("a graph", Parity(100, 0.99, 0.1, 0.0))
