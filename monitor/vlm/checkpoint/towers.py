"""Names of the parts of an image-text-to-text model: its vision tower, and what joins it to the text."""

from __future__ import annotations

from typing import Any

from torch import nn

from monitor.errors import BadInputError

PROJECTORS = ("connector", "multi_modal_projector", "visual.merger", "mm_projector")
VISION_TOWERS = ("vision_model", "vision_tower", "visual")


def projector_of(core: Any) -> tuple[str, nn.Module]:
    """Name and module of what joins the two towers.

    Raises:
        BadInputError: none of the known names is there.
    """
    return _first(core, PROJECTORS, "projector")


def vision_of(core: Any) -> tuple[str, nn.Module]:
    """Name and module of the vision tower.

    Raises:
        BadInputError: none of the known names is there.
    """
    return _first(core, VISION_TOWERS, "vision tower")


def _first(core: Any, names: tuple[str, ...], what: str) -> tuple[str, nn.Module]:
    for name in names:
        module: Any = core.model
        for part in name.split("."):
            module = getattr(module, part, None)
        if isinstance(module, nn.Module):
            return f"model.{name}", module
    raise BadInputError(
        f"{type(core).__name__}: no {what} called {', '.join(names)}; known are Idefics3, SmolVLM, LLaVA and Qwen-VL."
    )
