"""Losses equal those of TRL's own trainers on the same batches: same base, adapter, pairs, order and seed."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from numpy.typing import NDArray
from PIL import Image
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer

from monitor.vlm import prompt
from trainer.pairs import PreferencePair
from trainer.policy import Policy, load_policy
from trainer.preference.build import shared_arguments
from trainer.preference.settings import PreferenceSettings
from trainer.preference.train import train_preference

STEPS = 4


def settings_of(**changes: Any) -> PreferenceSettings:
    return PreferenceSettings(**{"batch_size": 4, "steps": STEPS, "learning_rate": 5e-3, "warmup": 0.0, **changes})


def with_pictures(pairs: list[PreferencePair], images: NDArray[np.uint8]) -> list[dict[str, Any]]:
    """Pairs as TRL wants them of a vision model."""
    return [
        {
            "images": [Image.fromarray(images[pair.image_row])],
            "prompt": prompt.prompt_text(pair.prompt, 1),
            "chosen": prompt.answer_text(pair.chosen),
            "rejected": prompt.answer_text(pair.rejected),
        }
        for pair in pairs
    ]


def losses_of(trainer: Any) -> list[float]:
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def stock_dpo(
    policy: Policy, rows: list[dict[str, Any]], settings: PreferenceSettings, folder: Path, **how: Any
) -> list[float]:
    arguments = DPOConfig(
        **shared_arguments(settings, folder), beta=settings.beta, max_length=None, save_strategy="no", **how
    )
    trainer = DPOTrainer(
        policy.model, args=arguments, train_dataset=Dataset.from_list(rows), processing_class=policy.processor
    )
    return losses_of(trainer)


@pytest.mark.parametrize(
    ("changes", "how"),
    [
        ({"method": "dpo"}, {"loss_type": ["sigmoid"]}),
        ({"method": "hadpo", "anchor": "chosen"}, {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.5]}),
        ({"method": "robust", "epsilon": 0.1}, {"loss_type": ["robust"], "label_smoothing": 0.1}),
        ({"method": "ipo"}, {"loss_type": ["ipo"]}),
    ],
    ids=lambda value: value.get("method", ""),
)
def test_losses_on_pairs(
    base: Path,
    images: NDArray[np.uint8],
    pairs: list[PreferencePair],
    tmp_path: Path,
    changes: dict[str, Any],
    how: dict[str, Any],
) -> None:
    settings = settings_of(**changes)
    ours = train_preference(
        load_policy(base, trainable="lora"), pairs, settings, tmp_path / "ours", images_rgb=images
    ).history
    stock = stock_dpo(
        load_policy(base, trainable="lora"), with_pictures(pairs, images), settings, tmp_path / "stock", **how
    )
    losses = [entry["loss"] for entry in ours]
    assert len(losses) == len(stock) == STEPS
    assert losses == pytest.approx(stock, abs=1e-4)
    assert abs(stock[-1] - stock[0]) > 1e-3, "the comparison is of something that moves"


def test_losses_on_thumbs(base: Path, images: NDArray[np.uint8], pairs: list[PreferencePair], tmp_path: Path) -> None:
    settings = settings_of(method="kto")
    ours = train_preference(
        load_policy(base, trainable="lora"), pairs, settings, tmp_path / "ours", images_rgb=images
    ).history
    policy = load_policy(base, trainable="lora")
    arguments = KTOConfig(**shared_arguments(settings, tmp_path / "stock"), max_length=None, save_strategy="no")
    shuffled = random.Random(settings.seed).sample(pairs, len(pairs))
    rows = []
    for start in range(0, len(shuffled), 2):
        for side, label in (("chosen", True), ("rejected", False)):
            for row in with_pictures(shuffled[start : start + 2], images):
                picked = {name: row[name] for name in ("images", "prompt")}
                rows.append({**picked, "completion": row[side], "label": label})
    trainer = KTOTrainer(
        policy.model, args=arguments, train_dataset=Dataset.from_list(rows), processing_class=policy.processor
    )
    stock = losses_of(trainer)
    assert [entry["loss"] for entry in ours] == pytest.approx(stock, abs=1e-4)
    assert abs(stock[-1] - stock[0]) > 1e-4
