"""The embedded model: the SmolVLM architecture in small, built from nothing, saved and read as a folder.

A checkpoint folder holds config.json and model.safetensors (plain transformers: `Idefics3ForConditionalGeneration`),
tokenizer.json, and classroom.json (the card: questions, picture preparation, what it was trained on, figures). This
file knows no training data and no loss.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import Idefics3Config, Idefics3ForConditionalGeneration
from transformers.utils import logging as transformers_logging

from monitor.errors import BundleError
from monitor.rubric import Rubric
from monitor.vlm import prompt
from monitor.vlm.checkpoint.card import CARD_FILE, WEIGHTS_FILE, Card, read_card
from monitor.vlm.checkpoint.talk import normalise, normalise_floats
from trainer.tokenizer import encode, for_transformers, load_tokenizer, token_id
from trainer.vision_start import mimetic_start

__all__ = [
    "CARD_FILE",
    "Card",
    "Checkpoint",
    "ModelShape",
    "build_model",
    "describe_rubric",
    "load_checkpoint",
    "normalise",
    "normalise_floats",
    "read_card",
    "save_checkpoint",
    "say",
    "score_phrases",
    "see",
]


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Sizes of the two towers and of the joint between them."""

    image_size: int = 128
    patch_size: int = 16
    vision_width: int = 192
    vision_layers: int = 6
    vision_heads: int = 3
    text_width: int = 192
    text_layers: int = 2
    text_heads: int = 3
    scale_factor: int = 4
    """Patches a side that are joined into one image token."""

    def __post_init__(self) -> None:
        if self.image_size % self.patch_size or self.grid % self.scale_factor:
            raise ValueError(
                f"image_size {self.image_size} / patch_size {self.patch_size} must be a whole number that "
                f"scale_factor {self.scale_factor} divides"
            )

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.image_size // self.patch_size

    @property
    def image_tokens(self) -> int:
        """Tokens that one picture takes in the text."""
        return (self.grid // self.scale_factor) ** 2


@dataclass(frozen=True)
class Checkpoint:
    """A model with all that is needed to ask it."""

    model: Idefics3ForConditionalGeneration
    tokenizer: Tokenizer
    card: Card


def build_model(shape: ModelShape, tokenizer: Tokenizer, seed: int = 0) -> Idefics3ForConditionalGeneration:
    """A model with random weights, the same for the same seed; the vision tower starts from `mimetic_start`."""
    torch.manual_seed(seed)
    model = Idefics3ForConditionalGeneration(_config(shape, tokenizer))
    mimetic_start(model.model.vision_model, shape.grid)
    return model


def describe_rubric(rubric: Rubric) -> dict[str, Any]:
    """A rubric's entry in the card."""
    return {
        "question": rubric.question,
        "labels": list(rubric.names),
        "phrases": [label.phrase for label in rubric.labels],
    }


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write the four files; each is complete before it takes its name, so that a reader never meets half a file."""
    folder.mkdir(parents=True, exist_ok=True)
    staging = folder / ".writing"
    transformers_logging.disable_progress_bar()  # one file in a blink: its bar would only tear ours
    checkpoint.model.save_pretrained(staging)
    for_transformers(checkpoint.tokenizer).save_pretrained(staging)
    card = replace(checkpoint.card, weights={})  # what was vouched for are other weights than these
    text = json.dumps(asdict(card), indent=2, ensure_ascii=False, sort_keys=False)
    (staging / CARD_FILE).write_text(text + "\n", encoding="utf-8")
    for path in sorted(staging.iterdir()):
        path.chmod(0o644)  # safetensors writes for its owner alone
        path.replace(folder / path.name)
    staging.rmdir()


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint folder; weights in half precision become float32.

    Raises:
        BundleError: a file is missing, or the weights are not those the card vouches for.
    """
    for name in ("config.json", WEIGHTS_FILE, "tokenizer.json", CARD_FILE):
        if not (folder / name).is_file():
            raise BundleError(
                f"{folder}: not a checkpoint, {name} is missing. Give a folder that `classroom train sft` wrote."
            )
    transformers_logging.disable_progress_bar()
    card = read_card(folder)
    model = Idefics3ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    model.eval()
    return Checkpoint(model, load_tokenizer(folder / "tokenizer.json"), card)


def see(model: Idefics3ForConditionalGeneration, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Look at pictures once.

    Args:
        model: the checkpoint's model.
        pixels: normalised, (B, 3, S, S).

    Returns:
        patch states (B, P, vision_width) and image tokens (B, N, text_width).
    """
    patches: Tensor = model.model.vision_model(pixel_values=pixels).last_hidden_state
    return patches, model.model.connector(patches)


def say(
    model: Idefics3ForConditionalGeneration, image_tokens: Tensor, ids: Tensor, attention_mask: Tensor | None = None
) -> Tensor:
    """Next-token logits (B, T, V) of sequences whose image markers are filled with what was seen.

    Args:
        model: the checkpoint's model.
        image_tokens: from `see`, (B, N, text_width); row i goes into sequence i.
        ids: (B, T), with N image markers a row.
        attention_mask: (B, T), 0 for padding; None where there is none.
    """
    embedded = model.model.text_model.get_input_embeddings()(ids)
    marker = (ids == model.config.image_token_id).unsqueeze(-1)
    embedded = embedded.masked_scatter(marker, image_tokens.to(embedded.dtype))
    states = model.model.text_model(inputs_embeds=embedded, attention_mask=attention_mask, use_cache=False)
    logits: Tensor = model.lm_head(states.last_hidden_state)
    return logits


@torch.no_grad()
def score_phrases(checkpoint: Checkpoint, pixels: Tensor, question: str, phrases: Sequence[str]) -> Tensor:
    """Exact log-probabilities of the phrases as answers, renormalised over them.

    Args:
        checkpoint: what to ask.
        pixels: normalised, (B, 3, S, S).
        question: the text before the picture.
        phrases: the possible answers.

    Returns:
        (B, len(phrases)); the exponentials of a row sum to one.
    """
    prefix = encode(checkpoint.tokenizer, prompt.prompt_text(question, checkpoint.card.image_tokens))
    _, seen = see(checkpoint.model, pixels)
    scores = []
    for phrase in phrases:
        answer = encode(checkpoint.tokenizer, prompt.answer_text(phrase))
        ids = torch.tensor([prefix + answer]).expand(len(pixels), -1)
        logits = say(checkpoint.model, seen, ids)[:, len(prefix) - 1 : -1]
        taken = ids[:, len(prefix) :].unsqueeze(-1)
        scores.append(logits.log_softmax(-1).gather(-1, taken).sum((1, 2)))
    return torch.stack(scores, dim=1).log_softmax(-1)


def _config(shape: ModelShape, tokenizer: Tokenizer) -> Idefics3Config:
    ids: Mapping[str, int] = {name: token_id(tokenizer, name) for name in prompt.SPECIAL_TOKENS}
    special = {
        "bos_token_id": ids[prompt.BOS],
        "eos_token_id": ids[prompt.EOS],
        "pad_token_id": ids[prompt.PAD],
    }
    return Idefics3Config(
        image_token_id=ids[prompt.IMAGE],
        scale_factor=shape.scale_factor,
        tie_word_embeddings=False,
        use_cache=False,
        vision_config={
            "image_size": shape.image_size,
            "patch_size": shape.patch_size,
            "hidden_size": shape.vision_width,
            "intermediate_size": 4 * shape.vision_width,
            "num_hidden_layers": shape.vision_layers,
            "num_attention_heads": shape.vision_heads,
        },
        text_config={
            "model_type": "llama",
            "vocab_size": tokenizer.get_vocab_size(),
            "hidden_size": shape.text_width,
            "intermediate_size": 8 * shape.text_width // 3,
            "num_hidden_layers": shape.text_layers,
            "num_attention_heads": shape.text_heads,
            "num_key_value_heads": shape.text_heads,
            "max_position_embeddings": 256,
            "rms_norm_eps": 1e-5,
            **special,
        },
        **special,
    )
