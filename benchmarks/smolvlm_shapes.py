"""Models of SmolVLM's sizes with random weights, asked as the embedded model is: what they know costs no time.

The sizes are those of the published configurations; the words are ours, in the first rows of a table of the right size.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import Idefics3Config, Idefics3ForConditionalGeneration

from monitor.rubric import Rubric
from monitor.vlm.prompt import BOS, EOS, IMAGE, PAD
from trainer.model import Card, Checkpoint, describe_rubric, save_checkpoint
from trainer.tokenizer import token_id, train_tokenizer


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides the cost of a SmolVLM."""

    image_size: int
    patch_size: int
    vision_width: int
    vision_layers: int
    vision_heads: int
    vision_inner: int
    text_width: int
    text_layers: int
    text_heads: int
    key_heads: int
    text_inner: int
    scale_factor: int
    vocabulary: int = 49280

    @property
    def image_tokens(self) -> int:
        """Of one picture."""
        return (self.image_size // self.patch_size // self.scale_factor) ** 2


SHAPES = {
    "256m": Shape(512, 16, 768, 12, 12, 3072, 576, 30, 9, 3, 1536, 4),
    "500m": Shape(512, 16, 768, 12, 12, 3072, 960, 32, 15, 5, 2560, 4),
    "2.2b": Shape(384, 14, 1152, 27, 16, 4304, 2048, 24, 32, 32, 8192, 3, 49155),
    # The same proportions, narrow: many layers, fewer keys than queries, an odd grid. For tests.
    "narrow-256m": Shape(64, 8, 24, 12, 3, 96, 36, 30, 9, 3, 96, 4, 1024),
    "narrow-2.2b": Shape(84, 14, 32, 6, 4, 72, 48, 8, 6, 6, 96, 3, 1024),
}


def config_of(shape: Shape, ids: dict[str, int]) -> Idefics3Config:
    """The configuration of a shape; `ids` are those of the special tokens."""
    special = {"bos_token_id": ids[BOS], "eos_token_id": ids[EOS], "pad_token_id": ids[PAD]}
    return Idefics3Config(
        image_token_id=ids[IMAGE],
        scale_factor=shape.scale_factor,
        tie_word_embeddings=False,
        vision_config={
            "image_size": shape.image_size,
            "patch_size": shape.patch_size,
            "hidden_size": shape.vision_width,
            "intermediate_size": shape.vision_inner,
            "num_hidden_layers": shape.vision_layers,
            "num_attention_heads": shape.vision_heads,
        },
        text_config={
            "model_type": "llama",
            "vocab_size": shape.vocabulary,
            "hidden_size": shape.text_width,
            "intermediate_size": shape.text_inner,
            "num_hidden_layers": shape.text_layers,
            "num_attention_heads": shape.text_heads,
            "num_key_value_heads": shape.key_heads,
            "max_position_embeddings": 8192,
            "rms_norm_eps": 1e-5,
            "rope_parameters": {"rope_type": "default", "rope_theta": 100000.0},
            **special,
        },
        **special,
    )


def write_random(folder: Path, shape: Shape, rubric: Rubric, seed: int = 0) -> Path:
    """Write a checkpoint folder with random weights, as the trainer writes one."""
    tokenizer = train_tokenizer()
    ids = {name: token_id(tokenizer, name) for name in (BOS, EOS, PAD, IMAGE)}
    torch.manual_seed(seed)
    model = Idefics3ForConditionalGeneration(config_of(shape, ids)).eval()
    rubrics = {rubric.rubric_id: describe_rubric(rubric)}
    save_checkpoint(
        folder, Checkpoint(model, tokenizer, Card("random", shape.image_size, shape.image_tokens, rubrics=rubrics))
    )
    return folder
