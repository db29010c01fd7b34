"""What an embedded checkpoint says of itself: classroom.json. This file knows no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitor.bundle import require_sha256
from monitor.errors import BundleError

CARD_FILE = "classroom.json"
WEIGHTS_FILE = "model.safetensors"
MEAN = 0.5
STD = 0.5
"""No byte becomes exactly 0 this way: transformers takes an all-zero picture for padding and drops it."""


@dataclass
class Card:
    """What a checkpoint says of itself: classroom.json."""

    model_id: str
    image_size: int
    image_tokens: int
    mean: list[float] = field(default_factory=lambda: [MEAN] * 3)
    std: list[float] = field(default_factory=lambda: [STD] * 3)
    rubrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    """rubric_id -> question, labels, phrases."""
    data: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Any] = field(default_factory=dict)
    """Of weights that were published: dtype, bytes and sha256, which are checked when they are read."""


def read_card(folder: Path) -> Card:
    """A checkpoint's card, once the weights beside it are found to be those that it vouches for.

    Raises:
        BundleError: no such card, or weights that were changed or are missing.
    """
    path = folder / CARD_FILE
    try:
        card = Card(**json.loads(path.read_text(encoding="utf-8")))
        expected = card.weights["sha256"] if card.weights else None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BundleError(
            f"{path}: expected the card of a checkpoint, found something else ({error!r}). "
            "Copy the checkpoint again, or train it again."
        ) from error
    if expected is not None:
        require_sha256(folder / WEIGHTS_FILE, str(expected))
    return card
