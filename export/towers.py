"""The vision tower and the text tower of an Idefics3 model, rebuilt from its weights for scoring only.

Projections that read the same states are joined into one matrix, pixels are normalised inside the first matrix, and
what does not depend on the picture is computed once. They know nothing of labels or files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from export.operators import attend, gelu_tanh, rms_norm, rotate, split_heads

Matrices = Mapping[str, tuple[tuple[str, int], ...]]
"""Per product of a layer, the matrices of the checkpoint that it joins: their names and output widths."""


def joined(*layers: Any) -> nn.Linear:
    """One linear layer that computes what several compute from the same states, side by side."""
    weight = torch.cat([layer.weight.detach() for layer in layers]).clone()
    merged = nn.Linear(weight.shape[1], weight.shape[0], bias=layers[0].bias is not None)
    merged.weight = nn.Parameter(weight, requires_grad=False)
    if merged.bias is not None:
        merged.bias = nn.Parameter(torch.cat([layer.bias.detach() for layer in layers]).clone(), requires_grad=False)
    return merged


def widths(module: Any, *names: str) -> tuple[tuple[str, int], ...]:
    """Names of linear layers with their output widths."""
    return tuple((name, int(getattr(module, name).weight.shape[0])) for name in names)


class VisionLayer(nn.Module):
    """One block of the vision encoder."""

    def __init__(self, layer: Any, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = layer.layer_norm1, layer.layer_norm2
        attention = layer.self_attn
        self.qkv = joined(attention.q_proj, attention.k_proj, attention.v_proj)
        self.out, self.fc1, self.fc2 = attention.out_proj, layer.mlp.fc1, layer.mlp.fc2
        self.matrices: Matrices = {
            "qkv": widths(attention, "q_proj", "k_proj", "v_proj"),
            "out": widths(attention, "out_proj"),
            "fc1": widths(layer.mlp, "fc1"),
            "fc2": widths(layer.mlp, "fc2"),
        }

    def forward(self, states: Tensor) -> Tensor:
        """(B, patches, D) to the same shape."""
        query, key, value = self.qkv(self.norm1(states)).chunk(3, dim=-1)
        states = states + self.out(attend(query, key, value, self.heads, None))
        states = states + self.fc2(gelu_tanh(self.fc1(self.norm2(states))))
        return states


class VisionTower(nn.Module):
    """Pixels to image tokens in the text model's space."""

    def __init__(self, model: Any, side_px: int, mean: Sequence[float], std: Sequence[float]) -> None:
        """Take the weights of a model that reads squares of `side_px`, normalised by `mean` and `std` (of 0 to 1)."""
        super().__init__()
        vision, config = model.model.vision_model, model.config.vision_config
        if config.hidden_act not in ("gelu_pytorch_tanh", "gelu_new"):
            raise ValueError(f"the vision tower knows gelu_pytorch_tanh only, found {config.hidden_act!r}")
        self.patch_px, self.side = config.patch_size, side_px // config.patch_size
        self.shuffle = model.config.scale_factor
        self.embed = _pixel_projection(vision.embeddings.patch_embedding, std)
        shift = _pixel_shift(vision.embeddings.patch_embedding, mean, std)
        self.register_buffer("positions", _positions(vision.embeddings, self.side, self.patch_px) + shift)
        self.layers = nn.ModuleList(VisionLayer(layer, config.num_attention_heads) for layer in vision.encoder.layers)
        self.norm = vision.post_layernorm
        self.project = model.model.connector.modality_projection.proj
        self.positions: Tensor

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, S, S, 3) uint8 RGB to (B, image tokens, text width)."""
        side, patch = self.side, self.patch_px
        if pixels.shape[1] > side * patch:  # a border narrower than a patch is not looked at
            pixels = pixels[:, : side * patch, : side * patch]
        patches = pixels.reshape(-1, side, patch, side, patch * 3).transpose(2, 3)  # B, row, column, y, x * 3
        states = self.embed(patches.reshape(-1, side * side, patch * patch * 3).float()) + self.positions
        for layer in self.layers:
            states = layer(states)
        tokens: Tensor = self.project(self._gather(states))
        return tokens

    def _gather(self, states: Tensor) -> Tensor:
        """Normalisation and pixel shuffle: each square of patches becomes one token, B, tokens, D * shuffle^2."""
        few, width = self.side // self.shuffle, states.shape[-1]
        # In this order, for onnxruntime joins a sum and the normalisation behind it into an operator ten times slower.
        states = self.norm(states.reshape(-1, few, self.shuffle, few, self.shuffle, width))
        return states.transpose(2, 3).reshape(-1, few * few, width * self.shuffle**2)


class TextLayer(nn.Module):
    """One block of the text model over the packed sequence."""

    def __init__(self, layer: Any, config: Any) -> None:
        super().__init__()
        self.heads, self.key_heads, self.head_dim = (
            config.num_attention_heads,
            config.num_key_value_heads,
            config.head_dim,
        )
        attention, mlp = layer.self_attn, layer.mlp
        self.widths = [self.heads * self.head_dim] + [self.key_heads * self.head_dim] * 2
        self.qkv = joined(attention.q_proj, attention.k_proj, attention.v_proj)
        self.out, self.gate_up, self.down = attention.o_proj, joined(mlp.gate_proj, mlp.up_proj), mlp.down_proj
        self.norm1, self.norm2 = layer.input_layernorm, layer.post_attention_layernorm
        self.matrices: Matrices = {
            "qkv": widths(attention, "q_proj", "k_proj", "v_proj"),
            "out": widths(attention, "o_proj"),
            "gate_up": widths(mlp, "gate_proj", "up_proj"),
            "down": widths(mlp, "down_proj"),
        }

    def project(self, states: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated queries (B, T, heads * d), rotated keys and values (B, T, key_heads * d)."""
        normed = rms_norm(states, self.norm1.weight, self.norm1.variance_epsilon)
        query, key, value = self.qkv(normed).split(self.widths, dim=-1)
        return rotate(query, cos, sin, self.heads), rotate(key, cos, sin, self.key_heads), value

    def finish(self, states: Tensor, query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        """Attention and feed-forward of the rows in `states`, (B, Q, D), over all keys (B, K, key_heads * d)."""
        mixed = attend(query, self._spread(key), self._spread(value), self.heads, bias)
        states = states + self.out(mixed)
        normed = rms_norm(states, self.norm2.weight, self.norm2.variance_epsilon)
        gate, up = self.gate_up(normed).chunk(2, dim=-1)
        states = states + self.down(gate * torch.sigmoid(gate) * up)
        return states

    def _spread(self, states: Tensor) -> Tensor:
        """Each key head once per query head that reads it."""
        if self.key_heads == self.heads:
            return states
        split = split_heads(states, self.key_heads)[:, :, :, None]
        return split.expand(-1, -1, -1, self.heads // self.key_heads, -1).flatten(2)


class Rotary(nn.Module):
    """Tables of cosine and sine for given positions, one row each, in the shape that `rotate` reads: T, d / 2."""

    def __init__(self, text_model: Any, positions: Tensor) -> None:
        super().__init__()
        cos, sin = text_model.rotary_emb(torch.zeros(1), positions[None])
        half = cos.shape[-1] // 2
        self.register_buffer("cos", cos[0, :, :half].clone())
        self.register_buffer("sin", sin[0, :, :half].clone())
        self.cos: Tensor
        self.sin: Tensor


def _pixel_projection(convolution: Any, std: Sequence[float]) -> nn.Linear:
    """The patch convolution as a matrix over raw 0..255 pixels, with x / 255 / std inside."""
    kernel = convolution.weight.detach().double()  # D, 3, y, x
    kernel = kernel * (1 / 255 / torch.tensor(std).double())[None, :, None, None]
    layer = nn.Linear(kernel[0].numel(), len(kernel), bias=False)
    layer.weight = nn.Parameter(kernel.permute(0, 2, 3, 1).flatten(1).float(), requires_grad=False)
    return layer


def _pixel_shift(convolution: Any, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """What the projection leaves out of each patch, D: the bias, and - mean / std through the kernel."""
    kernel = convolution.weight.detach().double()
    shift = torch.tensor(mean).double() / torch.tensor(std).double()
    bias = -(kernel * shift[None, :, None, None]).sum(dim=(1, 2, 3))
    if convolution.bias is not None:
        bias = bias + convolution.bias.detach().double()
    shift_of_patch: Tensor = bias.float()
    return shift_of_patch


@torch.no_grad()
def _positions(embeddings: Any, side: int, patch_px: int) -> Tensor:
    """Position embedding of each patch, 1, side^2, D: asked of the model, whose own bucketing rounds in its own way."""
    blank = torch.zeros(1, 3, side * patch_px, side * patch_px)
    whole: Tensor = embeddings(blank, torch.ones(1, side, side, dtype=torch.bool))
    bias = embeddings.patch_embedding.bias
    return whole if bias is None else whole - bias
