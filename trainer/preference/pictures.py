"""Image features by row: encoded once and kept while the vision tower is frozen, computed anew where it learns.

This file knows no answers and no loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from trainer.policy import Policy
from trainer.preference.keys import digest, pictures_sha256

Images = NDArray[np.uint8]
"""(N, S, S, 3), red-green-blue."""


class Pictures(Protocol):
    """What stands at the image markers of a prompt."""

    def take(self, rows: Sequence[int]) -> Tensor:
        """Features (len(rows), N, W) of some rows of the picture set."""
        ...


class EncodedPictures:
    """What the frozen part of the policy's eyes saw, one row a picture; a projector that learns is run at each call."""

    def __init__(self, policy: Policy, looked: Tensor, places: dict[int, int]) -> None:
        self._policy, self._looked, self._places = policy, looked, places

    def __len__(self) -> int:
        return len(self._looked)

    def take(self, rows: Sequence[int]) -> Tensor:
        """See `Pictures`."""
        looked = self._looked[torch.tensor([self._places[row] for row in rows])]
        return self._policy.image_features(looked.to(self._policy.device))


class LivePictures:
    """Encodes at each call, with a gradient: for a policy whose vision tower learns."""

    def __init__(self, policy: Policy, images_rgb: Images) -> None:
        self._policy, self._images_rgb = policy, images_rgb

    def take(self, rows: Sequence[int]) -> Tensor:
        """See `Pictures`; a picture that a batch asks about twice is encoded once."""
        once = list(dict.fromkeys(rows))
        features = self._policy.image_features(self._policy.prepare(self._images_rgb[once]))
        return features[torch.tensor([once.index(row) for row in rows], device=features.device)]


def open_pictures(
    policy: Policy, images_rgb: Images, rows: Sequence[int], *, folder: Path | None = None, key: str = ""
) -> EncodedPictures | LivePictures:
    """Look at the pictures in `rows`, each once; or make ready to look at each step, where the vision tower learns.

    Args:
        policy: whose eyes look.
        images_rgb: all pictures.
        rows: which of them are needed, in any order, repeated or not.
        folder: where the features are kept for the next run; None = nowhere.
        key: what tells these eyes from others; part of the file's name.
    """
    if not policy.sight.keepable:
        return LivePictures(policy, images_rgb)
    once = sorted(set(rows))
    places = {row: place for place, row in enumerate(once)}
    if folder is None:
        return EncodedPictures(policy, policy.encode(images_rgb[once]), places)
    path = folder / f"features-{digest(key, pictures_sha256(images_rgb[once]))[:32]}.safetensors"
    if path.is_file():
        return EncodedPictures(policy, load_file(path)["looked"], places)
    looked = policy.encode(images_rgb[once])
    folder.mkdir(parents=True, exist_ok=True)
    staging = path.with_suffix(".writing")
    save_file({"looked": looked.contiguous()}, staging)
    staging.replace(path)
    return EncodedPictures(policy, looked, places)
