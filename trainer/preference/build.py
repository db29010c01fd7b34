"""Builds the trainer of a method: which of TRL's, with which of its settings, on which rows.

This file knows every method by name, and runs none.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from trl import DPOConfig, GRPOConfig, KTOConfig
from trl.trainer.dpo_trainer import DataCollatorForPreference
from trl.trainer.kto_trainer import DataCollatorForUnpairedPreference

from monitor.errors import BadInputError
from trainer.pairs import PreferencePair
from trainer.preference.engine import RowCollator, Supplies
from trainer.preference.examples import SftItem, Tokens, pair_rows, sft_rows, thumb_rows
from trainer.preference.paired import AnchoredTrainer, OddsTrainer, PairTrainer
from trainer.preference.settings import PreferenceSettings
from trainer.preference.thumbs import ThumbTrainer
from trainer.preference.verifiable import RewardTrainer

LOSSES = {"hadpo": "sigmoid", "dpo": "sigmoid", "robust": "robust", "ipo": "ipo", "orpo": "sigmoid"}
"""Method -> TRL's loss type; orpo brings its own."""


def build_trainer(
    supplies: Supplies,
    pairs: Sequence[PreferencePair],
    sft_items: Sequence[SftItem],
    settings: PreferenceSettings,
    folder: Path,
    callbacks: Sequence[Any] = (),
) -> Any:
    """A trainer, ready to train; the reference has been asked.

    Args:
        supplies: policy, pictures and references.
        pairs: what is preferred.
        sft_items: right answers, for hadpo's separate anchor and for grpo.
        settings: the method and its numbers.
        folder: where TRL keeps its states.
        callbacks: transformers' callbacks.
    """
    image_tokens = int(supplies.pictures.take([pairs[0].image_row]).shape[1])
    tokens = Tokens(supplies.policy, image_tokens)
    common = {
        "supplies": supplies,
        "processing_class": supplies.policy.processor.tokenizer,
        "callbacks": list(callbacks),
    }
    if settings.method == "grpo":
        return _verifiable(pairs, sft_items, tokens, settings, folder, common)
    pad_id = supplies.policy.talk.pad_token_id
    if settings.method == "kto":
        shuffled = random.Random(settings.seed).sample(list(pairs), len(pairs))
        return ThumbTrainer(
            args=_kto_arguments(settings, folder),
            train_dataset=thumb_rows(shuffled, tokens, settings.batch_size),
            data_collator=RowCollator(DataCollatorForUnpairedPreference(pad_token_id=pad_id)),
            **common,
        )
    common |= {
        "args": _dpo_arguments(settings, folder),
        "train_dataset": pair_rows(pairs, tokens),
        "data_collator": RowCollator(DataCollatorForPreference(pad_token_id=pad_id)),
    }
    if settings.method == "hadpo" and settings.anchor == "separate":
        anchor = sft_rows(sft_items, tokens)
        return AnchoredTrainer(anchor=anchor, gamma=settings.gamma, anchor_batch_size=settings.sft_batch_size, **common)
    return (OddsTrainer if settings.method == "orpo" else PairTrainer)(**common)


def shared_arguments(settings: PreferenceSettings, folder: Path) -> dict[str, Any]:
    """What every trainer of TRL is told alike."""
    on_processor = not torch.cuda.is_available()
    return {
        "output_dir": str(folder),
        "per_device_train_batch_size": settings.batch_size,
        "gradient_accumulation_steps": settings.gradient_accumulation,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": settings.schedule,
        "warmup_steps": settings.warmup,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "num_train_epochs": settings.epochs,
        "max_steps": settings.steps if settings.steps > 0 else -1,
        "seed": settings.seed,
        "bf16": settings.precision == "bfloat16",
        "gradient_checkpointing": settings.gradient_checkpointing,
        "save_steps": settings.save_every,
        "save_total_limit": 2,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "use_cpu": on_processor,
        "dataloader_pin_memory": not on_processor,
    }


def _dpo_arguments(settings: PreferenceSettings, folder: Path) -> DPOConfig:
    losses, weights = [LOSSES[settings.method]], [1.0]
    if settings.method == "hadpo" and settings.anchor == "chosen":
        losses, weights = ["sigmoid", "sft"], [1.0, settings.gamma]
    return DPOConfig(
        **shared_arguments(settings, folder),
        beta=settings.beta,
        loss_type=losses,
        loss_weights=weights,
        label_smoothing=settings.epsilon if settings.method == "robust" else 0.0,
        precompute_ref_log_probs=True,
        max_length=None,
    )


def _kto_arguments(settings: PreferenceSettings, folder: Path) -> KTOConfig:
    return KTOConfig(
        **shared_arguments(settings, folder),
        beta=settings.beta,
        desirable_weight=settings.desirable_weight,
        undesirable_weight=settings.undesirable_weight,
        precompute_ref_log_probs=True,
        max_length=None,
    )


def _verifiable(
    pairs: Sequence[PreferencePair],
    sft_items: Sequence[SftItem],
    tokens: Tokens,
    settings: PreferenceSettings,
    folder: Path,
    common: dict[str, Any],
) -> RewardTrainer:
    """Each question once, with all answers that are heard of to the same question."""
    heard: dict[str, dict[str, None]] = {}
    right: dict[tuple[int, str], str] = {}
    for pair in pairs:
        heard.setdefault(pair.prompt, {}).update({pair.chosen: None, pair.rejected: None})
        right[pair.image_row, pair.prompt] = pair.chosen
    for item in sft_items:
        heard.setdefault(item.prompt, {})[item.answer] = None
        right[item.image_row, item.prompt] = item.answer
    asked = [(row, prompt, answer) for (row, prompt), answer in right.items() if len(heard[prompt]) > 1]
    if not asked:
        raise BadInputError("grpo: no question with two different answers; give pairs, or SFT examples of two classes.")
    prompts = {prompt: tokens.prompt(prompt) for prompt in heard}
    rows = [
        {
            "prompt": prompt,
            "prompt_ids": prompts[prompt],
            "answer_ids": tokens.answer(answer, prompts[prompt]),
            "image_row": row,
        }
        for row, prompt, answer in asked
    ]
    choices = {
        tuple(prompts[prompt]): [tokens.answer(answer, prompts[prompt]) for answer in answers]
        for prompt, answers in heard.items()
    }
    arguments = GRPOConfig(
        **shared_arguments(settings, folder),
        beta=settings.beta,
        num_generations=settings.generations,
        max_completion_length=max(len(answer) for answers in choices.values() for answer in answers),
    )
    return RewardTrainer(choices=choices, args=arguments, train_dataset=Dataset.from_list(rows), **common)
