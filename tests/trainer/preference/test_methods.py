"""Each method's loss is what its paper says where TRL has no such trainer, and each method learns its pairs."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from tests.trainer.preference.conftest import PHRASES, QUESTIONS
from trainer.pairs import PreferencePair
from trainer.policy import Policy, load_policy
from trainer.preference.examples import SftItem
from trainer.preference.paired import log_odds_ratio
from trainer.preference.settings import METHODS, PreferenceSettings
from trainer.preference.train import train_preference


def sums(policy: Policy, images: NDArray[np.uint8], prompt: str, phrases: list[str]) -> torch.Tensor:
    """Log-probabilities of phrases as answers, (pictures, phrases)."""
    with torch.no_grad():
        features = policy.image_features(policy.prepare(images))
        answers = [policy.answer_ids(phrase) for phrase in phrases]
        return policy.answer_logps(features, policy.prompt_ids(prompt), answers)


def test_hadpo_adds_the_cross_entropy_of_a_batch_of_its_own(
    base: Path, images: NDArray[np.uint8], pairs: list[PreferencePair], items: list[SftItem], tmp_path: Path
) -> None:
    start = sums(load_policy(base), images, QUESTIONS[0], PHRASES)
    lengths = [len(load_policy(base).answer_ids(phrase)) for phrase in PHRASES]
    right = [item.image_row % 3 for item in items]
    expected = -sum(float(start[row, label]) for row, label in enumerate(right)) / sum(
        lengths[label] for label in right
    )
    settings = PreferenceSettings(method="hadpo", steps=1, batch_size=4, sft_batch_size=len(items), gamma=0.5)
    run = train_preference(
        load_policy(base, trainable="lora"), pairs, settings, tmp_path / "run", images_rgb=images, sft_items=items
    )
    assert run.history[0]["anchor"] == pytest.approx(expected, abs=1e-4)
    assert run.history[0]["loss"] == pytest.approx(math.log(2) + 0.5 * expected, abs=1e-4)


def test_orpo_is_the_papers_loss(
    base: Path, images: NDArray[np.uint8], pairs: list[PreferencePair], tmp_path: Path
) -> None:
    same = [pair for pair in pairs if pair.prompt == QUESTIONS[0]]
    policy = load_policy(base)
    scores = sums(policy, images[[pair.image_row for pair in same]], QUESTIONS[0], PHRASES)
    lengths = torch.tensor([len(policy.answer_ids(phrase)) for phrase in PHRASES])
    chosen, rejected = (
        torch.tensor([PHRASES.index(getattr(pair, side)) for pair in same]) for side in ("chosen", "rejected")
    )
    rows = torch.arange(len(same))
    means = scores / lengths
    odds = torch.log(means.exp() / (1 - means.exp()))
    likelihood = scores[rows, chosen].sum() / lengths[chosen].sum()
    ratio = odds[rows, chosen] - odds[rows, rejected]
    expected = -likelihood - 0.1 * functional.logsigmoid(ratio).mean()
    settings = PreferenceSettings(method="orpo", steps=1, batch_size=len(same), beta=0.1)
    run = train_preference(load_policy(base, trainable="lora"), same, settings, tmp_path / "run", images_rgb=images)
    assert run.history[0]["loss"] == pytest.approx(float(expected), abs=1e-4)
    assert run.references_computed == 0


def test_the_odds_are_trls() -> None:
    from trl.experimental.orpo import ORPOTrainer

    chosen, rejected = torch.tensor([-0.01, -3.0, -0.5]), torch.tensor([-2.0, -0.1, -0.5])
    somebody: Any = SimpleNamespace(beta=0.1, accelerator=SimpleNamespace(device="cpu"))
    losses, *_ = ORPOTrainer.odds_ratio_loss(somebody, chosen, rejected)
    assert torch.allclose(0.1 * functional.logsigmoid(log_odds_ratio(chosen, rejected)), losses, atol=1e-6)
    certain = torch.zeros(1, requires_grad=True)
    torch.autograd.backward(log_odds_ratio(certain, torch.tensor([-1.0])).sum())
    assert certain.grad is not None and bool(torch.isfinite(certain.grad).all())


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_its_pairs(base: Path, images: NDArray[np.uint8], tmp_path: Path, method: str) -> None:
    # Answers of one token each: a model with random weights finds them about equally likely.
    pairs = [PreferencePair(f"i{row}", row, QUESTIONS[0], "up", "down") for row in range(len(images))]
    right = [SftItem(pair.image_row, pair.prompt, pair.chosen) for pair in pairs]
    policy = load_policy(base, trainable="lora")
    before = policy.score(images, QUESTIONS[0], ["up", "down"])[:, 0].mean()
    settings = PreferenceSettings(
        method=method, steps=8, batch_size=8, learning_rate=3e-2, warmup=0.0, save_every=100,
        epsilon=0.1 if method == "robust" else 0.0,
    )  # fmt: skip
    run = train_preference(policy, pairs, settings, tmp_path / "run", images_rgb=images, sft_items=right)
    after = policy.score(images, QUESTIONS[0], ["up", "down"])[:, 0].mean()
    assert after > before + 0.05
    assert len(run.history) == 8
    loaded = load_policy(base, adapter=run.adapter)
    assert loaded.score(images, QUESTIONS[0], ["up", "down"])[:, 0].mean() == pytest.approx(after, abs=1e-5)
