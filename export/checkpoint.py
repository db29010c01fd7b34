"""Opens a trained checkpoint folder: the model, its tokenizer, and the card its trainer wrote.

It does not know how the checkpoint was trained; `classroom.json` says what it needs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.bundle import require_sha256
from monitor.errors import BadInputError

WEIGHTS, CARD = "model.safetensors", "classroom.json"
_NEEDED = ("config.json", WEIGHTS, "tokenizer.json", CARD)
_CARD_KEYS = ("model_id", "image_size", "mean", "std", "image_tokens", "rubrics")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and its answers, as the checkpoint was trained on them."""

    rubric_id: str
    question: str
    labels: tuple[str, ...]
    """Names, in the rubric's order: the columns of the graph's output."""
    phrases: tuple[str, ...]
    """What the model says for each label."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A trained model, ready to be exported."""

    folder: Path
    model: Any
    """transformers.Idefics3ForConditionalGeneration, fp32, in evaluation mode."""
    tokenizer: Any
    """tokenizers.Tokenizer."""
    card: Mapping[str, Any]
    """classroom.json, whole."""

    def asked(self, rubric_id: str) -> Asked:
        """What the checkpoint was trained to answer under a rubric.

        Raises:
            BadInputError: it was not trained for that rubric.
        """
        rubrics = self.card["rubrics"]
        if rubric_id not in rubrics:
            raise BadInputError(
                f"{self.folder}: not trained for rubric {rubric_id!r}, only for {', '.join(sorted(rubrics))}. "
                f"Train it with `classroom train sft`, or export one of those."
            )
        entry = rubrics[rubric_id]
        names, phrases = tuple(entry["labels"]), entry["phrases"]
        if isinstance(phrases, Mapping):
            phrases = [phrases[name] for name in names]
        if len(phrases) != len(names):
            raise BadInputError(f"{self.folder}: rubric {rubric_id!r} has {len(names)} labels, {len(phrases)} phrases")
        return Asked(rubric_id, entry["question"], names, tuple(phrases))


def read_card(folder: Path) -> dict[str, Any]:
    """Read classroom.json and check that it says all that an export needs.

    Raises:
        BadInputError: a file of the checkpoint or a key of its card is missing.
    """
    missing = [name for name in _NEEDED if not (folder / name).is_file()]
    if missing:
        raise BadInputError(
            f"{folder}: a checkpoint folder needs {', '.join(_NEEDED)}; missing: {', '.join(missing)}. "
            "Give the folder that `classroom train sft` wrote."
        )
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise BadInputError(f"{folder / 'classroom.json'}: not valid JSON: {error}") from error
    absent = [key for key in _CARD_KEYS if key not in card]
    if absent:
        raise BadInputError(f"{folder / 'classroom.json'}: needs the keys {', '.join(_CARD_KEYS)}; missing: {absent}")
    return dict(card)


def open_checkpoint(folder: Path) -> Checkpoint:
    """Load a checkpoint in fp32 for scoring.

    Raises:
        BadInputError: the folder is not a checkpoint of the architecture that the label graph knows.
        BundleError: weights that are not those their card vouches for.
    """
    card = read_card(folder)
    if card.get("weights"):
        require_sha256(folder / WEIGHTS, card["weights"]["sha256"])
    from tokenizers import Tokenizer
    from transformers import AutoConfig, Idefics3ForConditionalGeneration
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    config = AutoConfig.from_pretrained(folder)
    text_type = getattr(getattr(config, "text_config", None), "model_type", None)
    if config.model_type != "idefics3" or text_type != "llama":
        raise BadInputError(
            f"{folder}: the label graph knows Idefics3 with a Llama text model (SmolVLM), "
            f"found {config.model_type!r} with {text_type!r}"
        )
    model = Idefics3ForConditionalGeneration.from_pretrained(folder, dtype="float32").eval()
    return Checkpoint(folder, model, Tokenizer.from_file(str(folder / "tokenizer.json")), card)
