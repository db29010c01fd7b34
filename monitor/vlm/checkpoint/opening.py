"""Opens a checkpoint (the embedded one, or any image-text-to-text model of the hub) with its way of being asked.

Safetensors only, no code from the hub, nothing downloaded unless asked. This file knows no adapter and no data.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from monitor.errors import BadInputError, BundleError
from monitor.vlm.checkpoint.card import CARD_FILE, Card, read_card
from monitor.vlm.checkpoint.extra import INSTALL
from monitor.vlm.checkpoint.files import base_part, find_checkpoint, hash_digests, read_digests
from monitor.vlm.checkpoint.parts import open_processor
from monitor.vlm.checkpoint.talk import ChatTalk, EmbeddedTalk, Talk
from monitor.vlm.checkpoint.tokens import for_transformers, load_tokenizer
from monitor.vlm.checkpoint.towers import PROJECTORS, VISION_TOWERS

QUANTIZATIONS = ("nf4", "int8")


@dataclass(frozen=True)
class Opened:
    """A checkpoint, ready to be asked."""

    core: Any
    """The model of transformers, at rest, nothing of it open to training."""
    talk: Talk
    folder: Path
    digests: Mapping[str, str]
    """Name and sha256 of each file that decides its answers."""
    card: Card | None
    """Of an embedded checkpoint; None for others."""

    @property
    def sha256(self) -> str:
        """One hash of all those files."""
        return hash_digests(self.digests)

    @property
    def base_sha256(self) -> str:
        """Of the files that an adapter is bound to."""
        return hash_digests(base_part(self.digests))


def open_model(
    base: str | Path,
    *,
    quantize: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    side_px: int | None = None,
    download: bool = False,
    how_to_download: str = "Set download = true to fetch it.",
) -> Opened:
    """Open a checkpoint.

    Args:
        base: a checkpoint folder (the embedded model's, or one of transformers), or an id of the hub.
        quantize: "nf4" or "int8" by bitsandbytes for the language model; None = as it is.
        device: "auto" = CUDA where there is one, else the processor.
        dtype: "auto" = float32 on the processor, bfloat16 on CUDA (the embedded model: float32).
        side_px: side of the pictures, for models that take several.
        download: allow fetching one that is not on this machine.
        how_to_download: said where that would be needed.

    Raises:
        BundleError: a checkpoint that is missing, cut short, changed, or of a kind that cannot be opened.
        BadInputError: options that are not known, or a model without a chat template.
    """
    if quantize is not None and quantize not in QUANTIZATIONS:
        raise BadInputError(f"quantize must be nf4 or int8 (or left out), found {quantize!r}")
    folder = find_checkpoint(base, download=download, how_to_download=how_to_download)
    digests = read_digests(folder)
    where = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    card = read_card(folder) if (folder / CARD_FILE).is_file() else None
    core = _open_core(folder, quantize, where, _dtype(dtype, where, embedded=card is not None))
    core.requires_grad_(False)
    core.eval()
    return Opened(core, _talk(folder, core, card, side_px), folder, digests, card)


def _dtype(name: str, device: torch.device, *, embedded: bool) -> torch.dtype:
    if name == "auto":
        return torch.float32 if embedded or device.type == "cpu" else torch.bfloat16
    kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if name not in kinds:
        raise BadInputError(f"dtype must be auto, {', '.join(kinds)}, found {name!r}")
    return kinds[name]


def _open_core(folder: Path, quantize: str | None, device: torch.device, dtype: torch.dtype) -> Any:
    from transformers import AutoModelForImageTextToText
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    if quantize:  # it tells of each cast to half precision, in each step
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        model, report = AutoModelForImageTextToText.from_pretrained(
            folder,
            dtype=dtype,
            quantization_config=_quantization(quantize, dtype),
            device_map={"": str(device)} if quantize or device.type != "cpu" else None,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except ImportError as error:
        raise BadInputError(f"{folder}: a library is missing for it ({error}). Install it with {INSTALL}.") from error
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise BundleError(f"{folder}: not an image-text-to-text model that can be opened here ({error}).") from error
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            # At rest bitsandbytes would repack 4-bit weights with coarser scales: not the model that was trained.
            module.support_avx512bf16_for_cpu = False
    missing = sorted(report["missing_keys"])
    if missing:  # transformers would go on with random numbers in their place
        raise BundleError(f"{folder}: {len(missing)} weights are missing, the first is {missing[0]!r}. Copy it again.")
    return model


def _quantization(kind: str | None, dtype: torch.dtype) -> Any:
    """bitsandbytes' settings; the vision tower, the projector and the head stay as they are: small, and they matter."""
    if kind is None:
        return None
    from transformers import BitsAndBytesConfig

    kept = ["lm_head", *(name.split(".")[0] for name in (*PROJECTORS, *VISION_TOWERS))]
    if kind == "int8":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=kept)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype, llm_int8_skip_modules=kept
    )


def _talk(folder: Path, core: Any, card: Card | None, side_px: int | None) -> Talk:
    """How this base is spoken to: the embedded model's own way where it has a card, else its chat template."""
    if card is not None:
        tokenizer = for_transformers(load_tokenizer(folder / "tokenizer.json"))
        return EmbeddedTalk(tokenizer, card.image_size, card.image_tokens, mean=card.mean, std=card.std)
    image_token_id = int(core.config.image_token_id)
    return ChatTalk(open_processor(folder, core.config.model_type, image_token_id), image_token_id, side_px)
