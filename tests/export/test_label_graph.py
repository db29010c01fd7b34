from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from transformers import Idefics3ForConditionalGeneration

from benchmarks.smolvlm_shapes import SHAPES, config_of, write_random
from export import parity
from export.checkpoint import open_checkpoint
from export.graph_files import GraphFiles
from export.graph_runs import GraphRun
from export.label_graph import build, pack
from monitor.errors import BadInputError
from monitor.rubric import load_rubric, parse_rubric
from tests.export.checkpoints import SIDE, plain_scores, random_pixels, write_checkpoint

NESTED = """
id = "posture"
title = "Nested answers"
kind = "behaviour"
question = "How does the student sit, and is the answer's first word enough?"

[[labels]]
name = "up"
phrase = "up"
definition = "d"
color = "#000000"

[[labels]]
name = "upright"
phrase = "upright"
definition = "d"
color = "#000001"

[[labels]]
name = "both"
phrase = "upright and still"
definition = "d"
color = "#000002"

[[labels]]
name = "other"
phrase = "otherwise, or not to be seen"
definition = "d"
color = "#000003"
"""


@pytest.mark.parametrize("seed", [1, 2])
def test_one_pass_scores_every_label_as_transformers_does_one_by_one(seed: int, tmp_path: Path) -> None:
    rubric = parse_rubric(NESTED, where="test")
    folder = write_checkpoint(tmp_path, seed=seed, rubric=rubric)
    pixels = random_pixels(4, SIDE, seed)
    expected = plain_scores(folder, pixels, rubric)
    with torch.no_grad():
        found = build(open_checkpoint(folder), rubric.rubric_id)(torch.from_numpy(pixels))
    assert expected.std(0).min() > 1e-3  # the pictures matter
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["narrow-256m", "narrow-2.2b"])
def test_any_shape_of_smolvlm_scores_as_transformers_does(name: str, tmp_path: Path) -> None:
    """Thirty layers, three queries to a key, odd grids and tokenizers of words: only the widths are small."""
    rubric = parse_rubric(NESTED, where="test")
    opened = open_checkpoint(write_random(tmp_path, SHAPES[name], rubric, seed=3))
    for parameter in opened.model.parameters():  # so that pictures and words matter in so many layers
        parameter.data.add_(torch.randn_like(parameter) * 0.05)
    pixels = random_pixels(2, SHAPES[name].image_size, seed=3)
    expected = parity.plain_scores(opened, opened.asked(rubric.rubric_id), pixels)
    with torch.no_grad():
        found = build(opened, rubric.rubric_id)(torch.from_numpy(pixels)).numpy()
    assert np.ptp(expected, axis=0).min() > 3e-3, "the pictures matter"
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize(("name", "millions"), [("256m", 256), ("500m", 507), ("2.2b", 2246)])
def test_shapes_have_the_published_sizes(name: str, millions: int) -> None:
    ids = {"<bos>": 1, "<eos>": 2, "<pad>": 0, "<image>": 4}
    with torch.device("meta"):
        model = Idefics3ForConditionalGeneration(config_of(SHAPES[name], ids))
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count / 1e6 == pytest.approx(millions, rel=0.02)


def test_written_graphs_run_on_the_oldest_onnxruntime_that_is_allowed(plain_graphs: GraphFiles) -> None:
    for path in (plain_graphs.vision, plain_graphs.label):
        model = onnx.load(path)
        opsets = {one.domain: one.version for one in model.opset_import}
        assert opsets[""] <= 22 and model.ir_version <= 10, "onnxruntime 1.22 knows no newer ones"


def test_exported_graph_takes_any_batch_and_answers_as_transformers_does(
    checkpoint: Path, plain_graphs: GraphFiles
) -> None:
    pixels = random_pixels(7, SIDE)
    expected = plain_scores(checkpoint, pixels, load_rubric("attention")).numpy()
    run = GraphRun(plain_graphs)
    for batch in (1, 3, 7):
        np.testing.assert_allclose(run.score(pixels[:batch]), expected[:batch], atol=1e-4, rtol=0)


def test_graph_computes_no_more_rows_of_the_head_than_the_labels_need(
    checkpoint: Path, plain_graphs: GraphFiles
) -> None:
    opened = open_checkpoint(checkpoint)
    packed = pack(opened, opened.asked("attention"))
    shapes = onnx.shape_inference.infer_shapes(onnx.load(plain_graphs.label)).graph.value_info
    vocabulary = opened.model.config.text_config.vocab_size
    rows = {
        dims[1].dim_value
        for dims in (info.type.tensor_type.shape.dim for info in shapes)
        if len(dims) == 3 and dims[2].dim_value == vocabulary
    }
    assert rows == {len(packed.tree.tokens) + 1}


def test_exported_file_tells_nothing_of_the_machine_that_wrote_it(plain_graphs: GraphFiles) -> None:
    for path in (plain_graphs.vision, plain_graphs.label):
        written = path.read_bytes()
        assert str(Path(__file__).parents[2]).encode() not in written
        assert b"site-packages" not in written


def test_card_without_the_pictures_mean_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path)
    card = json.loads((folder / "classroom.json").read_text(encoding="utf-8"))
    del card["mean"]
    (folder / "classroom.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(BadInputError, match="mean"):
        open_checkpoint(folder)


def test_rubric_that_the_checkpoint_does_not_know_is_named(checkpoint: Path) -> None:
    with pytest.raises(BadInputError, match=r"engagenet.*only for attention"):
        open_checkpoint(checkpoint).asked("engagenet")


def test_missing_tokenizer_is_named(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(BadInputError, match=r"missing: tokenizer\.json"):
        open_checkpoint(folder)
