"""Holds the training pictures in memory and deals them out; takes up shards that were rendered meanwhile.

People are split off for development by a hash of their id, so that a person stays on their side as data grows. This
file knows no model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monitor.errors import BadInputError
from trainer.corpora.record import NO_LABEL, PictureSet, join
from trainer.corpora.synthetic import list_shards, read_shard
from trainer.split import is_development
from trainer.synthetic.gaze import tells_nothing
from trainer.synthetic.recipe import Recipe


@dataclass(frozen=True)
class Batch:
    """Rows of a set, as tensors."""

    images: Tensor
    """uint8 (B, 3, S, S)."""
    labels: Tensor
    """(B,)."""
    angles_deg: Tensor
    """(B, 4)."""
    face_boxes_px: Tensor
    """(B, 4)."""


class Feed:
    """The shards of some folders, split by person."""

    def __init__(
        self,
        folders: Sequence[Path],
        labels: Sequence[str],
        development_share: float,
        limit: int = 0,
        limits: Recipe | None = None,
    ) -> None:
        self._folders = folders
        self._labels = labels
        self._share = development_share
        self._limit = limit
        """At most so many training pictures; 0 = all."""
        self._limits = limits
        """What a picture alone can tell; None = what its own recipe said."""
        self._known: set[Path] = set()
        self._train: list[PictureSet] = []
        self._development: list[PictureSet] = []
        if self.refresh() == 0:
            places = ", ".join(str(folder) for folder in folders)
            raise BadInputError(
                f"{places}: no shards to train on. Render some: `classroom synthesize stills --out FOLDER`."
            )

    def refresh(self) -> int:
        """Read the shards that are new; returns how many there were."""
        fresh = [path for folder in self._folders for path in list_shards(folder) if path not in self._known]
        for path in fresh:
            shard = self._within_limits(read_shard(path, self._labels))
            aside = np.array([is_development(person, self._share) for person in shard.persons])
            self._train.append(shard.take(np.flatnonzero(~aside)))
            self._development.append(shard.take(np.flatnonzero(aside)))
            self._known.add(path)
        return len(fresh)

    def _within_limits(self, pictures: PictureSet) -> PictureSet:
        """The set without the labels that the pictures cannot tell; their angles stay."""
        if self._limits is None:
            return pictures
        labels = pictures.labels.copy()
        for row, label in enumerate(labels):
            aside, down = pictures.angles_deg[row, 2:]
            if label >= 0 and tells_nothing(self._labels[label], float(aside), float(down), self._limits):
                labels[row] = NO_LABEL
        return replace(pictures, labels=labels)

    @property
    def size(self) -> int:
        """Training pictures at hand."""
        total = sum(len(part) for part in self._train)
        return min(total, self._limit) if self._limit else total

    @property
    def shards(self) -> int:
        """Shards read so far."""
        return len(self._known)

    def development(self, most: int) -> PictureSet:
        """Up to `most` pictures of people that are never trained on; the first ones, so that figures compare."""
        whole = join(self._development)
        return whole.take(range(min(most, len(whole))))

    def epoch(self, batch_size: int, rng: torch.Generator) -> Iterator[Batch]:
        """Every picture once, in random order; the last incomplete batch is left out if there are others."""
        starts = np.cumsum([0] + [len(part) for part in self._train])
        order = torch.randperm(self.size, generator=rng).numpy()
        stop = max(batch_size, len(order) - batch_size + 1)
        for begin in range(0, min(stop, len(order)), batch_size):
            yield self._collect(order[begin : begin + batch_size], starts)

    def _collect(self, rows: NDArray[np.int64], starts: NDArray[np.int64]) -> Batch:
        part = np.searchsorted(starts, rows, side="right") - 1
        places = [(self._train[p], int(row - starts[p])) for p, row in zip(part, rows, strict=True)]
        return Batch(
            torch.from_numpy(np.stack([one.images_rgb[i] for one, i in places])).permute(0, 3, 1, 2),
            torch.from_numpy(np.stack([one.labels[i] for one, i in places])),
            torch.from_numpy(np.stack([one.angles_deg[i] for one, i in places])),
            torch.from_numpy(np.stack([one.face_boxes_px[i] for one, i in places])),
        )
