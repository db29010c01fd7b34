"""Builds small checkpoint folders with random weights, as the trainer would write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import Idefics3Config, Idefics3ForConditionalGeneration

from monitor.rubric import Rubric, load_rubric
from monitor.vlm.prompt import SPECIAL_TOKENS, answer_text, prompt_text

SIDE = 56
"""Pixels of the test model's picture."""
MEAN, STD = (0.48, 0.46, 0.41), (0.27, 0.26, 0.28)


def build_tokenizer() -> Tokenizer:
    """One token per character: every label has many tokens, and labels that begin alike share some."""
    vocab = {text: number for number, text in enumerate((*SPECIAL_TOKENS, *map(chr, range(32, 127))))}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return tokenizer


def build_config(vocab_size: int, **sizes: int) -> Idefics3Config:
    """A shape small enough for a test; key heads are shared, so that this is tested too."""
    width, layers = sizes.get("width", 48), sizes.get("layers", 2)
    return Idefics3Config(
        vision_config={
            "hidden_size": width,
            "intermediate_size": width * 2,
            "num_hidden_layers": layers,
            "num_attention_heads": 4,
            "image_size": sizes.get("image_size", SIDE),
            "patch_size": 14,
            "initializer_range": 0.1,
        },
        text_config={
            "model_type": "llama",
            "vocab_size": vocab_size,
            "hidden_size": width,
            "intermediate_size": width * 2,
            "num_hidden_layers": layers,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 256,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "initializer_range": 0.1,
        },
        scale_factor=2,
        image_token_id=SPECIAL_TOKENS.index("<image>"),
        tie_word_embeddings=True,
    )


def write_checkpoint(folder: Path, *, seed: int = 0, rubric: Rubric | None = None, **sizes: int) -> Path:
    """Write a checkpoint folder with random weights; sizes: width, layers, image_size."""
    rubric = rubric or load_rubric("attention")
    tokenizer = build_tokenizer()
    config = build_config(tokenizer.get_vocab_size(), **sizes)
    torch.manual_seed(seed)
    model = Idefics3ForConditionalGeneration(config).eval()
    with torch.no_grad():  # biases and norms start at constants: make them matter
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    side = config.vision_config.image_size // config.vision_config.patch_size // config.scale_factor
    card = {
        "model_id": "tiny-random",
        "image_size": config.vision_config.image_size,
        "mean": MEAN,
        "std": STD,
        "image_tokens": side * side,
        "rubrics": {
            rubric.rubric_id: {
                "question": rubric.question,
                "labels": list(rubric.names),
                "phrases": [label.phrase for label in rubric.labels],
            }
        },
        "training": {"seed": seed, "steps": 0},
    }
    (folder / "classroom.json").write_text(json.dumps(card, indent=2), encoding="utf-8")
    return folder


def random_pixels(count: int, side: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Smooth random pictures, (count, side, side, 3) RGB: crops are no white noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 4, 4, 3)).astype(np.float32)
    fine = np.repeat(np.repeat(coarse, -(-side // 4), axis=1), -(-side // 4), axis=2)[:, :side, :side]
    return np.clip(fine + rng.normal(0, 12, fine.shape), 0, 255).astype(np.uint8)


@torch.no_grad()
def plain_scores(folder: Path, pixels: np.ndarray[Any, np.dtype[np.uint8]], rubric: Rubric) -> torch.Tensor:
    """Score each label one by one with plain `transformers`: (B, labels) log-probabilities."""
    model = Idefics3ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    card = json.loads((folder / "classroom.json").read_text(encoding="utf-8"))
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    images = (images - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    prompt = prompt_text(rubric.question, card["image_tokens"])
    start = len(tokenizer.encode(prompt, add_special_tokens=False).ids)
    columns = []
    for label in rubric.labels:
        ids = torch.tensor(tokenizer.encode(prompt + answer_text(label.phrase), add_special_tokens=False).ids)
        batch = ids.expand(len(images), -1)
        logits = model(input_ids=batch, pixel_values=images[:, None]).logits.log_softmax(-1)
        told = logits[:, :-1].gather(2, batch[:, 1:, None])[..., 0]
        columns.append(told[:, start - 1 :].sum(1))
    return torch.stack(columns, dim=1)


def write_shards(folder: Path, count: int, side: int = 64, seed: int = 0) -> Path:
    """Held-out shards as the renderer writes them; the truth is random, but each label and both halves occur."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    names = load_rubric("attention").names
    np.savez_compressed(folder / "shard_00000.npz", images=random_pixels(count, side, seed))
    lines = [
        {
            "index": index,
            "seed": seed,
            "person_id": f"p{index % 12}",
            "label": names[int(rng.integers(len(names)))],
            "ambiguous": bool(index % 10 == 0),
            "groups": {"glasses": "yes" if index % 2 else "no"},
        }
        for index in range(count)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "shard_00000.jsonl").write_text(text, encoding="utf-8")
    return folder


def write_stills(folder: Path, count: int, seed: int = 5) -> Path:
    """Pictures with labels.csv, three of each person, in two sets."""
    folder.mkdir(parents=True, exist_ok=True)
    names = load_rubric("attention").names
    lines = ["file,set,person,label"]
    for number, pixels in enumerate(random_pixels(count, 40, seed)):
        cv2.imwrite(str(folder / f"{number}.png"), pixels)
        lines.append(f"{number}.png,{'north' if number % 2 else 'south'},p{number // 3},{names[number % 3]}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
