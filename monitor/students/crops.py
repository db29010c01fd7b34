"""Cuts the picture that the model sees: one square around one head.

The one definition of a crop, for lectures and for rendered students alike. It does not know how the head was found.
"""

from __future__ import annotations

import cv2
import numpy as np

from monitor.schema import Box, Image

CROP_SCALE = 1.6
"""Side of the crop in larger sides of the face box: hair, chin and a bit of shoulder are inside. Rendered people are
read better from 1.2, real ones from this (docs/experiments.md)."""


def cut_crop(image_bgr: Image, face: Box | None, within: Box) -> Image:
    """The square crop of a student, a contiguous copy of side x side x 3.

    Args:
        image_bgr: the frame.
        face: the head, in pixels of the frame; None gives the centred square of `within`.
        within: the tile, or the whole frame where there are no tiles. Where the crop reaches past it (or past the
            frame), the edge pixels are repeated, so that a neighbour's picture is never seen.

    Raises:
        ValueError: `within` lies outside of the frame, or the face outside of `within`.
    """
    x1, y1 = within.x1, within.y1
    x2, y2 = min(within.x2, image_bgr.shape[1]), min(within.y2, image_bgr.shape[0])
    if x1 >= x2 or y1 >= y2:
        raise ValueError(f"expected a box inside the {image_bgr.shape[1]} x {image_bgr.shape[0]} frame, found {within}")
    if face is None:
        side = min(x2 - x1, y2 - y1)
        left, top = x1 + (x2 - x1 - side) // 2, y1 + (y2 - y1 - side) // 2
    else:
        side = max(1, round(CROP_SCALE * max(face.width, face.height)))
        left, top = round(face.center[0] - side / 2), round(face.center[1] - side / 2)
    inside = image_bgr[max(top, y1) : min(top + side, y2), max(left, x1) : min(left + side, x2)]
    if inside.size == 0:
        raise ValueError(f"expected a face inside of {within}, found {face}")
    margins = (max(0, y1 - top), max(0, top + side - y2), max(0, x1 - left), max(0, left + side - x2))
    if not any(margins):
        return np.ascontiguousarray(inside)
    return np.asarray(cv2.copyMakeBorder(inside, *margins, borderType=cv2.BORDER_REPLICATE), np.uint8)


def cut_student(image: Image, face: Box | None) -> Image:
    """The crop of the one student that a picture is of.

    Args:
        image: channels in any order.
        face: the head, in pixels of the picture; None where none was found.

    Returns:
        the crop; the picture itself where no head is known, or where it shows no more than a crop would.
    """
    height, width = image.shape[:2]
    if face is None or CROP_SCALE * max(face.width, face.height) >= min(height, width):
        return image
    return cut_crop(image, face, Box(0, 0, width, height))
