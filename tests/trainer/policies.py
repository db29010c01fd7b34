"""Tiny bases for tests: an embedded checkpoint folder."""

from pathlib import Path

from monitor.rubric import load_rubric
from trainer.model import Card, Checkpoint, ModelShape, build_model, describe_rubric, save_checkpoint
from trainer.tokenizer import train_tokenizer

SHAPE = ModelShape(image_size=32, patch_size=8, vision_width=32, vision_layers=2, vision_heads=2, text_width=32,
                   text_layers=2, text_heads=2, scale_factor=2)  # fmt: skip


def write_base(folder: Path, seed: int = 0, shape: ModelShape = SHAPE) -> Path:
    """A checkpoint folder of the embedded model with random weights."""
    tokenizer = train_tokenizer()
    card = Card(
        f"test-{seed}",
        shape.image_size,
        shape.image_tokens,
        rubrics={"attention": describe_rubric(load_rubric("attention"))},
    )
    save_checkpoint(folder, Checkpoint(build_model(shape, tokenizer, seed), tokenizer, card))
    return folder
