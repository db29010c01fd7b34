"""Packed rows say what plain rows say, weights act on gradients alone, and rows that make no sense are refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from trainer.policy import Policy, load_policy
from trainer.preference.engine import lay_out
from trainer.preference.forward import IGNORED, PictureForward, trees

QUESTION, OTHER = "Where does the student look?", "In which direction?"


@pytest.fixture(scope="module")
def policy(base: Path) -> Policy:
    policy = load_policy(base, trainable="lora")
    for name, weight in policy.trained().items():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1, generator=torch.Generator().manual_seed(0))
    return policy


def rows_of(policy: Policy, left_px: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Two pictures, asked differently, two answers each, in TRL's order."""
    prompts = [policy.prompt_ids(QUESTION), policy.prompt_ids(OTHER)]
    answers = ["at screen", "up", "away", "far down and to the left"]
    examples = [(prompts[row % 2], policy.answer_ids(answer)) for row, answer in enumerate(answers)]
    ids, attention, labels = lay_out(examples, policy.talk.pad_token_id)
    pad = functional.pad
    return (
        pad(ids, (left_px, 0), value=policy.talk.pad_token_id),
        pad(attention, (left_px, 0), value=0),
        pad(labels, (left_px, 0), value=IGNORED),
    )


@pytest.mark.parametrize("left", [0, 3], ids=["padded right", "padded left too"])
def test_figures_are_those_of_plain_rows(policy: Policy, images: NDArray[np.uint8], left: int) -> None:
    ids, attention, labels = rows_of(policy, left)
    pixels = policy.prepare(images[:2])
    forward = PictureForward(policy, policy.image_features(pixels))
    spoken = forward(input_ids=ids, attention_mask=attention, labels=labels)
    positions = (attention.cumsum(1) - 1).clamp(min=0)
    logits = policy.model(
        input_ids=ids, attention_mask=attention, position_ids=positions,
        pixel_values=pixels.values.repeat(2, 1, 1, 1, 1),
    ).logits[:, :-1]  # fmt: skip
    targets = labels[:, 1:]
    said = targets != IGNORED
    expected = logits.log_softmax(-1).gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    assert torch.allclose(spoken.log_probs, expected.masked_fill(~said, 0), atol=1e-5)
    assert torch.allclose(spoken.mean_logits, logits.mean(-1).masked_fill(~said, 0), atol=1e-5)
    assert torch.equal(spoken.is_top1, (logits.argmax(-1) == targets) & said)
    grown = torch.autograd.grad(spoken.log_probs.sum(), list(policy.trained().values()))
    plain = torch.autograd.grad(expected[said].sum(), list(policy.trained().values()))
    assert all(torch.allclose(one, other, atol=1e-4) for one, other in zip(grown, plain, strict=True))


def test_a_weight_scales_the_gradient_and_not_the_value(policy: Policy, images: NDArray[np.uint8]) -> None:
    ids, attention, labels = rows_of(policy)
    features = policy.image_features(policy.prepare(images[:2]))
    weights = list(policy.trained().values())

    def grown(*shares: float) -> tuple[Tensor, tuple[Tensor, ...]]:
        forward = PictureForward(policy, features, torch.tensor(shares))
        log_probs = forward(input_ids=ids, attention_mask=attention, labels=labels).log_probs
        return log_probs.detach(), torch.autograd.grad(log_probs.sum(), weights)

    (values, both), (same, first), (_, second), (_, mixed) = (
        grown(1.0, 1.0), grown(1.0, 0.0), grown(0.0, 1.0), grown(0.5, 0.25),
    )  # fmt: skip
    assert torch.equal(values, same)
    assert any(one.abs().max() > 1e-3 for one in first)
    for whole, one, two, part in zip(both, first, second, mixed, strict=True):
        assert torch.allclose(whole, one + two, atol=1e-5)
        assert torch.allclose(part, 0.5 * one + 0.25 * two, atol=1e-5)


def test_rows_that_make_no_sense_are_refused(policy: Policy) -> None:
    ids, attention, labels = rows_of(policy)
    with pytest.raises(ValueError, match="equally many answers"):
        trees(ids, attention, labels, 3)
    with pytest.raises(ValueError, match="different prompts"):
        trees(ids, attention, labels, 1)
    with pytest.raises(ValueError, match="an answer of 0"):
        trees(ids, attention, torch.full_like(labels, IGNORED), 2)
