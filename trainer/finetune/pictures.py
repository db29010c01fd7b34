"""The training pictures as the policy takes them: encoded once where seeing is frozen, else prepared at each step.

This file knows views and batches, and no question.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.augment import Augmentation, augment
from trainer.corpora.record import PictureSet
from trainer.finetune.settings import LearningSettings
from trainer.memory import advising, next_batch_size
from trainer.policy import Policy


class Album:
    """Pictures and their changed views; row and view together name one."""

    def __init__(self, policy: Policy, pictures: PictureSet, settings: LearningSettings, how: Augmentation) -> None:
        """Encode what can be kept.

        Args:
            policy: whose eyes.
            pictures: (N,) of any size.
            settings: views a picture, seed of the changes, pictures looked at at once.
            how: strength of the changes.

        Raises:
            BadInputError: out of memory.
        """
        self._policy, self._pictures, self._how = policy, pictures, how
        self._seed, self._views, self._batch_size = settings.seed, settings.views, settings.batch_size
        self._looked: list[Tensor] = []
        if policy.sight.keepable:
            with advising(next_batch_size(self._batch_size)):
                self._looked = [self._encode(view) for view in range(self._views)]

    def features(self, rows: list[int], step: int) -> Tensor:
        """Image features (B, N, W) of one step's rows; views are drawn by seed and step."""
        if self._looked:
            views = np.random.default_rng([self._seed, step, 1]).integers(self._views, size=len(rows))
            looked = torch.stack([self._looked[view][row] for view, row in zip(views, rows, strict=True)])
            return self._policy.image_features(looked.to(self._policy.device))
        # Seeing itself learns: every step may have views of its own.
        fresh = self._view(rows, [self._seed, step]) if self._views > 1 else self._pictures.images_rgb[rows]
        return self._policy.image_features(self._policy.prepare(fresh))

    def _encode(self, view: int) -> Tensor:
        size = self._batch_size
        if view == 0:
            return self._policy.encode(self._pictures.images_rgb, size)
        rows = list(range(len(self._pictures)))
        parts = [rows[start : start + size] for start in range(0, len(rows), size)]
        return torch.cat([self._policy.encode(self._view(part, [self._seed, view, part[0]]), size) for part in parts])

    def _view(self, rows: list[int], seed: list[int]) -> NDArray[np.uint8]:
        """A changed view of some pictures."""
        some = self._pictures.take(rows)
        chance = torch.Generator().manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
        pixels, _ = augment(
            torch.from_numpy(some.images_rgb).permute(0, 3, 1, 2),
            torch.from_numpy(some.angles_deg),
            torch.from_numpy(some.face_boxes_px),
            self._policy.side_px,
            self._how,
            chance,
        )
        return (pixels.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
