"""The talk's baselines on the same pictures: a small convolutional net, and a rule on the angles of the head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.iterations.plan import Cnn
from trainer.augment import Augmentation, augment, plain
from trainer.corpora.record import PictureSet
from trainer.schedule import Schedule

STAGES = ((16, 1, 1), (24, 2, 2), (40, 3, 2), (80, 3, 2), (112, 2, 1), (160, 2, 2))
"""Width, blocks and stride of each stage: about a MobileNetV2 of half width, 0.7 M weights; a wider one does not train
in twenty minutes of one core."""


class Inverted(nn.Module):
    """Widen, look around each channel alone, narrow; added to what came in where shapes allow."""

    def __init__(self, width: int, out: int, stride: int, widen: int = 4) -> None:
        super().__init__()
        inner = width * widen
        self.body = nn.Sequential(
            nn.Conv2d(width, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.SiLU(),
            nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False), nn.BatchNorm2d(inner), nn.SiLU(),
            nn.Conv2d(inner, out, 1, bias=False), nn.BatchNorm2d(out),
        )  # fmt: skip
        self.adds = stride == 1 and width == out

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, width, H, W) to (B, out, H / stride, W / stride)."""
        made: Tensor = self.body(pixels)
        return pixels + made if self.adds else made


class SmallNet(nn.Module):
    """Pictures (B, 3, S, S), 0..1, to log-odds (B, labels)."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.SiLU()]
        width = 16
        for out, blocks, stride in STAGES:
            for block in range(blocks):
                layers.append(Inverted(width, out, stride if block == 0 else 1))
                width = out
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2))
        self.head = nn.Linear(width, labels)

    def forward(self, pixels: Tensor) -> Tensor:
        """See above."""
        odds: Tensor = self.head(self.body((pixels - 0.5) / 0.5))
        return odds


def train_cnn(train: PictureSet, labels: int, how: Cnn, seed: int) -> tuple[SmallNet, int]:
    """A net trained on labelled pictures, balanced and augmented as the embedded model's are; and its steps."""
    torch.manual_seed(seed)
    net = SmallNet(labels)
    chance = torch.Generator().manual_seed(seed)
    side = train.images_rgb.shape[1]
    counts = np.bincount(train.labels, minlength=labels)
    weights = torch.tensor(1.0 / np.maximum(1, counts)[train.labels])
    steps = how.epochs * max(1, len(train) // how.batch_size)
    optimizer = torch.optim.AdamW(net.parameters(), lr=how.learning_rate, weight_decay=0.02)
    schedule = Schedule(steps=steps, seconds=0.0, warmup=0.1)
    net.train()
    for _ in range(steps):
        rows = torch.multinomial(weights, how.batch_size, replacement=True, generator=chance).tolist()
        some = train.take(rows)
        images = torch.from_numpy(some.images_rgb).permute(0, 3, 1, 2)
        angles, boxes = torch.from_numpy(some.angles_deg), torch.from_numpy(some.face_boxes_px)
        pixels, _ = augment(images, angles, boxes, side, Augmentation(), chance)
        rate = schedule.advance() * how.learning_rate
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(pixels), torch.from_numpy(some.labels), label_smoothing=0.05)
        torch.autograd.backward(loss)
        optimizer.step()
    return net.eval(), steps


@torch.no_grad()
def ask_cnn(net: SmallNet, images_rgb: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The likeliest label of each picture (N, S, S, 3)."""
    side = images_rgb.shape[1]
    parts = []
    for start in range(0, len(images_rgb), 64):
        images = torch.from_numpy(images_rgb[start : start + 64]).permute(0, 3, 1, 2)
        parts.append(net(plain(images, side)).argmax(1).numpy())
    return np.concatenate(parts)


@dataclass(frozen=True)
class PoseRule:
    """Logistic regression on the head's yaw and pitch. Renders tell the angles exactly, which no camera does."""

    weights: NDArray[np.float64]
    """(6, labels)."""

    def ask(self, pictures: PictureSet) -> NDArray[np.int64] | None:
        """The likeliest label of each picture; None where angles are not known."""
        seen = pose_features(pictures)
        return None if np.isnan(seen).any() else (seen @ self.weights).argmax(axis=1)


def fit_pose_rule(train: PictureSet, labels: int, steps: int = 2000) -> PoseRule:
    """Fit the rule by plain gradient descent, classes weighing the same."""
    seen = pose_features(train)
    known = ~np.isnan(seen).any(axis=1)
    seen, truth = seen[known], np.eye(labels)[train.labels[known]]
    weigh = (1.0 / np.maximum(1.0, truth.sum(axis=0)))[train.labels[known]][:, None] / labels
    weights = np.zeros((seen.shape[1], labels))
    for _ in range(steps):
        odds = seen @ weights
        odds -= odds.max(axis=1, keepdims=True)
        shares = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
        weights -= 1.0 * seen.T @ (weigh * (shares - truth))
    return PoseRule(weights)


def pose_features(pictures: PictureSet) -> NDArray[np.float64]:
    """(N, 6): yaw, its size, pitch, both squared, and 1; angles in units of 30 degrees."""
    yaw, pitch = pictures.angles_deg[:, 0] / 30.0, pictures.angles_deg[:, 1] / 30.0
    return np.stack([yaw, np.abs(yaw), pitch, yaw**2, pitch**2, np.ones_like(yaw)], axis=1).astype(np.float64)
