"""Reads the pixels of a picture file, the same for monitor, trainer and export. Knows no folders and no students."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.schema import Image

_JPEG = b"\xff\xd8"


def read_picture(path: Path) -> Image | None:
    """A picture file as `decode_picture` gives it; None also where there is no such file."""
    try:
        return decode_picture(path.read_bytes())
    except OSError:
        return None


def decode_picture(data: bytes) -> Image | None:
    """The bytes of a picture file as 8 bit blue-green-red, upright by its EXIF; None where they cannot be read.

    Grey, 16 bit, CMYK and palettes are converted; what is transparent lies on white.
    """
    coded = np.frombuffer(data, np.uint8)
    try:
        if data and not data.startswith(_JPEG):  # which is never transparent
            image = cv2.imdecode(coded, cv2.IMREAD_UNCHANGED)
            if image is not None and image.ndim == 3 and image.shape[2] == 4:
                return _on_white(_eight_bit(image))
        image = cv2.imdecode(coded, cv2.IMREAD_COLOR) if data else None  # turns by EXIF, as the other does not
    except cv2.error:
        return None
    return np.ascontiguousarray(image) if image is not None else None


def _eight_bit(image: NDArray[Any]) -> Image:
    return (image >> 8).astype(np.uint8) if image.dtype == np.uint16 else image


def _on_white(image: Image) -> Image:
    alpha = image[:, :, 3:].astype(np.float32) / 255
    blended = image[:, :, :3] * alpha + 255 * (1 - alpha)
    return np.ascontiguousarray(blended.round().astype(np.uint8))
