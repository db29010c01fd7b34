"""The network of the head finder: a picture in, a map of head centres with sizes out; and what it is taught.

One heat map of centres and four numbers a cell (offset and log size), eight pixels a cell, as in CenterNet, because no
anchor fits heads cut off by the picture's edge. It knows no files and no pictures of its own.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CELL_PX = 8
"""Pixels of the input per cell of the map."""
MULTIPLE_PX = 16
"""Sides of the input are multiples of this."""
_RARE = -4.6
"""Bias of the heat: nearly no cell holds a head, and training shall not begin by learning that."""


class HeadNet(nn.Module):
    """Plain small convolutions at strides 2 to 16, the coarsest joined back to stride 8."""

    def __init__(self, widths: tuple[int, int, int, int] = (12, 24, 48, 72), deep: int = 2) -> None:
        """`widths` are channels at strides 2, 4, 8 and 16; `deep` the residual convolutions at strides 8 and 16."""
        super().__init__()
        w2, w4, w8, w16 = widths
        self.stem = nn.Sequential(_conv(3, w2, 2), _conv(w2, w4, 2), _conv(w4, w8, 2))
        self.fine = nn.ModuleList(_conv(w8, w8) for _ in range(deep))
        self.down = _conv(w8, w16, 2)
        self.coarse = nn.ModuleList(_conv(w16, w16) for _ in range(deep))
        self.join = nn.Sequential(nn.Conv2d(w16, w8, 1, bias=False), nn.BatchNorm2d(w8))
        self.last = _conv(w8, w8)
        self.out = nn.Conv2d(w8, 5, 1)
        nn.init.zeros_(self.out.weight)
        assert self.out.bias is not None
        with torch.no_grad():
            self.out.bias.copy_(torch.tensor([_RARE, 0.0, 0.0, 0.0, 0.0]))

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) blue-green-red, 0 to 255 -> (N, 5, H / 8, W / 8): heat logit, offset x, y, log width, height.

        Offsets are cells from a cell's middle; sizes are logs of cells.
        """
        x = self.stem(pictures / 64.0 - 2.0)
        for layer in self.fine:
            x = x + layer(x)
        y = self.down(x)
        for layer in self.coarse:
            y = y + layer(y)
        x = functional.relu(x + functional.interpolate(self.join(y), scale_factor=2.0, mode="nearest"))
        out: Tensor = self.out(self.last(x))
        return out


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=False)
    )


def fold(net: HeadNet) -> dict[str, Tensor]:
    """Weights and biases of the convolutions in order, each norm folded into the convolution before it.

    Names: stem.0 to stem.2, fine.k, down, coarse.k, join, last, out; each with .weight and .bias.
    """
    folded: dict[str, Tensor] = {}
    for name, convolution, norm in _pairs(net):
        assert norm.running_mean is not None and norm.running_var is not None
        factor = norm.weight.detach() / torch.sqrt(norm.running_var + norm.eps)
        folded[f"{name}.weight"] = convolution.weight.detach() * factor[:, None, None, None]
        folded[f"{name}.bias"] = norm.bias.detach() - norm.running_mean * factor
    assert net.out.bias is not None
    return {**folded, "out.weight": net.out.weight.detach(), "out.bias": net.out.bias.detach()}


def unfold(net: HeadNet, folded: dict[str, Tensor], pictures: Tensor) -> None:
    """Give `net` folded weights, its norms set so that on these pictures (N, 3, H, W) it answers as it did folded."""

    def settle(norm: nn.Module, inputs: tuple[Tensor, ...], bias: Tensor) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None and norm.running_var is not None
        variance, mean = torch.var_mean(inputs[0], (0, 2, 3), correction=0)
        norm.weight.copy_(torch.sqrt(variance + norm.eps))
        norm.bias.copy_(mean + bias)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)

    hooks = []
    with torch.no_grad():
        for name, convolution, norm in _pairs(net):
            convolution.weight.copy_(folded[f"{name}.weight"])
            bias = folded[f"{name}.bias"]
            hooks.append(norm.register_forward_pre_hook(lambda norm, inputs, bias=bias: settle(norm, inputs, bias)))
        assert net.out.bias is not None
        net.out.weight.copy_(folded["out.weight"])
        net.out.bias.copy_(folded["out.bias"])
        net.eval()(pictures)
    for hook in hooks:
        hook.remove()


def _pairs(net: HeadNet) -> list[tuple[str, nn.Conv2d, nn.BatchNorm2d]]:
    """Each convolution that a norm follows, by name, in the order of the data."""
    named: list[tuple[str, nn.Module]] = [(f"stem.{k}", layer) for k, layer in enumerate(net.stem)]
    named += [(f"fine.{k}", layer) for k, layer in enumerate(net.fine)] + [("down", net.down)]
    named += [(f"coarse.{k}", layer) for k, layer in enumerate(net.coarse)]
    named += [("join", net.join), ("last", net.last)]
    pairs = []
    for name, layer in named:
        convolution, norm = list(layer.children())[:2]
        assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        pairs.append((name, convolution, norm))
    return pairs


def targets(boxes_px: list[Tensor], seen: list[Tensor], size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """What the maps of a batch should say.

    Args:
        boxes_px: per picture (K, 4): x1, y1, x2, y2.
        seen: per picture (K,): 1 where the head is to be found, 0 where either answer will do.
        size: (height, width) px of the pictures.

    Returns:
        heat (N, 1, h, w), 0 to 1; a weight for it (N, 1, h, w), 0 where nothing is asked; and (N, 5, h, w) with
        offset x, y, log width, log height and a last plane that is 1 where these count.
    """
    height, width = size[0] // CELL_PX, size[1] // CELL_PX
    heat = torch.zeros(len(boxes_px), 1, height, width)
    weight = torch.ones_like(heat)
    place = torch.zeros(len(boxes_px), 5, height, width)
    grid_y, grid_x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    for n, (boxes, wanted) in enumerate(zip(boxes_px, seen, strict=True)):
        for box, is_wanted in zip((boxes / CELL_PX).tolist(), wanted.tolist(), strict=True):
            x1, y1, x2, y2 = box
            across, down = grid_x - (x1 + x2) / 2, grid_y - (y1 + y2) / 2
            if not is_wanted:
                weight[n, 0][(across.abs() * 2 < x2 - x1) & (down.abs() * 2 < y2 - y1)] = 0.0
                continue
            spread_x, spread_y = max(0.45, (x2 - x1) * 0.16), max(0.45, (y2 - y1) * 0.16)
            bump = torch.exp(-(across**2) / (2 * spread_x**2) - down**2 / (2 * spread_y**2))
            nearest = int(torch.argmin(across**2 + down**2))
            bump.view(-1)[nearest] = 1.0
            owner = bump > torch.clamp(heat[n, 0], min=0.3)
            heat[n, 0] = torch.maximum(heat[n, 0], bump)
            numbers = (-across, -down, torch.full_like(across, x2 - x1).log(), torch.full_like(down, y2 - y1).log())
            for k, number in enumerate((*numbers, torch.ones_like(across))):
                place[n, k][owner] = number[owner]
    return heat, weight, place


def loss(out: Tensor, heat: Tensor, weight: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """(focal loss of the heat, error of the boxes), both per head in the batch."""
    logit = out[:, :1]
    chance = torch.sigmoid(logit)
    peak = (heat > 0.99).float()
    found = peak * (1 - chance) ** 2 * functional.logsigmoid(logit)
    quiet = (1 - peak) * (1 - heat) ** 4 * chance**2 * functional.logsigmoid(-logit) * weight
    heads = peak.sum().clamp(min=1.0)
    counts = place[:, 4:] * heat
    error = functional.smooth_l1_loss(out[:, 1:], place[:, :4], reduction="none", beta=0.2) * counts
    return -(found.sum() + quiet.sum()) / heads, error.sum() / counts.sum().clamp(min=1.0)
