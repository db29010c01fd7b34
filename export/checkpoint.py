"""Opens a checkpoint to be exported: the model, its way of being asked, and the card its trainer wrote.

It does not know how the checkpoint was trained; `classroom.json` says what it needs, and for a checkpoint of the hub
its own processor and chat template, as the monitor and the trainer read them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.hub_card import describe_hub
from monitor.errors import BadInputError, BundleError
from monitor.rubric import Rubric
from monitor.vlm.checkpoint.files import find_checkpoint
from monitor.vlm.checkpoint.opening import open_model
from monitor.vlm.checkpoint.talk import Talk

WEIGHTS, CARD = "model.safetensors", "classroom.json"
_NEEDED = ("config.json", WEIGHTS, "tokenizer.json", CARD)
_CARD_KEYS = ("model_id", "image_size", "mean", "std", "image_tokens", "rubrics")
_KNOWN = ("idefics3", "smolvlm")
"""Two names of one architecture: SmolVLM calls itself by the first, SmolVLM2 by the second."""


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
    """transformers.Idefics3ForConditionalGeneration or its like, fp32, in evaluation mode."""
    talk: Talk
    """How it is asked: the tokens of questions and answers, and what becomes of pixels."""
    card: Mapping[str, Any]
    """classroom.json, whole; of a checkpoint of the hub what it would say."""
    of_hub: bool = False
    """It came without a card: others trained it, and it can be asked anything."""

    @property
    def tokenizer(self) -> Any:
        """tokenizers.Tokenizer."""
        return self.talk.tokenizer.backend_tokenizer

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


def open_checkpoint(base: str | Path, rubric: Rubric | None = None, *, download: bool = False) -> Checkpoint:
    """Load a checkpoint in fp32 for scoring.

    Args:
        base: a folder that training wrote, or one in the layout of the hub; or an id of the hub (`@revision` may
            follow).
        rubric: one of a user's own that a checkpoint of the hub shall be asked.
        download: allow fetching it from the hub.

    Raises:
        BadInputError: a card that lacks something, or an architecture that the label graph does not know.
        BundleError: not a whole checkpoint, or weights that are not those their card vouches for.
    """
    card = read_card(Path(base)) if (Path(base) / CARD).is_file() else None
    folder = find_checkpoint(base, download=download, how_to_download="Add --download to fetch it from the hub.")
    _require_known(folder)
    opened = open_model(folder, device="cpu", dtype="float32")
    if card is not None:
        return Checkpoint(folder, opened.core, opened.talk, card)
    return Checkpoint(folder, opened.core, opened.talk, describe_hub(opened, base, rubric), of_hub=True)


def _require_known(folder: Path) -> None:
    """Tell before the weights are read whether the label graph knows their architecture."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise BundleError(f"{folder / 'config.json'}: not a model that can be opened here ({error}).") from error
    text_type = getattr(getattr(config, "text_config", None), "model_type", None)
    if config.model_type not in _KNOWN or text_type != "llama":
        raise BadInputError(
            f"{folder}: the label graph knows SmolVLM ({' or '.join(_KNOWN)} with a llama text model), found "
            f"{config.model_type!r} with {text_type!r}. Let torch run it as it is: `classroom live --model {folder}`, "
            "smaller with --quantize nf4."
        )
