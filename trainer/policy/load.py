"""Opens a base (the embedded checkpoint, or any image-text-to-text model of the hub) as a policy.

Safetensors only, no code from the hub, nothing downloaded unless asked. This file knows no data.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from monitor.errors import BadInputError
from monitor.vlm.checkpoint.adapters import put_adapter, read_manifest
from monitor.vlm.checkpoint.opening import Opened, open_model
from monitor.vlm.checkpoint.talk import EmbeddedTalk, Talk
from trainer.policy.adapter import Origin, with_adapter
from trainer.policy.lora import TRAINABLE, LoraSettings, Trainable, add_lora, open_for_training
from trainer.policy.policy import Policy
from trainer.policy.processor import EmbeddedProcessor


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
    opened = open_model(base, quantize=quantize, device=device, dtype=dtype, side_px=side_px, download=download)
    core = opened.core
    name = Path(base).name if opened.folder == Path(base) else str(base)
    origin = Origin(name, opened.base_sha256, trainable, quantize)
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
    return Policy(model, _talk(opened), origin)


def _check_options(quantize: str | None, trainable: str) -> None:
    if trainable not in TRAINABLE:
        raise BadInputError(f"trainable must be one of {', '.join(TRAINABLE)}, found {trainable!r}")
    if quantize is not None and trainable == "full":
        raise BadInputError("a quantised model cannot learn in full; use trainable = 'lora', or leave out quantize.")


def _talk(opened: Opened) -> Talk:
    """The embedded model gets a processor as TRL wants it; other models have their own."""
    talk = opened.talk
    if not isinstance(talk, EmbeddedTalk):
        return talk
    sizes = talk.side_px, talk.image_tokens
    processor = EmbeddedProcessor(talk.tokenizer, *sizes)
    return EmbeddedTalk(talk.tokenizer, *sizes, processor, mean=talk.mean, std=talk.std)
