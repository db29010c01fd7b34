"""The label graph: image tokens in, the exact log-probability of every label out, in one forward pass.

The question stands before the image, so its keys and values are constants. After the image tokens come the label
tokens, packed as a tree: each sees the prompt and its own ancestors only. It does not know files or quantization.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from export.checkpoint import Asked, Checkpoint
from export.label_tree import LabelTree, plant
from export.operators import rms_norm
from export.towers import Rotary, TextLayer, VisionTower
from monitor.errors import BadInputError

_NEVER = -1e9  # finite: a fused kernel adds it to scores, and -inf minus -inf is not a number


@dataclass(frozen=True, slots=True)
class PackedPrompt:
    """One rubric's prompt and labels as token ids."""

    prefix: tuple[int, ...]
    """From the first token to the last before the image."""
    image_tokens: int
    suffix: tuple[int, ...]
    """From the first token after the image to the last of the prompt; at least one."""
    tree: LabelTree


def pack(checkpoint: Checkpoint, asked: Asked) -> PackedPrompt:
    """Turn a question and its phrases into tokens, exactly as training had them.

    Raises:
        BadInputError: the prompt does not hold one run of image tokens between text.
    """
    talk, image_tokens = checkpoint.talk, int(checkpoint.card["image_tokens"])
    ids = talk.prompt_ids(asked.question)
    places = [place for place, token in enumerate(ids) if token == talk.image_token_id]
    if not places or len(places) != image_tokens or places[-1] - places[0] + 1 != image_tokens:
        raise BadInputError(
            f"{checkpoint.folder}: expected {image_tokens} image tokens in one run, found {len(places)} in the prompt. "
            "Is the processor another model's?"
        )
    if places[0] == 0 or places[-1] + 1 == len(ids):
        raise BadInputError(f"{checkpoint.folder}: the prompt needs text before and after the image")
    sequences = [talk.answer_ids(phrase) for phrase in asked.phrases]
    return PackedPrompt(tuple(ids[: places[0]]), image_tokens, tuple(ids[places[-1] + 1 :]), plant(sequences))


class LabelGraph(nn.Module):
    """Scores all labels of one rubric.

    The packed sequence is: image tokens, suffix, label-tree nodes. "Tail" below means suffix and nodes.
    """

    def __init__(self, model: Any, packed: PackedPrompt) -> None:
        super().__init__()
        text, config = model.model.text_model, model.config.text_config
        if config.hidden_act != "silu":
            raise ValueError(f"the text tower knows silu only, found {config.hidden_act!r}")
        self.layers = nn.ModuleList(TextLayer(layer, config) for layer in text.layers)
        self.norm, self.head = text.norm, model.lm_head
        start, suffix = len(packed.prefix), len(packed.suffix)
        after = start + packed.image_tokens
        depths = [after + place for place in range(suffix)] + [after + suffix + depth for depth in packed.tree.depths]
        self.rotary = Rotary(text, torch.tensor([*range(start, after), *depths]))
        self.register_buffer("bias", _tree_bias(packed))
        self.register_buffer("tail", _embed(text, (*packed.suffix, *packed.tree.tokens)))
        self._cache_prefix(text, packed.prefix)
        self._index_steps(packed, suffix)
        self.bias: Tensor
        self.tail: Tensor

    def forward(self, images: Tensor) -> Tensor:
        """(B, image tokens, D) to (B, labels) log-probabilities; over free text, so they need not sum to one."""
        batch = images.shape[0]
        states = torch.cat((images, self.tail.expand(batch, -1, -1)), dim=1)
        for number, layer in enumerate(self._text_layers()):
            query, key, value = layer.project(states, self.rotary.cos, self.rotary.sin)
            key = torch.cat((self.get_buffer(f"keys_{number}").expand(batch, -1, -1), key), dim=1)
            value = torch.cat((self.get_buffer(f"values_{number}").expand(batch, -1, -1), value), dim=1)
            bias = self.bias
            if number + 1 == len(self.layers):  # nothing reads the last states of what comes before the answer
                first = self.first_row
                states, query, bias = states[:, first:], query[:, first:], bias[:, :, first:]
            states = layer.finish(states, query, key, value, bias)
        return self._score(states)

    def _text_layers(self) -> list[TextLayer]:
        return [layer for layer in self.layers if isinstance(layer, TextLayer)]

    def _score(self, rows: Tensor) -> Tensor:
        """(B, predicting rows, D) to (B, labels): the sum of each label's token log-probabilities."""
        logits = self.head(rms_norm(rows, self.norm.weight, self.norm.variance_epsilon))
        chosen = logits.log_softmax(-1).flatten(1)[:, self.flat_steps]
        scores: Tensor = chosen @ self.step_labels
        return scores

    @torch.no_grad()
    def _cache_prefix(self, text: Any, prefix: Sequence[int]) -> None:
        """Keys and values of the tokens before the image, computed once: 1, P, key_heads * d per layer."""
        states = _embed(text, prefix)
        rotary = Rotary(text, torch.arange(len(prefix)))
        future = torch.full((len(prefix), len(prefix)), _NEVER).triu(1)[None, None]
        for number, layer in enumerate(self._text_layers()):
            query, key, value = layer.project(states, rotary.cos, rotary.sin)
            self.register_buffer(f"keys_{number}", key.clone())
            self.register_buffer(f"values_{number}", value.clone())
            states = layer.finish(states, query, key, value, future)

    def _index_steps(self, packed: PackedPrompt, suffix: int) -> None:
        """Tables that pick each label's tokens out of the head's rows."""
        self.first_row = packed.image_tokens + suffix - 1  # the prompt's last token predicts each label's first
        flat = [(label, node + 1, token) for label, steps in enumerate(packed.tree.steps) for node, token in steps]
        labels = torch.zeros(len(flat), len(packed.tree.steps))
        for place, (label, _, _) in enumerate(flat):
            labels[place, label] = 1.0
        width = self.head.weight.shape[0]
        self.register_buffer("flat_steps", torch.tensor([row * width + token for _, row, token in flat]))
        self.register_buffer("step_labels", labels)
        self.flat_steps: Tensor
        self.step_labels: Tensor


class ScoringModel(nn.Module):
    """Both graphs of a bundle, one after the other."""

    def __init__(self, vision: VisionTower, label: LabelGraph) -> None:
        super().__init__()
        self.vision, self.label = vision, label

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, S, S, 3) uint8 RGB to (B, labels) log-probabilities."""
        scores: Tensor = self.label(self.vision(pixels))
        return scores


def build(checkpoint: Checkpoint, rubric_id: str) -> ScoringModel:
    """What a checkpoint's graphs for one of its rubrics compute, as torch modules."""
    return build_asked(checkpoint, checkpoint.asked(rubric_id))


def build_asked(checkpoint: Checkpoint, asked: Asked) -> ScoringModel:
    """What a checkpoint's graphs for a question and its answers compute, as torch modules."""
    talk, packed = checkpoint.talk, pack(checkpoint, asked)
    vision = VisionTower(checkpoint.model, talk.side_px, talk.mean, talk.std)
    return ScoringModel(vision, LabelGraph(checkpoint.model, packed)).eval()


@torch.no_grad()
def _embed(text: Any, tokens: Sequence[int]) -> Tensor:
    states: Tensor = text.embed_tokens(torch.tensor([list(tokens)]))
    return states.clone()


def _tree_bias(packed: PackedPrompt) -> Tensor:
    """What each row may see, 1, 1, rows, prefix + rows: 0 where it may, else a very low score."""
    prefix, images, suffix = len(packed.prefix), packed.image_tokens, len(packed.suffix)
    shared = images + suffix
    rows = shared + len(packed.tree.tokens)
    bias = torch.full((rows, prefix + rows), _NEVER)
    bias[:, :prefix] = 0
    for row in range(shared):
        bias[row, prefix : prefix + row + 1] = 0
    for node in range(len(packed.tree.tokens)):
        bias[shared + node, prefix : prefix + shared] = 0
        for seen in packed.tree.ancestors(node):
            bias[shared + node, prefix + shared + seen] = 0
    return bias[None, None]
