"""How a model comes to see a picture, split where learning begins, so that what is frozen runs once a picture.

`look` is the frozen part (its result may be kept), `finish` the rest. This file knows no text.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from monitor.vlm.checkpoint.towers import projector_of, vision_of


@dataclass(frozen=True)
class Pixels:
    """Prepared pictures, one row each."""

    values: Tensor
    """(B, …): what the model takes as pixel_values, picture by picture."""
    grid: Tensor | None = None
    """(B, 3), of models of the Qwen-VL family: patches in time, height and width."""

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Tensor) -> Pixels:
        """Some rows, in the order given."""
        return Pixels(self.values[rows], None if self.grid is None else self.grid[rows])

    def arguments(self, core: Any) -> dict[str, Tensor]:
        """As keyword arguments of the model."""
        values = self.values.to(core.device)
        if self.grid is None:
            return {"pixel_values": values.to(core.dtype)}
        return {"pixel_values": values.flatten(0, 1).to(core.dtype), "image_grid_thw": self.grid.to(core.device)}


def learns(module: nn.Module) -> bool:
    """Whether any weight of a module is trained."""
    return any(parameter.requires_grad for parameter in module.parameters())


class Sight:
    """The way of pictures through one model."""

    def __init__(self, core: Any) -> None:
        self._core = core
        _, self._vision = vision_of(core)
        _, self._projector = projector_of(core)
        self._nested = any(module is self._projector for module in self._vision.modules())
        self._grid: Tensor | None = None

    @property
    def frozen(self) -> bool:
        """Whether nothing on the way learns: `look` then gives the features themselves."""
        return not learns(self._vision) and not learns(self._projector)

    @property
    def keepable(self) -> bool:
        """Whether what `look` gives is worth keeping between steps."""
        return self.frozen or (not learns(self._vision) and not self._nested)

    def look(self, pixels: Pixels) -> Tensor:
        """The part that no step changes.

        Returns:
            features (B, N, W) where nothing learns; what goes into the projector where only that learns; else the
            pixels as they are.
        """
        self._grid = None if pixels.grid is None else pixels.grid[:1]
        if self.frozen:
            with torch.no_grad():
                return self.see(pixels)
        if self.keepable:
            return self._before_projector(pixels)
        return pixels.values

    def finish(self, looked: Tensor) -> Tensor:
        """Features (B, N, W) from what `look` gave, with gradient where something learns."""
        if self.frozen:
            return looked
        if self.keepable:
            features: Tensor = self._projector(looked.to(self._core.device))
            return features
        grid = None if self._grid is None else self._grid.expand(len(looked), -1)
        return self.see(Pixels(looked, grid))

    def see(self, pixels: Pixels) -> Tensor:
        """All of the way, with gradient where something learns: features (B, N, W)."""
        seen = self._core.model.get_image_features(**pixels.arguments(self._core), return_dict=True)
        features = torch.stack(tuple(seen.pooler_output))
        deep = getattr(seen, "deepstack_features", None)
        if deep is not None:  # Qwen3-VL adds features of earlier layers: they ride along in the width
            features = torch.cat([features, *(torch.stack(tuple(layer)) for layer in deep)], dim=-1)
        return features

    def hand_over(self, features: Tensor, width: int) -> dict[str, Any]:
        """Features in the wrapping in which a model takes pictures that were seen before."""
        own, *deep = torch.split(features, width, dim=-1)
        return {"image": SimpleNamespace(pooler_output=tuple(own), deepstack_features=[tuple(layer) for layer in deep])}

    @torch.no_grad()
    def _before_projector(self, pixels: Pixels) -> Tensor:
        caught: list[Tensor] = []
        hook = self._projector.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
        try:
            self.see(pixels)
        finally:
            hook.remove()
        return caught[0]
