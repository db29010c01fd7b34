"""Cuts the one student out of a whole picture: the biggest head, as the monitor cuts it out of a tile.

For corpora and stills, which have a student a picture; lectures go through the finder of tiles and tracks.
"""

from __future__ import annotations

import numpy as np

from monitor.schema import Box, Image
from monitor.students.crops import cut_crop
from monitor.students.faces import TILE_SIDE_PX, FaceFinder


class HeadCut:
    """Opens the head finder once; call it with pictures, red-green-blue."""

    def __init__(self, threads: int = 1) -> None:
        self._finder = FaceFinder(threads)

    def __call__(self, picture_rgb: Image) -> Image | None:
        """The square crop around the biggest head, red-green-blue; None where nobody is found."""
        bgr = np.ascontiguousarray(picture_rgb[:, :, ::-1])
        (found,) = self._finder.find([bgr], TILE_SIDE_PX)
        if not found:
            return None
        head = max((detection.box for detection in found), key=lambda box: box.area)
        within = Box(0, 0, bgr.shape[1], bgr.shape[0])
        return np.ascontiguousarray(cut_crop(bgr, head, within)[:, :, ::-1])

    def or_whole(self, picture_rgb: Image) -> Image:
        """The same; where nobody is found, the picture as it is: somebody said that a student is in it."""
        cut = self(picture_rgb)
        return picture_rgb if cut is None else cut
