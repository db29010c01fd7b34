"""Makes rendered pictures look less rendered: another texture and other light on the same shapes.

What a net learns of rendered skin, hair and lamps it must not rely on in a real room (domain randomisation; random
convolutions as in Xu et al. 2021, "Robust and Generalizable Visual Representation Learning via Random Convolutions").
Where somebody looks does not change. This file knows no labels and no model.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from trainer.augment import Augmentation

_CELLS = 3
"""Light varies over a picture as between so many points a side."""


def restyle(pixels: Tensor, how: Augmentation, rng: torch.Generator) -> Tensor:
    """Draw another texture and another light for each picture; draws nothing where both are off.

    Args:
        pixels: 0..1, (B, 3, S, S).
        how: its `texture` and `shading` count.
        rng: source of all chance.

    Returns:
        a new (B, 3, S, S), 0..1.
    """
    if how.texture:
        pixels = _texture(pixels, how.texture, rng)
    if how.shading:
        pixels = _shading(pixels, how.shading, rng)
    return pixels.clamp(0, 1)


def _texture(pixels: Tensor, share: float, rng: torch.Generator) -> Tensor:
    """Mix some pictures with a random 3x3 convolution of themselves, brought to the same brightness and contrast."""
    rows = (torch.rand(len(pixels), generator=rng) < share).nonzero()[:, 0]
    if not len(rows):
        return pixels
    chosen = pixels[rows]
    n, channels, height, width = chosen.shape
    kernels = torch.randn(n * channels, channels, 3, 3, generator=rng)
    padded = functional.pad(chosen, (1, 1, 1, 1), mode="replicate").reshape(1, n * channels, height + 2, width + 2)
    mixed = functional.conv2d(padded, kernels, groups=n).view(n, channels, height, width)
    # A kernel may turn light into dark: then it is turned back, for a negative is no picture that a camera takes.
    likeness = ((mixed - _mean(mixed)) * (chosen - _mean(chosen))).mean(dim=(1, 2, 3), keepdim=True)
    mixed = torch.where(likeness < 0, -mixed, mixed)
    mixed = (mixed - _mean(mixed)) / (_spread(mixed) + 1e-4) * _spread(chosen) + _mean(chosen)
    strength = torch.rand(n, 1, 1, 1, generator=rng)
    return pixels.index_copy(0, rows, torch.lerp(chosen, mixed, strength))


def _shading(pixels: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """Light and shadow that change smoothly over the picture."""
    field = torch.randn(len(pixels), 1, _CELLS, _CELLS, generator=rng) * strength
    field = functional.interpolate(field, size=pixels.shape[-2:], mode="bicubic", align_corners=True)
    return pixels * field.exp()


def _mean(pixels: Tensor) -> Tensor:
    return pixels.mean(dim=(1, 2, 3), keepdim=True)


def _spread(pixels: Tensor) -> Tensor:
    return pixels.std(dim=(1, 2, 3), keepdim=True)
