"""Weights that one ONNX file cannot hold: the fp32 graphs keep them beside, what is quantized is one file again.

The limit of 2 GiB is lowered here, so that a small model is a large one. `docs/experiments.md` tells of a true one.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from transformers import Idefics3ForConditionalGeneration

import export.graph_files
from benchmarks.smolvlm_shapes import SHAPES, config_of
from export.checkpoint import open_checkpoint
from export.graph_files import GraphFiles, gather, weigh, weights_beside, write_graphs
from export.graph_runs import score
from export.label_graph import ScoringModel, build
from export.lora_inputs import FULL, add_inputs, find_sites, places_in
from export.quantize import METHODS, quantize, that_fit
from export.write_bundle import export_bundle
from monitor.bundle import open_bundle
from monitor.errors import BadInputError
from tests.export.checkpoints import SIDE, random_pixels


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> ScoringModel:
    return build(open_checkpoint(checkpoint), "attention")


def lower_the_limit(monkeypatch: pytest.MonkeyPatch, model: ScoringModel, share: float) -> None:
    """One file holds so large a share of the model's larger part."""
    most = max(weigh(model.vision), weigh(model.label)) * share
    monkeypatch.setattr(export.graph_files, "_LARGEST_BYTES", most)


@pytest.fixture
def large(model: ScoringModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GraphFiles:
    """Graphs whose weights lie beside them."""
    lower_the_limit(monkeypatch, model, 0.001)
    files = write_graphs(model, SIDE, tmp_path / "large")
    assert all(weights_beside(path).is_file() for path in (files.vision, files.label))
    return files


def test_weights_beside_a_graph_change_nothing_but_the_place(
    large: GraphFiles, plain_graphs: GraphFiles, tmp_path: Path
) -> None:
    pixels = random_pixels(3, SIDE)
    expected = score(plain_graphs, pixels)
    np.testing.assert_array_equal(score(large, pixels), expected)
    assert large.label.stat().st_size < 0.3 * plain_graphs.label.stat().st_size
    assert large.size_bytes == pytest.approx(plain_graphs.size_bytes, rel=0.2)
    for path in (large.vision, large.label):
        gather(path)
        assert [one.name for one in path.parent.glob(f"{path.name}*")] == [path.name]
    np.testing.assert_array_equal(score(large, pixels), expected)


@pytest.mark.parametrize("method", METHODS)
def test_quantized_large_graphs_are_one_file_each_and_answer_as_those_of_a_small_one(
    method: str, large: GraphFiles, plain_graphs: GraphFiles, tmp_path: Path
) -> None:
    pixels = random_pixels(12, SIDE)
    found, expected = (
        quantize(method, source, tmp_path / name, pixels)
        for name, source in (("of-large", large), ("of-small", plain_graphs))
    )
    assert sorted(path.name for path in (tmp_path / "of-large").iterdir()) == [found.label.name, found.vision.name]
    np.testing.assert_array_equal(score(found, pixels), score(expected, pixels))
    assert sorted(path.name for path in large.label.parent.iterdir()) == sorted(
        one.name for path in (large.label, large.vision) for one in (path, weights_beside(path))
    ), "nothing is left of the way there"


def test_adapters_find_their_places_in_a_large_graph(large: GraphFiles, model: ScoringModel) -> None:
    pixels = random_pixels(2, SIDE)
    before = score(large, pixels)
    add_inputs(large.label, find_sites(model.label, large.label), FULL)
    np.testing.assert_allclose(score(large, pixels), before, atol=1e-5)
    rng = np.random.default_rng(0)
    adapter = {
        name: rng.normal(0, 0.2, [size or 2 for size in place.shape]).astype(np.float32)
        for name, place in places_in(large.label).items()
        if ".lora_" in name
    }
    assert np.abs(score(large, pixels, adapter) - before).max() > 0.01
    assert weights_beside(large.label).is_file()
    assert not {one.name for one in onnx.load(large.label).graph.initializer}.isdisjoint(adapter)


def test_a_bundle_of_a_large_model_leaves_out_what_would_not_fit(
    model: ScoringModel, checkpoint: Path, heldout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lower_the_limit(monkeypatch, model, 0.4)  # a quarter of the bytes fits, half of them does not
    told: list[str] = []
    out = tmp_path / "bundle"
    manifest = export_bundle(checkpoint, heldout, out, min_agreement=0.0, most=24, tell=told.append)
    assert set(manifest["figures"]["quantizations"]) == {"int8-static", "int8-dynamic", "int4"}
    assert "fp16: left out, it would not fit into one ONNX file" in told
    assert not list(out.glob("*.data"))
    assert open_bundle(out).model_id == manifest["model_id"]
    refused = tmp_path / "refused"
    with pytest.raises(BadInputError, match=r"too much for one ONNX file.* as fp16\. .*--quantize"):
        export_bundle(checkpoint, heldout, refused, min_agreement=0.0, methods=("fp16",))
    assert not refused.exists()


@pytest.mark.parametrize(
    ("size", "fitting"), [("500m", list(METHODS)), ("2.2b", ["int8-static", "int8-dynamic", "int4"])]
)
def test_what_fits_of_the_published_shapes(size: str, fitting: Sequence[str]) -> None:
    with torch.device("meta"):
        tokens = dict.fromkeys(("<bos>", "<eos>"), 1) | {"<pad>": 0, "<image>": 4}
        whole = Idefics3ForConditionalGeneration(config_of(SHAPES[size], tokens)).model
    assert that_fit(tuple(METHODS), {"vision": whole.vision_model, "text": whole.text_model}) == fitting


def test_a_model_that_fits_in_no_way_is_told_with_what_runs_it() -> None:
    with torch.device("meta"):
        parts = {"vision": nn.Linear(1, 1), "text": nn.Linear(80_000, 100_000)}
    with pytest.raises(BadInputError, match=r"its text part takes 32\.0 GB in fp32.*--quantize nf4"):
        that_fit(tuple(METHODS), parts)


def test_copies_of_large_graphs_need_their_weights(large: GraphFiles, tmp_path: Path) -> None:
    """Which is why no bundle has them."""
    alone = Path(shutil.copy(large.label, tmp_path))
    with pytest.raises(Exception, match=r"\.data"):
        score(GraphFiles(large.vision, alone), random_pixels(1, SIDE))
