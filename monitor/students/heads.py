"""A head finder of our own, trained on rendered students alone: the network, and what it finds in pictures.

Not the default: CenterFace finds more (docs/experiments.md, "A head finder of our own"). It knows no tiles.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from monitor.errors import BundleError
from monitor.schema import Box, Detection, Image

TILE_SIDE_PX = 160
"""Longer side at the network's input for a picture of one student."""
ROOM_SIDE_PX = 960
"""Longer side at the network's input for a picture with many small faces."""
_SMALL_PX = 400
_OVERLAP = 0.3
_PIXELS_A_CALL = 4 * 160 * 96
_REPAIR = "Export it again: export.heads.export_heads"


class HeadNetwork:
    """The opened network. `threshold` is the chance below which a peak is no head."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        """Open the network in `folder`, after checking its bytes.

        Raises:
            BundleError: the network or its manifest is missing, damaged or changed.
        """
        path = folder / "heads.onnx"
        try:
            manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            expected = manifest["files"][path.name]["sha256"]
            self.threshold = float(manifest["threshold"])
            self.cell_px = int(manifest["cell_px"])
            self.multiple_px = int(manifest["multiple_px"])
            data = path.read_bytes()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"{folder}: expected the head finder's network and manifest ({error}). {_REPAIR}"
            ) from error
        found = hashlib.sha256(data).hexdigest()
        if found != expected:
            raise BundleError(f"{path}: expected sha256 {expected}, found {found}. {_REPAIR}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    def run(self, pictures_bgr: Image) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Peaks (N, h, w) and boxes (N, 4, h, w): centre x, y, width, height in px of the input.

        `pictures_bgr` is N x H x W x 3, uint8; H and W are multiples of `multiple_px`.
        """
        peaks, boxes = self._session.run(["peaks", "boxes"], {"pictures": pictures_bgr})
        return peaks, boxes


class HeadFinder:
    """Face boxes of many pictures at once, on one thread unless told otherwise."""

    def __init__(self, network: HeadNetwork) -> None:
        self._network = network

    def find(self, images: Sequence[Image], longer_side_px: int | None = None) -> list[list[Detection]]:
        """Faces of each picture, best score first, boxes in pixels of that picture.

        Args:
            images: blue-green-red pictures of any sizes.
            longer_side_px: size at which the network looks; faces much under 10 px there are missed. None looks at
                small pictures as tiles, at others as rooms.
        """
        found: list[list[Detection]] = [[] for _ in images]
        for (width, height), indices in self._by_input_size(images, longer_side_px).items():
            at_once = max(1, _PIXELS_A_CALL // (width * height))
            for start in range(0, len(indices), at_once):
                chosen = indices[start : start + at_once]
                peaks, boxes = self._network.run(np.stack([_resized(images[i], width, height) for i in chosen]))
                for row, index in enumerate(chosen):
                    found[index] = _pick(
                        peaks[row], boxes[row], (width, height), images[index], self._network.threshold
                    )
        return found

    def _by_input_size(self, images: Sequence[Image], longer_side_px: int | None) -> dict[tuple[int, int], list[int]]:
        """Indices of the pictures that share an input size (width, height)."""
        groups: dict[tuple[int, int], list[int]] = {}
        step = self._network.multiple_px
        for index, image in enumerate(images):
            height, width = image.shape[:2]
            if min(height, width) < 8:
                continue
            small = max(height, width) <= _SMALL_PX
            scale = (longer_side_px or (TILE_SIDE_PX if small else ROOM_SIDE_PX)) / max(height, width)
            size = (max(2, round(width * scale / step)) * step, max(2, round(height * scale / step)) * step)
            groups.setdefault(size, []).append(index)
        return groups


def _resized(image: Image, width: int, height: int) -> Image:
    shrinks = image.shape[0] * image.shape[1] > width * height
    return np.asarray(
        cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR), np.uint8
    )


def _pick(
    peaks: NDArray[np.float32],
    boxes: NDArray[np.float32],
    size: tuple[int, int],
    image: Image,
    threshold: float,
) -> list[Detection]:
    """Boxes of one picture from its maps; overlapping ones give way to the best."""
    rows, columns = np.nonzero(peaks > threshold)
    if not len(rows):
        return []
    scores = peaks[rows, columns]
    across, down = image.shape[1] / size[0], image.shape[0] / size[1]
    x, y, width, height = boxes[:, rows, columns] * np.array([[across], [down], [across], [down]], np.float32)
    kept: list[Detection] = []
    for i in np.argsort(-scores, kind="stable"):
        left, right = max(0, round(float(x[i] - width[i] / 2))), min(image.shape[1], round(float(x[i] + width[i] / 2)))
        top, bottom = (
            max(0, round(float(y[i] - height[i] / 2))),
            min(image.shape[0], round(float(y[i] + height[i] / 2))),
        )
        if right - left < 2 or bottom - top < 2:
            continue
        box = Box(left, top, right, bottom)
        if all(box.iou(other.box) < _OVERLAP for other in kept):
            kept.append(Detection("face", box, float(scores[i])))
    return kept
