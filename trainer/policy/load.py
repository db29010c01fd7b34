"""Opens a base (the embedded checkpoint, or any image-text-to-text model of the hub) as a policy.

Safetensors only, no code from the hub, nothing downloaded unless asked. This file knows no data.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from monitor.errors import BadInputError, BundleError
from trainer.model import CARD_FILE, Card, read_card
from trainer.policy.adapter import Origin, check_safetensors, hash_base, put_adapter, read_manifest, with_adapter
from trainer.policy.lora import (
    PROJECTORS,
    TRAINABLE,
    VISION_TOWERS,
    LoraSettings,
    Trainable,
    add_lora,
    open_for_training,
)
from trainer.policy.parts import open_processor
from trainer.policy.policy import Policy
from trainer.policy.processor import EmbeddedProcessor
from trainer.policy.talk import ChatTalk, EmbeddedTalk, Talk
from trainer.tokenizer import for_transformers, load_tokenizer

QUANTIZATIONS = ("nf4", "int8")


def load_policy(  # noqa: PLR0913 - each is a line of a configuration
    base: str | Path,
    *,
    adapter: Path | None = None,
    quantize: str | None = None,
    lora: LoraSettings | None = None,
    trainable: Trainable = "none",
    device: str = "auto",
    dtype: str = "auto",
    side_px: int | None = None,
    download: bool = False,
    seed: int = 0,
) -> Policy:
    """Open a base, with what was learned before and ready for what is to be learned.

    Args:
        base: a checkpoint folder (the embedded model's, or one of transformers), or an id of the hub.
        adapter: folder of an adapter for this very base; with trainable "lora" its LoRA goes on learning.
        quantize: "nf4" or "int8" by bitsandbytes for the language model; None = as it is.
        lora: size of a new adapter; None = the defaults.
        trainable: what learns.
        device: "auto" = CUDA where there is one, else the processor.
        dtype: "auto" = float32 on the processor, bfloat16 on CUDA (the embedded model: float32).
        side_px: side of the pictures, for models that take several.
        download: allow fetching a base that is not on this machine.
        seed: of a new adapter's random matrices.

    Raises:
        BundleError: a base or adapter that is missing, cut short, changed, or not made for each other.
        BadInputError: options that do not go together.
    """
    _check_options(quantize, trainable)
    folder = _find(base, download)
    where = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    card = read_card(folder) if (folder / CARD_FILE).is_file() else None
    core = _open_model(folder, quantize, where, _dtype(dtype, where, embedded=card is not None))
    core.requires_grad_(False)
    origin = Origin(Path(base).name if folder == Path(base) else str(base), hash_base(folder), trainable, quantize)
    model: Any = core
    if adapter is not None:
        manifest = read_manifest(Path(adapter), origin.base_sha256)
        model, changed = put_adapter(core, Path(adapter), manifest, trainable=trainable == "lora")
        origin = with_adapter(origin, manifest, changed)
    if trainable == "lora" and not hasattr(model, "peft_config"):
        torch.manual_seed(seed)
        settings = lora or LoraSettings()
        model = add_lora(core, settings)
        origin = replace(origin, lora=settings)
    carries_projector = trainable == "lora" and origin.lora is not None and origin.lora.projector
    open_for_training(core, trainable, projector=carries_projector)
    model.eval()
    return Policy(model, _talk(folder, core, card, side_px), origin)


def _check_options(quantize: str | None, trainable: str) -> None:
    if trainable not in TRAINABLE:
        raise BadInputError(f"trainable must be one of {', '.join(TRAINABLE)}, found {trainable!r}")
    if quantize is not None and quantize not in QUANTIZATIONS:
        raise BadInputError(f"quantize must be nf4 or int8 (or left out), found {quantize!r}")
    if quantize is not None and trainable == "full":
        raise BadInputError("a quantised model cannot learn in full; use trainable = 'lora', or leave out quantize.")


def _find(base: str | Path, download: bool) -> Path:
    """The base's folder on this machine, its weights found whole."""
    folder = Path(base)
    if not folder.is_dir():
        folder = _from_hub(str(base), download)
    if not (folder / "config.json").is_file():
        raise BundleError(f"{base}: not a checkpoint, config.json is missing. Give a folder that training wrote.")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise BundleError(f"{base}: no *.safetensors in it. Weights in other formats can run code and are not read.")
    for path in weights:
        check_safetensors(path, "Copy the checkpoint again, or train it again.")
    return folder


def _from_hub(name: str, download: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        patterns = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model"]
        return Path(snapshot_download(name, local_files_only=not download, allow_patterns=patterns))
    except HFValidationError as error:
        raise BundleError(f"{name}: no such folder, and no id of the hub either.") from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise BundleError(
            f"{name}: no such folder, and not on this machine. "
            + ("It could not be fetched from the hub either." if download else "Set download = true to fetch it.")
        ) from error


def _dtype(name: str, device: torch.device, *, embedded: bool) -> torch.dtype:
    if name == "auto":
        return torch.float32 if embedded or device.type == "cpu" else torch.bfloat16
    kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if name not in kinds:
        raise BadInputError(f"dtype must be auto, {', '.join(kinds)}, found {name!r}")
    return kinds[name]


def _open_model(folder: Path, quantize: str | None, device: torch.device, dtype: torch.dtype) -> Any:
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
        return EmbeddedTalk(EmbeddedProcessor(tokenizer, card.image_size, card.image_tokens))
    image_token_id = int(core.config.image_token_id)
    return ChatTalk(open_processor(folder, core.config.model_type, image_token_id), image_token_id, side_px)
