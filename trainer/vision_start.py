"""Where the vision tower's weights start: close to where trained ones end up, to learn from far fewer pictures.

Both recipes only set weights; the architecture stays the stock one. This file knows no training.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


@torch.no_grad()
def mimetic_start(vision: Any, grid: int) -> None:
    """Start a vision transformer where trained ones tend to end up (Trockman & Kolter 2023): it learns from far less.

    Positions are two-dimensional sinusoids; queries and keys agree (W_q^T W_k near identity, so that a patch attends
    to its like and its neighbours); values and output nearly cancel (near minus identity).
    """
    positions = vision.embeddings.position_embedding.weight
    positions.copy_(_sinusoids(grid, positions.shape[1]) * 0.5)
    for layer in vision.encoder.layers:
        attention = layer.self_attn
        width, heads = attention.embed_dim, attention.num_heads
        for head in range(heads):
            rows = slice(head * width // heads, (head + 1) * width // heads)
            left, right = _factors(0.7, 0.7, width, width // heads)
            attention.q_proj.weight[rows] = left.T
            attention.k_proj.weight[rows] = right.T
        left, right = _factors(0.4, -0.4, width, width)
        attention.out_proj.weight.copy_(left)
        attention.v_proj.weight.copy_(right.T)


def _factors(noise: float, identity: float, width: int, rank: int) -> tuple[Tensor, Tensor]:
    """Two (width, rank) matrices whose product L R^T is close to noise * N(0, 1/width) + identity * I."""
    target = noise * torch.randn(width, width) / math.sqrt(width) + identity * torch.eye(width)
    u, s, vh = torch.linalg.svd(target)
    root = s[:rank].sqrt()
    return u[:, :rank] * root, vh[:rank].T * root


def _sinusoids(grid: int, width: int) -> Tensor:
    quarter = width // 4
    frequency = 1.0 / (100.0 ** (torch.arange(quarter) / quarter))
    angle = torch.arange(grid).unsqueeze(1) * frequency
    line = torch.cat([angle.sin(), angle.cos()], dim=1)
    rows = line.unsqueeze(1).expand(grid, grid, -1)
    columns = line.unsqueeze(0).expand(grid, grid, -1)
    table = torch.cat([rows, columns], dim=2).reshape(grid * grid, -1)
    return torch.nn.functional.pad(table, (0, width - table.shape[1]))


@torch.no_grad()
def continue_larger(model: Any, start: Any) -> None:
    """Give a model the weights of one that sees pictures in fewer, or more, patches, or through fewer layers.

    Positions are interpolated, and so is what the connector makes of the patches that it joins into one image token,
    scaled so that a token keeps its size. Layers that the start lacks stand after those they are copied from, and add
    nothing at first (Wu et al. 2024, "LLaMA Pro"): the tower says what it said.

    Args:
        model: whose weights are replaced.
        start: whose weights are taken.

    Raises:
        RuntimeError: another size differs, or the two join patches into another number of image tokens.
    """
    weights = start.state_dict()
    places = "model.vision_model.embeddings.position_embedding.weight"
    joint = "model.connector.modality_projection.proj.weight"
    old, new = start.config, model.config
    grid = new.vision_config.image_size // new.vision_config.patch_size
    width = weights[places].shape[1]
    weights[places] = _resize(weights[places], grid)
    a_token = weights[joint].view(-1, old.scale_factor**2, width).permute(1, 0, 2).flatten(1)
    a_token = _resize(a_token, new.scale_factor) * (old.scale_factor / new.scale_factor) ** 2
    weights[joint] = a_token.view(new.scale_factor**2, -1, width).permute(1, 0, 2).flatten(1)
    model.load_state_dict(_deepen(weights, old.vision_config.num_hidden_layers, new.vision_config.num_hidden_layers))


def _deepen(weights: dict[str, Tensor], old: int, new: int) -> dict[str, Tensor]:
    """The weights of a tower of `old` layers as those of one of `new` layers that computes the same."""
    layers = "model.vision_model.encoder.layers."
    deeper = {name: value for name, value in weights.items() if not name.startswith(layers)}
    for name, value in weights.items():
        if not name.startswith(layers):
            continue
        number, _, rest = name.removeprefix(layers).partition(".")
        copies = [at for at in range(new) if at * old // new == int(number)]
        adds = rest.startswith(("self_attn.out_proj.", "mlp.fc2."))
        for at in copies:
            deeper[f"{layers}{at}.{rest}"] = torch.zeros_like(value) if adds and at > copies[0] else value
    return deeper


def _resize(cells: Tensor, side: int) -> Tensor:
    """The rows of a square grid, (n * n, width), as those of another one, (side * side, width)."""
    before = math.isqrt(len(cells))
    if before == side:
        return cells
    grid = cells.T.reshape(1, -1, before, before)
    resized = torch.nn.functional.interpolate(grid, size=(side, side), mode="bicubic", align_corners=False)
    return resized.flatten(2)[0].T


@torch.no_grad()
def whiten_patches(vision: Any, pixels: Tensor, damping: float = 0.02) -> None:
    """Start the patch embedding as the principal components of real patches, brought to like size.

    The first layer then passes on what patches differ in, decorrelated, where random filters mostly pass on brightness.

    Args:
        vision: the tower.
        pixels: normalised pictures (B, 3, S, S) to take the components from; a few hundred are enough.
        damping: components weaker than this share of the strongest are not blown up to full size.
    """
    filters = vision.embeddings.patch_embedding
    width, size = filters.weight.shape[0], filters.weight.shape[-1]
    patches = torch.nn.functional.unfold(pixels, size, stride=size).transpose(1, 2).flatten(0, 1)
    mean = patches.mean(dim=0)
    strength, components = torch.linalg.eigh(torch.cov(patches.T))
    order = strength.argsort(descending=True)[:width]
    gain = 1 / (strength[order] + damping * strength.max() / 10).sqrt()
    weight = (components[:, order] * gain).T
    kept = len(order)  # fewer than the width where patches are tiny: the rest stays random
    filters.weight[:kept] = weight.reshape(kept, 3, size, size)
    filters.bias[:kept] = -(weight @ mean)
