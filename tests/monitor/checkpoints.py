"""Tiny checkpoints for tests of the monitor, and crops to show them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from monitor.schema import Box, Crop, Image
from tests.trainer.policies import write_base, write_hub_model

FAMILIES = ("embedded", "idefics3", "smolvlm", "llava", "qwen2_5_vl")


def write_checkpoint(folder: Path, family: str) -> Path:
    """A checkpoint folder with random weights: the embedded model's, or one as the hub has it."""
    return write_base(folder, seed=1) if family == "embedded" else write_hub_model(folder, family)


def random_pictures(count: int, seed: int = 0, side_px: int = 40) -> list[Image]:
    """Noise in blocks, so that pictures differ also after scaling."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (count, 5, 5, 3), dtype=np.uint8)
    return [np.kron(one, np.ones((side_px // 5, side_px // 5, 1), np.uint8)) for one in blocks]


def as_crops(pictures: Sequence[Any]) -> list[Crop]:
    """Each picture as the crop of a student of its own."""
    return [Crop(f"crop{number}", f"s{number}", 0.0, Box(0, 0, 40, 40), one) for number, one in enumerate(pictures)]
