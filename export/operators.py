"""The operators of which both towers are made, in a form that onnxruntime runs fast.

In plain torch they compute the textbook formula; while a graph is being exported they become one fused operator each
(onnxruntime's own). They know no weights but those handed over.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_CONTRIB = "com.microsoft"


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int, bias: Tensor | None) -> Tensor:
    """Multi-head attention.

    Args:
        query: (B, Q, heads * d).
        key: (B, K, heads * d).
        value: (B, K, heads * d).
        heads: number of heads.
        bias: (1, 1, Q, K) added to the scores, or None where all see all.

    Returns:
        (B, Q, heads * d).
    """
    if torch.onnx.is_in_onnx_export():
        inputs = (query, key, value) if bias is None else (query, key, value, None, None, bias)
        return torch.onnx.ops.symbolic(
            f"{_CONTRIB}::MultiHeadAttention",
            inputs,
            {"num_heads": heads},
            dtype=query.dtype,
            shape=query.shape,
            version=1,
        )
    query, key, value = (split_heads(states, heads).transpose(1, 2) for states in (query, key, value))
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=bias).transpose(1, 2).flatten(2)


def rms_norm(states: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Root-mean-square normalisation over the last axis."""
    if torch.onnx.is_in_onnx_export():
        return torch.onnx.ops.symbolic(
            "SimplifiedLayerNormalization",
            (states, weight),
            {"axis": -1, "epsilon": eps, "stash_type": 1},
            dtype=states.dtype,
            shape=states.shape,
            version=1,
        )
    return functional.rms_norm(states, (states.shape[-1],), weight, eps)


def rotate(states: Tensor, cos: Tensor, sin: Tensor, heads: int) -> Tensor:
    """Rotary positions, first half against second half of each head.

    Args:
        states: (B, T, heads * d).
        cos: (T, d / 2), a row for each of the T places.
        sin: (T, d / 2).
        heads: number of heads.

    Returns:
        (B, T, heads * d).
    """
    if torch.onnx.is_in_onnx_export():
        first_row = torch.zeros(1, dtype=torch.int64)
        return torch.onnx.ops.symbolic(
            f"{_CONTRIB}::RotaryEmbedding",
            (states, first_row, cos, sin),
            {},
            dtype=states.dtype,
            shape=states.shape,
            version=1,
        )
    low, high = split_heads(states, heads).chunk(2, dim=-1)
    cos, sin = cos[:, None], sin[:, None]
    turned: Tensor = torch.cat((low * cos - high * sin, high * cos + low * sin), dim=-1)
    return turned.flatten(2)


def split_heads(states: Tensor, heads: int) -> Tensor:
    """(B, T, heads * d) to (B, T, heads, d)."""
    return states.reshape(states.shape[0], states.shape[1], heads, states.shape[2] // heads)


def gelu_tanh(states: Tensor) -> Tensor:
    """GELU in its tanh form."""
    if torch.onnx.is_in_onnx_export():
        return torch.onnx.ops.symbolic(
            f"{_CONTRIB}::FastGelu", (states,), {}, dtype=states.dtype, shape=states.shape, version=1
        )
    return functional.gelu(states, approximate="tanh")
