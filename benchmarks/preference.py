"""How much faster preference training is than TRL's own DPOTrainer, on the same model, pairs and losses.

    python -m benchmarks.preference [--base FOLDER] [--shape embedded|smolvlm] [--pairs 192] [--epochs 3] [--method dpo]

Without --base, a model with random weights is built: the embedded one's shape, or SmolVLM-256M's. Both trainers start
from the same adapter and see the same batches in the same order, for three epochs as TRL has it by default. Measured
is all of a run: for ours also encoding the pictures, asking the reference, writing caches, states and adapter; for
TRL's building the trainer and training. They run in turn, `--repeats` times, and the fastest of each counts. Time is
processor time on one core, which other programs on the machine disturb little; on a GPU it is the clock's.
The last line is one JSON object: `ratio` of pairs per second (ours over TRL's), `loss_gap` (the largest difference of a
step's loss), `pairs_per_second` and `stock_pairs_per_second`, `wall_ratio` (by the clock, whatever else runs).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from PIL import Image
from trl import DPOConfig, DPOTrainer

from monitor.rubric import load_rubric
from trainer.model import Card, Checkpoint, ModelShape, build_model, describe_rubric, save_checkpoint
from trainer.pairs import PreferencePair
from trainer.policy import Policy, load_policy
from trainer.preference.build import LOSSES, shared_arguments
from trainer.preference.settings import PreferenceSettings
from trainer.preference.train import train_preference
from trainer.tokenizer import train_tokenizer

SHAPES = {
    "embedded": ModelShape(),
    # SmolVLM-256M: a SigLIP-B/16 tower at 512 px joined 4 by 4 to 64 tokens, 30 layers of width 576.
    "smolvlm": ModelShape(
        image_size=512,
        vision_width=768,
        vision_layers=12,
        vision_heads=12,
        text_width=576,
        text_layers=30,
        text_heads=9,
    ),
}


@dataclass(frozen=True)
class Timed:
    """One run."""

    losses: list[float]
    wall_s: float
    processor_s: float


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        folder = Path(place)
        base = options.base or build_base(folder / "base", SHAPES[options.shape])
        side_px = load_policy(base).side_px
        images = np.random.default_rng(0).integers(0, 256, (options.pairs, side_px, side_px, 3), dtype=np.uint8)
        pairs = make_pairs(options.pairs)
        settings = PreferenceSettings(
            method=options.method, batch_size=options.batch_size, epochs=options.epochs, threads=options.threads,
            learning_rate=1e-3, save_every=10**6,
        )  # fmt: skip
        ours, stock = [], []
        for number in range(options.repeats):
            ours.append(run_ours(base, pairs, images, settings, folder / f"ours-{number}"))
            stock.append(run_stock(base, pairs, images, settings, folder / f"stock-{number}"))
    print(json.dumps({**compare(ours, stock, options.pairs * options.epochs), "device": device_name()}))


def build_base(folder: Path, shape: ModelShape) -> Path:
    """A checkpoint with random weights."""
    tokenizer = train_tokenizer()
    rubrics = {"attention": describe_rubric(load_rubric("attention"))}
    card = Card("benchmark", shape.image_size, shape.image_tokens, rubrics=rubrics)
    model = build_model(shape, tokenizer)
    save_checkpoint(folder, Checkpoint(model, tokenizer, card))
    return folder


def make_pairs(count: int) -> list[PreferencePair]:
    """The rubric's question about each picture, answers in turn."""
    rubric = load_rubric("attention")
    phrases = [label.phrase for label in rubric.labels]
    return [
        PreferencePair(f"p{row}", row, rubric.question, phrases[row % 3], phrases[(row + 1 + row // 3 % 2) % 3])
        for row in range(count)
    ]


def run_ours(
    base: Path, pairs: list[PreferencePair], images: NDArray[np.uint8], settings: PreferenceSettings, out: Path
) -> Timed:
    """This repository's."""
    policy = load_policy(base, trainable="lora")
    return timed(lambda: train_preference(policy, pairs, settings, out, images_rgb=images).history)


def run_stock(
    base: Path, pairs: list[PreferencePair], images: NDArray[np.uint8], settings: PreferenceSettings, out: Path
) -> Timed:
    """TRL's, as its documentation has it for vision models."""
    policy = load_policy(base, trainable="lora")
    rows = [stock_row(policy, pair, images) for pair in pairs]
    shared = {**shared_arguments(settings, out), "save_strategy": "no"}
    arguments = DPOConfig(**shared, beta=settings.beta, max_length=None, loss_type=[LOSSES[settings.method]])
    dataset = Dataset.from_list(rows)

    def run() -> list[dict[str, Any]]:
        trainer = DPOTrainer(policy.model, args=arguments, train_dataset=dataset, processing_class=policy.processor)
        trainer.train()
        return [entry for entry in trainer.state.log_history if "loss" in entry]

    return timed(run)


def stock_row(policy: Policy, pair: PreferencePair, images: NDArray[np.uint8]) -> dict[str, Any]:
    """A pair as TRL's vision collator reads it: one image marker in the text, the answers with their end token."""
    decode = policy.processor.tokenizer.decode
    marker = policy.processor.image_token
    ids = policy.prompt_ids(pair.prompt)
    first = ids.index(policy.talk.image_token_id)
    once = [token for place, token in enumerate(ids) if token != policy.talk.image_token_id or place == first]
    text = decode(once)
    if text.count(marker) != 1 or policy.processor(text=[text], images=[[images[0]]])["input_ids"][0] != ids:
        raise SystemExit("this benchmark writes prompts for the embedded model's processor only")
    return {
        "images": [Image.fromarray(images[pair.image_row])],
        "prompt": text,
        "chosen": decode(policy.answer_ids(pair.chosen)),
        "rejected": decode(policy.answer_ids(pair.rejected)),
    }


def timed(run: Callable[[], list[dict[str, Any]]]) -> Timed:
    """Losses and seconds of a run."""
    _wait()
    wall, processor = time.perf_counter(), time.process_time()
    losses = [float(entry["loss"]) for entry in run()]
    _wait()
    return Timed(losses, time.perf_counter() - wall, time.process_time() - processor)


def compare(ours: list[Timed], stock: list[Timed], pairs: float) -> dict[str, Any]:
    """The figures."""
    steps = [step for runs in zip(ours, stock, strict=True) for step in zip(*(run.losses for run in runs), strict=True)]
    wall, stock_wall = (min(run.wall_s for run in runs) for runs in (ours, stock))
    own, stock_own = (min(run.processor_s for run in runs) for runs in (ours, stock))
    if torch.cuda.is_available() or torch.get_num_threads() > 1:
        own, stock_own = wall, stock_wall
    return {
        "ratio": round(stock_own / own, 3),
        "loss_gap": max(abs(a - b) for a, b in steps),
        "pairs_per_second": round(pairs / own, 2),
        "stock_pairs_per_second": round(pairs / stock_own, 2),
        "wall_ratio": round(stock_wall / wall, 3),
        "pairs": pairs,
        "steps": len(ours[0].losses),
        "first_loss": ours[0].losses[0],
        "last_loss": ours[0].losses[-1],
    }


def device_name() -> str:
    """What it ran on."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, default=None, help="a checkpoint folder of the embedded model")
    parser.add_argument("--shape", choices=sorted(SHAPES), default="embedded")
    parser.add_argument("--pairs", type=int, default=192)
    parser.add_argument("--epochs", type=float, default=3.0)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--method", choices=("dpo", "ipo"), default="dpo")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
