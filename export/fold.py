"""Makes the vision tower's normalisations cheaper, with the same answers: what they add and subtract moves elsewhere.

Nothing behind a normalisation sees the mean of a patch's states, so whatever writes them may write them without it;
then the root mean square is all that is left to divide by. What a normalisation adds goes into the bias of the product
that reads it. This is for towers that take no adapters: an adapter would read states that lack what was moved.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from export.operators import rms_norm
from export.towers import VisionLayer, VisionTower


class RmsNorm(nn.Module):
    """What is left of a layer normalisation whose input has no mean and whose bias is elsewhere."""

    def __init__(self, norm: Any) -> None:
        super().__init__()
        self.weight, self.eps = norm.weight, float(norm.eps)

    def forward(self, states: Tensor) -> Tensor:
        """The same shape."""
        return rms_norm(states, self.weight, self.eps)


@torch.no_grad()
def fold_norms(tower: VisionTower) -> VisionTower:
    """A copy of a tower that computes the same with cheaper normalisations; the checkpoint's weights stay."""
    folded = copy.deepcopy(tower).requires_grad_(False)
    layers = [layer for layer in folded.layers if isinstance(layer, VisionLayer)]
    for writer in (folded.embed, *(product for layer in layers for product in (layer.out, layer.fc2))):
        _centre(writer)
    folded.positions -= folded.positions.mean(dim=-1, keepdim=True)
    for layer in layers:
        layer.norm1 = _folded(layer.norm1, layer.qkv)
        layer.norm2 = _folded(layer.norm2, layer.fc1)
    folded.norm = _folded(folded.norm, folded.project)
    return folded


def _centre(writer: Any) -> None:
    """Let a product write states whose mean is zero."""
    writer.weight -= writer.weight.mean(dim=0)
    if writer.bias is not None:
        writer.bias -= writer.bias.mean()


def _folded(norm: Any, reader: Any) -> RmsNorm:
    """The cheaper normalisation; its bias goes through the reader, which may read several patches side by side."""
    several = reader.weight.shape[1] // len(norm.bias)
    moved = reader.weight @ norm.bias.repeat(several)
    reader.bias = nn.Parameter(moved if reader.bias is None else reader.bias + moved, requires_grad=False)
    return RmsNorm(norm)
