"""Supervised fine-tuning of a policy: projector, LoRA, QLoRA or all of it. The doors of this folder."""

from trainer.finetune.loop import FinetuneRun, finetune
from trainer.finetune.run import train_finetune
from trainer.finetune.settings import FinetuneSettings, LearningSettings, read_finetune_settings

__all__ = [
    "FinetuneRun",
    "FinetuneSettings",
    "LearningSettings",
    "finetune",
    "read_finetune_settings",
    "train_finetune",
]
