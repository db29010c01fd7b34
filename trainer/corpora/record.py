"""What every corpus hands to the trainer: pictures with labels, people and, where known, angles.

This file knows no file format and no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

NO_LABEL = -1
"""The label of a picture that no rubric word fits: its truth lies in the ambiguous margin."""


@dataclass(frozen=True)
class PictureSet:
    """Square pictures and what is known of them, row by row."""

    images_rgb: NDArray[np.uint8]
    """(N, S, S, 3)."""
    labels: NDArray[np.int64]
    """(N,): index into the rubric's labels, or NO_LABEL."""
    persons: tuple[str, ...]
    """Who is in it: sets are split and intervals drawn by person, never by picture."""
    angles_deg: NDArray[np.float32]
    """(N, 4): head yaw, head pitch, gaze yaw, gaze pitch, from the camera axis; + is right and down. NaN = unknown."""
    face_boxes_px: NDArray[np.float32]
    """(N, 4): x1, y1, x2, y2 in the picture. NaN = unknown."""
    groups: tuple[Mapping[str, Any], ...] = field(default=())
    """(N,) or empty: skin tone, glasses and the like, for figures by group."""

    def __post_init__(self) -> None:
        n = len(self.images_rgb)
        found = (len(self.labels), len(self.persons), len(self.angles_deg), len(self.face_boxes_px))
        if any(length != n for length in found) or (self.groups and len(self.groups) != n):
            raise ValueError(f"every column needs {n} rows, found {found} and {len(self.groups)} groups")

    def __len__(self) -> int:
        return len(self.images_rgb)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> PictureSet:
        """Some rows, in the order given."""
        index = np.asarray(rows, dtype=np.int64)
        return PictureSet(
            self.images_rgb[index],
            self.labels[index],
            tuple(self.persons[i] for i in index),
            self.angles_deg[index],
            self.face_boxes_px[index],
            tuple(self.groups[i] for i in index) if self.groups else (),
        )


def join(sets: Sequence[PictureSet]) -> PictureSet:
    """Several sets as one; groups are kept only where all have them.

    Raises:
        ValueError: no set, or pictures of different sizes.
    """
    if not sets:
        raise ValueError("nothing to join: expected at least one set of pictures")
    keep_groups = all(one.groups for one in sets)
    return PictureSet(
        np.concatenate([one.images_rgb for one in sets]),
        np.concatenate([one.labels for one in sets]),
        tuple(person for one in sets for person in one.persons),
        np.concatenate([one.angles_deg for one in sets]),
        np.concatenate([one.face_boxes_px for one in sets]),
        tuple(group for one in sets for group in one.groups) if keep_groups else (),
    )
