"""What a picture says about tiles, given a background colour: how much each pixel differs from it, summed fast.

It holds numbers only: which rectangles are tiles is decided in layouts.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.schema import Image

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CLEAR_DIFFERENCE = 6
"""Levels (of 255) above which a pixel is surely not background, for all that H.264 does to a flat area."""
FULL_CONTRAST = 0.33
"""Step in mass (0 to 1) at a tile's side that counts as a whole one: about 9 levels above the background."""
BOLDNESS = 0.2
"""Share of a side's support that goes on growing with the step, so that a side is sought where it is sharpest."""


def _mass_table() -> Image:
    """Difference in levels -> mass in 0..255: grows like a logarithm, so that a faint tile still counts."""
    levels = np.arange(256)
    mass = np.log2(1 + np.maximum(0, levels - 2) / 4) / np.log2(1 + 253 / 4)
    table: Image = np.rint(255 * mass).astype(np.uint8)
    return table


MASS_TABLE = _mass_table()


@dataclass(frozen=True, slots=True)
class Evidence:
    """A picture seen against one background colour. Sums have one row and column more than the picture."""

    width: int
    height: int
    mass_sums: NDArray[np.int32]
    """Integral of each pixel's difference from the background, 0 to 255 on a logarithmic scale."""
    clear_sums: NDArray[np.int32]
    """Integral of the pixels that are surely not background (1 each)."""

    def mass(self, boxes: Ints) -> Floats:
        """Mean mass, 0 to 1, of boxes (..., 4) as x1, y1, x2, y2; 0 for what is empty or outside."""
        return _mean(self.mass_sums, self._clipped(boxes)) / 255

    def clear(self, boxes: Ints) -> Floats:
        """Number of pixels in boxes (..., 4) that are surely not background."""
        inside = self._clipped(boxes)
        return _total(self.clear_sums, inside)

    def rows(self, x1: int, x2: int) -> Floats:
        """Mean mass of each picture row between two columns, (height,)."""
        sums = self.mass_sums[:, x2].astype(np.int64) - self.mass_sums[:, x1]
        return np.diff(sums) / (255 * max(1, x2 - x1))

    def columns(self, bands: list[tuple[int, int]]) -> Floats:
        """Mean mass of each picture column over bands of rows (y1, y2), (width,)."""
        sums = np.zeros(self.width + 1, np.int64)
        for y1, y2 in bands:
            sums += self.mass_sums[y2].astype(np.int64) - self.mass_sums[y1]
        return np.diff(sums) / (255 * max(1, sum(y2 - y1 for y1, y2 in bands)))

    def _clipped(self, boxes: Ints) -> Ints:
        """Boxes cut at the picture's edge."""
        limits = np.array([self.width, self.height, self.width, self.height])
        return np.clip(boxes, 0, limits)


def gather_evidence(image_bgr: Image, background_bgr: NDArray[np.uint8]) -> Evidence:
    """Compare every pixel with the background: in brightness, and half as much in colour, which H.264 smears."""
    difference = cv2.absdiff(image_bgr, np.array([*background_bgr.tolist(), 0], np.float64))
    blue, green, red = cv2.split(difference)
    colour = cv2.max(cv2.max(blue, green), red)
    grey = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY)
    grey_background = float(cv2.cvtColor(background_bgr.reshape(1, 1, 3), cv2.COLOR_BGR2GRAY)[0, 0])
    bright = cv2.absdiff(grey, np.array([grey_background, 0, 0, 0], np.float64))
    level = cv2.max(bright, cv2.convertScaleAbs(colour, alpha=0.5))
    clear = cv2.threshold(level, CLEAR_DIFFERENCE, 1, cv2.THRESH_BINARY)[1]
    height, width = grey.shape
    return Evidence(width, height, cv2.integral(cv2.LUT(level, MASS_TABLE)), cv2.integral(clear))


def _total(sums: NDArray[np.int32], boxes: Ints) -> Floats:
    """Sum over boxes (..., 4) by their four corners."""
    x1, y1, x2, y2 = boxes[..., 0], boxes[..., 1], boxes[..., 2], boxes[..., 3]
    corners = sums[y2, x2].astype(np.int64) - sums[y1, x2] - sums[y2, x1] + sums[y1, x1]
    return corners.astype(np.float64)


def _mean(sums: NDArray[np.int32], boxes: Ints) -> Floats:
    """Mean over boxes (..., 4); 0 where a box is empty."""
    area = np.maximum(0, boxes[..., 2] - boxes[..., 0]) * np.maximum(0, boxes[..., 3] - boxes[..., 1])
    mean: Floats = np.where(area > 0, _total(sums, boxes) / np.maximum(1, area), 0.0)
    return mean


def side_support(evidence: Evidence, boxes: Ints, gaps: Ints) -> Floats:
    """How well each side of boxes (n, 4) parts something from background, (n, 4) as left, top, right, bottom, -1 to 1.

    Faint and blurred sides count; `gaps` (n,) are the distances to the neighbours, px.
    """
    inner, outer = evidence.mass(_side_strips(boxes, gaps))
    step = inner - outer
    support: Floats = (1 - BOLDNESS) * np.clip(step / FULL_CONTRAST, -1, 1) + BOLDNESS * step
    return support


def side_cover(evidence: Evidence, boxes: Ints, gaps: Ints) -> Floats:
    """Part of each side's length (n, 4) along which there is surely something inside and not outside, -1 to 1."""
    strips = _side_strips(boxes, gaps)
    areas = (strips[..., 2] - strips[..., 0]) * (strips[..., 3] - strips[..., 1])
    inner, outer = evidence.clear(strips) / np.maximum(1, areas)
    cover: Floats = inner - outer
    return cover


def _side_strips(boxes: Ints, gaps: Ints) -> Ints:
    """Thin boxes along the sides, (2, n, 4 sides, 4): inside past the blurred edge, and outside as the gap allows."""
    reach = np.clip(gaps - 1, 1, 3)
    widths = boxes[:, 2] - boxes[:, 0]
    corner = np.maximum(1, np.minimum(widths // 16, (boxes[:, 3] - boxes[:, 1]) // 8))
    depth = np.clip(widths // 48, 3, 8)
    strips = np.empty((2, len(boxes), 4, 4), np.int64)
    for side in range(4):
        axis, along = side % 2, 1 - side % 2
        edge, inward = boxes[:, side], 1 if side < 2 else -1
        strips[:, :, side, along] = boxes[:, along] + corner
        strips[:, :, side, along + 2] = boxes[:, along + 2] - corner
        inner, outer = (edge + inward, edge + (1 + depth) * inward), (edge - reach * inward, edge)
        strips[0, :, side, axis], strips[0, :, side, axis + 2] = np.sort(inner, axis=0)
        strips[1, :, side, axis], strips[1, :, side, axis + 2] = np.sort(outer, axis=0)
    return strips
