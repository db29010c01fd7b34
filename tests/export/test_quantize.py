from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from export.graph_files import GraphFiles
from export.graph_runs import GraphRun, score
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


@pytest.mark.parametrize("method", METHODS)
def test_weights_leave_room_for_sums_in_sixteen_bits(method: str, plain_graphs: GraphFiles, tmp_path: Path) -> None:
    small = quantize(method, plain_graphs, tmp_path, random_pixels(8, SIDE))
    graphs = [onnx.load(path).graph for path in (small.vision, small.label)]
    whole = [onnx.numpy_helper.to_array(weights) for graph in graphs for weights in graph.initializer]
    integers = [weights for weights in whole if weights.dtype == np.int8 and weights.ndim == 2]
    assert integers
    assert max(int(np.abs(weights.astype(int)).max()) for weights in integers) <= 64


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
