"""Log-probabilities of packed answers by one pass through a model's text side.

This file knows models of transformers, and no processor.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from monitor.vlm.checkpoint.packing import Packed, Place, in_order
from monitor.vlm.checkpoint.talk import Talk


def sum_log_probs(core: Any, seen: dict[str, Any], packed: Packed) -> Tensor:
    """Sums of log-probabilities, (B, A).

    Args:
        core: the model.
        seen: image features as `Sight.hand_over` wraps them.
        packed: prompts and answers, on the model's device.
    """
    logits = answer_logits(core, seen, packed).float()
    said = logits.gather(-1, packed.targets.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(-1)
    owned = packed.owners.unsqueeze(-1) == torch.arange(packed.answers, device=packed.owners.device)  # (B, K, A)
    return torch.einsum("bk,bka->ba", said, owned.to(said.dtype))


def answer_logits(core: Any, seen: dict[str, Any], packed: Packed) -> Tensor:
    """Logits (B, K, V) where an answer's token is predicted, and nowhere else: vocabularies are large.

    Args:
        core: the model.
        seen: image features as `Sight.hand_over` wraps them.
        packed: prompts and answers, on the model's device.
    """
    states = core.model(
        input_ids=packed.ids,
        mm_encoder_outputs=seen,
        attention_mask=_bias(packed.visible, core.dtype),
        position_ids=packed.positions[0] if len(packed.positions) == 1 else packed.positions,
        use_cache=False,
    ).last_hidden_state
    index = packed.sources.unsqueeze(-1).expand(-1, -1, states.shape[-1])
    logits: Tensor = core.get_output_embeddings()(states.gather(1, index))
    return logits


def placed(core: Any, talk: Talk) -> Place:
    """How this model numbers the tokens of a prompt: in order, or pictures by row and column (Qwen-VL)."""
    number = getattr(core.model, "get_rope_index", None)
    if number is None:
        return in_order

    def by_grid(prompt: tuple[int, ...]) -> Tensor:
        ids = torch.tensor([prompt])
        marker = ids == talk.image_token_id
        merged = core.config.vision_config.spatial_merge_size
        side = round(int(marker.sum()) ** 0.5) * merged
        grid = torch.tensor([[1, side, side]])
        positions, _ = number(ids, mm_token_type_ids=marker.int(), image_grid_thw=grid)
        rows: Tensor = positions[:, 0].cpu()
        return rows

    return by_grid


def _bias(visible: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to attention scores, (B, 1, T, T)."""
    hidden = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
    return hidden.masked_fill_(~visible, torch.finfo(dtype).min).unsqueeze(1)
