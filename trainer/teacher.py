"""A small convolutional net that learns fast from few pictures, and then teaches the vision tower.

It is used in training only and never shipped: its label odds and its map of features, one place for 16 px, are extra
targets for the embedded model, on the same changed views. This file knows no text.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

ANGLE_SCALE_DEG = 45.0
"""Angles are learned in units of this, so that their loss weighs about as much as the label's."""
ANGLE_LIMIT_DEG = 110.0


@dataclass(frozen=True)
class Judgement:
    """What a net with auxiliary heads says of a batch."""

    label_logits: Tensor
    """(B, L)."""
    angles: Tensor
    """(B, 4), in units of ANGLE_SCALE_DEG."""
    map: Tensor
    """(B, P, C): features of each patch, row by row."""


class _Block(nn.Module):
    """Two 3x3 convolutions with a shortcut; halves the picture."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(inside, outside, 3, 2, 1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(inplace=True),
            nn.Conv2d(outside, outside, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outside),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(inside, outside, 1, 2, bias=False), nn.BatchNorm2d(outside))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inside, S, S) to (B, outside, S/2, S/2)."""
        return torch.relu(self.main(x) + self.shortcut(x))


class Teacher(nn.Module):
    """16 pixels a cell of its map, like the vision tower's patches. One million weights at widths 24 to 192."""

    def __init__(self, labels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 5, 2, 2, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True)
        )
        self.middle = nn.Sequential(*(_Block(widths[i], widths[i + 1]) for i in range(3)))
        self.last = _Block(widths[3], widths[4])
        self.label_head = nn.Linear(widths[4], labels)
        self.angle_head = nn.Linear(widths[4], 4)
        self.map_channels = widths[3]
        # Twice as fast on a processor.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch types only tensors so

    def forward(self, pixels: Tensor) -> Judgement:
        """Judge normalised pictures (B, 3, S, S)."""
        cells = self.middle(self.stem(pixels))
        pooled = self.last(cells).mean(dim=(2, 3))
        return Judgement(self.label_head(pooled), self.angle_head(pooled), cells.flatten(2).transpose(1, 2))


class VisionHeads(nn.Module):
    """The same outputs on top of the vision tower's patches: training only, thrown away after."""

    def __init__(self, vision_width: int, labels: int, map_channels: int) -> None:
        super().__init__()
        self.label_head = nn.Linear(vision_width, labels)
        self.angle_head = nn.Linear(vision_width, 4)
        self.map_head = nn.Linear(vision_width, map_channels)

    def forward(self, patches: Tensor) -> Judgement:
        """Judge patch states (B, P, vision_width)."""
        pooled = patches.mean(dim=1)
        return Judgement(self.label_head(pooled), self.angle_head(pooled), self.map_head(patches))


def truth_loss(judged: Judgement, labels: Tensor, angles_deg: Tensor) -> Tensor:
    """Cross-entropy on labels (NO_LABEL rows are left out) plus distance to the known angles (NaN left out)."""
    loss = judged.angles.sum() * 0.0
    named = labels >= 0
    if named.any():
        loss = loss + nn.functional.cross_entropy(
            judged.label_logits[named].float(), labels[named], label_smoothing=0.05
        )
    target = angles_deg.clamp(-ANGLE_LIMIT_DEG, ANGLE_LIMIT_DEG) / ANGLE_SCALE_DEG
    known = ~target.isnan()
    if known.any():
        loss = loss + nn.functional.smooth_l1_loss(judged.angles.float()[known], target[known], beta=0.3)
    return loss


def imitation_loss(student: Judgement, teacher: Judgement) -> tuple[Tensor, Tensor]:
    """How far the student is from the teacher: in label odds (temperature 2), and in the map's direction per patch.

    A student of finer patches is compared by their means over the teacher's.

    Raises:
        ValueError: the student's map is coarser than the teacher's, or of another batch or width.
    """
    seen = _coarser(student.map.float(), teacher.map.shape[1])
    if seen.shape != teacher.map.shape:
        raise ValueError(f"maps differ: student {tuple(student.map.shape)}, teacher {tuple(teacher.map.shape)}")
    odds = nn.functional.kl_div(
        (student.label_logits.float() / 2).log_softmax(-1),
        (teacher.label_logits.float() / 2).softmax(-1),
        reduction="batchmean",
    )
    wanted = teacher.map.float()
    wanted = (wanted - wanted.mean(dim=(0, 1))) / (wanted.std(dim=(0, 1)) + 1e-3)
    return odds * 4, nn.functional.smooth_l1_loss(seen, wanted)


def _coarser(patches: Tensor, count: int) -> Tensor:
    """The square grid (B, P, C) in `count` patches, each the mean of what it covers; as it is if P is no more."""
    if patches.shape[1] <= count:
        return patches
    before, after = math.isqrt(patches.shape[1]), math.isqrt(count)
    grid = patches.transpose(1, 2).reshape(len(patches), -1, before, before)
    return nn.functional.adaptive_avg_pool2d(grid, after).flatten(2).transpose(1, 2)
