"""Cuts rendered students around their faces, which the renderer knows, as the monitor cuts pictures of one student.

For measuring on the way; training draws its own crops. This file knows no model.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from monitor.schema import Box, Image
from monitor.students.crops import cut_student
from monitor.vlm.pixels import fit_square
from trainer.corpora.record import PictureSet


def cut_around_faces(pictures: PictureSet) -> PictureSet:
    """The same pictures as a lecture would show them; boxes no longer hold and become NaN.

    Pictures whose face is unknown, or outside of them, stay as they are.
    """
    rows = zip(pictures.images_rgb, pictures.face_boxes_px, strict=True)
    return replace(
        pictures,
        images_rgb=np.stack([_around(image, box) for image, box in rows]),
        face_boxes_px=np.full_like(pictures.face_boxes_px, np.nan),
    )


def _around(image_rgb: Image, box_px: NDArray[np.float32]) -> Image:
    side = image_rgb.shape[0]
    if np.isnan(box_px).any():
        return image_rgb
    x1, y1, x2, y2 = (int(value) for value in np.clip(np.round(box_px), 0, side))
    if x1 >= x2 or y1 >= y2:
        return image_rgb
    return fit_square(cut_student(image_rgb, Box(x1, y1, x2, y2)), side)
