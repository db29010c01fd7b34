from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from benchmarks.smolvlm_shapes import SHAPES, write_random
from export.checkpoint import open_checkpoint
from export.fold import fold_norms
from export.graph_files import write_graphs
from export.graph_runs import score
from export.label_graph import build
from monitor.rubric import load_rubric
from tests.export.checkpoints import SIDE, plain_scores, random_pixels


def test_a_folded_tower_answers_as_transformers_does_without_a_layer_normalisation(
    checkpoint: Path, tmp_path: Path
) -> None:
    rubric, pixels = load_rubric("attention"), random_pixels(5, SIDE)
    model = build(open_checkpoint(checkpoint), rubric.rubric_id)
    model.vision = fold_norms(model.vision)
    files = write_graphs(model, SIDE, tmp_path)
    kinds = [node.op_type for node in onnx.load(files.vision).graph.node]
    assert "LayerNormalization" not in kinds and kinds.count("SimplifiedLayerNormalization") == 2 * 2 + 1
    np.testing.assert_allclose(score(files, pixels), plain_scores(checkpoint, pixels, rubric).numpy(), atol=1e-4)


@torch.no_grad()
def test_folding_leaves_the_checkpoint_as_it_was(checkpoint: Path) -> None:
    pixels, opened = torch.from_numpy(random_pixels(2, SIDE)), open_checkpoint(checkpoint)
    before = {name: value.clone() for name, value in opened.model.state_dict().items()}
    tower = build(opened, "attention").vision
    tokens = tower(pixels)
    torch.testing.assert_close(fold_norms(tower)(pixels), tokens, atol=1e-4, rtol=0)
    assert all(torch.equal(value, before[name]) for name, value in opened.model.state_dict().items())
    torch.testing.assert_close(tower(pixels), tokens, atol=0, rtol=0)


@pytest.mark.parametrize("name", ["narrow-256m", "narrow-2.2b"])
@torch.no_grad()
def test_many_layers_and_large_means_stay_exact(name: str, tmp_path: Path) -> None:
    opened = open_checkpoint(write_random(tmp_path, SHAPES[name], load_rubric("attention"), seed=3))
    for parameter in opened.model.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.05 + 0.02)
    tower = build(opened, "attention").vision
    pixels = torch.from_numpy(random_pixels(2, SHAPES[name].image_size, seed=3))
    expected = tower(pixels)
    assert expected.std() > 0.1
    torch.testing.assert_close(fold_norms(tower)(pixels), expected, atol=2e-3, rtol=0)
