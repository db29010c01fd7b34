"""Which parts of a model learn: LoRA on the language model, the projector alone, everything, or nothing.

This file knows the names of modules; it loads and saves nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from monitor.errors import BadInputError
from monitor.vlm.checkpoint.towers import projector_of, vision_of

Trainable = Literal["lora", "projector", "full", "none"]
TRAINABLE: tuple[Trainable, ...] = ("lora", "projector", "full", "none")
LINEAR_NAMES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
VISION_NAMES = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2", "qkv", "proj")


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """The size of an adapter and where it sits."""

    rank: int = 16
    alpha: float = 32.0
    """The update is scaled by alpha / rank."""
    dropout: float = 0.0
    targets: tuple[str, ...] = LINEAR_NAMES
    """Last names of the linear layers of the language model that carry LoRA."""
    vision: bool = False
    """Also on the vision tower: then pictures cannot be encoded once and for all, and many servers drop that part."""
    projector: bool = False
    """The projector learns as well, whole."""

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha <= 0 or not 0 <= self.dropout < 1 or not self.targets:
            raise BadInputError(
                f"LoRA needs rank ≥ 1, alpha > 0, 0 ≤ dropout < 1 and some targets, found rank {self.rank}, "
                f"alpha {self.alpha}, dropout {self.dropout}, targets {self.targets}"
            )


def decoder_of(core: Any) -> tuple[str, nn.Module]:
    """Name and module of the language model."""
    decoder = core.get_decoder()
    return _name_of(core, decoder), decoder


def target_pattern(core: Any, settings: LoraSettings) -> str:
    """A regular expression over module names that carry LoRA.

    Raises:
        BadInputError: no module matches.
    """
    decoder, _ = decoder_of(core)
    pattern = rf"{re.escape(decoder)}\..*\.({'|'.join(map(re.escape, settings.targets))})"
    if settings.vision:
        tower, _ = vision_of(core)
        pattern = rf"(?:{pattern}|{re.escape(tower)}\..*\.({'|'.join(VISION_NAMES)}))"
    if not any(re.fullmatch(pattern, name) and _is_linear(module) for name, module in core.named_modules()):
        raise BadInputError(
            f"no linear layer of {decoder} is called {', '.join(settings.targets)}; name the layers in [lora] targets."
        )
    return pattern


def add_lora(core: Any, settings: LoraSettings) -> Any:
    """The model inside a PeftModel whose adapter starts as no change."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=target_pattern(core, settings),
        bias="none",
    )
    return get_peft_model(core, config)


def open_for_training(core: Any, trainable: Trainable, *, projector: bool) -> None:
    """Say which weights learn; those of an adapter are already open.

    Raises:
        BadInputError: all of a quantised model is to learn.
    """
    if trainable == "full":
        if any(not parameter.is_floating_point() for parameter in core.parameters()):
            raise BadInputError("a quantised model cannot learn in full; use trainable = 'lora', or no quantize.")
        core.requires_grad_(True)
    if trainable == "projector" or projector:
        _, module = projector_of(core)
        for parameter in module.parameters():
            if not parameter.is_floating_point():
                raise BadInputError("the projector is quantised and cannot learn; leave out quantize.")
            parameter.requires_grad_(True)


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or type(module).__name__.startswith("Linear")


def _name_of(core: Any, wanted: nn.Module) -> str:
    name: str = next(name for name, module in core.named_modules() if module is wanted)
    return name
