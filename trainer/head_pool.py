"""Composed pictures with their targets, held ready for training. It knows no network."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from trainer.head_net import CELL_PX, targets
from trainer.head_pictures import SIZE_PX, HeadPicture


class Pool:
    """Composed pictures with their targets, each shown a few times: composing one costs more than learning from it."""

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        """Room for `size` pictures; the oldest give way."""
        width, height = SIZE_PX
        cells = (height // CELL_PX, width // CELL_PX)
        self.count = 0
        """Pictures put in so far."""
        self._size, self._rng = size, rng
        self._pictures = torch.zeros(size, height, width, 3, dtype=torch.uint8)
        self._maps = torch.zeros(size, 7, *cells)

    def put(self, picture: HeadPicture) -> None:
        """Add one."""
        row = self.count % self._size
        rows = torch.from_numpy(picture.boxes[picture.boxes[:, 4] >= 0])
        heat, weight, place = targets([rows[:, :4]], [rows[:, 4]], (SIZE_PX[1], SIZE_PX[0]))
        self._pictures[row] = torch.from_numpy(picture.image_bgr)
        self._maps[row] = torch.cat([heat, weight, place], 1)[0]
        self.count += 1

    def batch(self, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Pictures (N, 3, H, W) and their targets (see `targets`), half of them seen in a mirror."""
        rows = torch.from_numpy(self._rng.integers(min(self.count, self._size), size=size))
        pictures = self._pictures[rows].permute(0, 3, 1, 2).to(torch.float32)
        maps = self._maps[rows]
        half = size // 2
        pictures[:half] = pictures[:half].flip(3)
        maps[:half] = maps[:half].flip(3)
        maps[:half, 2] *= -1
        return pictures.contiguous(memory_format=torch.channels_last), maps[:, :1], maps[:, 1:2], maps[:, 2:]
