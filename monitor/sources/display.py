"""From a decoded picture to the picture a person would see: 8 bit blue-green-red, upright, square pixels.

This file knows no file and no time.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, cast

import numpy as np
from av.video.frame import VideoFrame

from monitor.schema import Image

_UPRIGHT = (1, 0, 0, 1)


class Display:
    """Shows the frames of one stream, as its container says they are to be shown."""

    def __init__(self, pixel_aspect: Fraction | None) -> None:
        """pixel_aspect: width of a pixel over its height; None or 0 where it is not known."""
        self._pixel_aspect = pixel_aspect or Fraction(1)
        self._rotation: int | None = None
        self._axes = _UPRIGHT

    def bgr(self, frame: VideoFrame) -> Image:
        """H x W x 3, as shown: any pixel format to bgr24, pixel aspect and display matrix applied."""
        if frame.rotation != self._rotation:
            # Read once: asking a frame for its side data ties it in a knot that only the garbage collector undoes.
            self._rotation, self._axes = frame.rotation, _axes(frame)
        width = max(1, round(frame.width * self._pixel_aspect))
        image = frame.to_ndarray(format="bgr24", width=width, height=frame.height, threads=1)
        return _turned(cast(Image, image), self._axes)


def _axes(frame: VideoFrame) -> tuple[int, int, int, int]:
    """Signs (a, b, c, d) of the display matrix: x' = a x + c y, y' = b x + d y; quarter turns and mirrors only."""
    data = cast(Any, frame.side_data).get("DISPLAYMATRIX")
    if data is None:
        return _UPRIGHT
    matrix = np.frombuffer(bytes(data), dtype=np.int32, count=9)
    a, b, c, d = (int(np.sign(round(int(matrix[i]) / 65536))) for i in (0, 1, 3, 4))
    return (a, b, c, d) if abs(a * d) + abs(b * c) == 1 else _UPRIGHT


def _turned(image: Image, axes: tuple[int, int, int, int]) -> Image:
    a, b, c, d = axes
    if axes == _UPRIGHT:
        return image
    if a == 0:
        image = image.transpose(1, 0, 2)
        a, d = c, b
    return np.ascontiguousarray(image[::d, ::a])
