"""Turns any cut-out into the square of pixels that a model reads: the one definition, for training and inference alike.

It knows neither models nor colours: channels come out in the order in which they came in.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.errors import BadInputError
from monitor.schema import Image


def fit_square(pixels: NDArray[Any], side_px: int) -> Image:
    """Scale a cut-out to side x side x 3, uint8.

    Down by area, up by bilinear interpolation. What is not square keeps its centred square. Grey becomes three equal
    channels, alpha is dropped, 16 bits become 8.

    Raises:
        BadInputError: no pixels, a floating-point image, or a shape that is no picture.
    """
    square = _centred_square(_three_channels(_eight_bits(pixels)))
    side = square.shape[0]
    if side == side_px:
        return np.ascontiguousarray(square)
    how = cv2.INTER_AREA if side > side_px else cv2.INTER_LINEAR
    scaled: Image = cv2.resize(square, (side_px, side_px), interpolation=how)
    return scaled


def _eight_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    if pixels.size == 0:
        raise BadInputError(f"a crop without pixels (shape {pixels.shape}) cannot be judged")
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        return (pixels >> 8).astype(np.uint8)
    raise BadInputError(f"a crop needs 8 or 16 bits per channel (uint8, uint16), found {pixels.dtype}")


def _three_channels(pixels: NDArray[np.uint8]) -> Image:
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4):
        raise BadInputError(f"a crop needs the shape H x W or H x W x 1..4, found {pixels.shape}")
    if pixels.shape[2] < 3:
        return np.repeat(pixels[:, :, :1], 3, axis=2)
    return pixels[:, :, :3]


def _centred_square(pixels: Image) -> Image:
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])
