"""Which weights Muon steps, what its steps look like, and that AdamW keeps the rest."""

import pytest
import torch

from trainer.model import ModelShape, build_model
from trainer.optimizer import Optimizer
from trainer.settings import TrainingSettings
from trainer.teacher import VisionHeads
from trainer.tokenizer import train_tokenizer

RATE = 1e-3


def _stepped(kind: str) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """What one step without decay adds to each weight of the embedded model, and the gradient it had."""
    model = build_model(ModelShape(), train_tokenizer(), 0)
    heads = VisionHeads(model.config.vision_config.hidden_size, 3, 1)
    settings = TrainingSettings(optimizer=kind, learning_rate=RATE, weight_decay=0.0)
    optimizer = Optimizer(model, heads, settings)
    torch.manual_seed(0)
    for weight in (*model.parameters(), *heads.parameters()):
        weight.grad = torch.randn_like(weight)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    optimizer.step(1.0)
    return {name: (weight.detach() - before[name], weight.grad) for name, weight in model.named_parameters()}


def test_muon_turns_the_layers_matrices_and_nothing_else() -> None:
    moved = {kind: _stepped(kind) for kind in ("adamw", "muon")}
    for name, (step, _) in moved["muon"].items():
        orthogonal = ".layers." in name and step.ndim == 2
        assert torch.equal(step, moved["adamw"][name][0]) != orthogonal, name


def test_a_step_of_muon_has_all_directions_alike_and_adamw_s_size() -> None:
    step, gradient = _stepped("muon")["model.vision_model.encoder.layers.0.mlp.fc1.weight"]
    strengths = torch.linalg.svdvals(step)
    assert strengths.max() / strengths.min() < 3, "not orthogonalised"
    assert strengths.max() / strengths.min() < torch.linalg.cond(gradient)
    # Liu et al. 2025: an update's root mean square is 0.2 of the learning rate, as AdamW's is in training.
    assert step.square().mean().sqrt().item() == pytest.approx(0.2 * RATE, rel=0.25)
