"""Cuts the one student out of a whole picture: the biggest head, as the monitor cuts it out of a tile.

For corpora and stills, which have a student a picture; lectures go through the finder of tiles and tracks.
"""

from __future__ import annotations

import numpy as np

from monitor.schema import Box, Image
from monitor.students.crops import cut_crop, cut_student
from monitor.students.faces import TILE_SIDE_PX, FaceFinder


class HeadCut:
    """Opens the head finder once; call it with pictures, red-green-blue."""

    def __init__(self, threads: int = 1) -> None:
        self._finder = FaceFinder(threads)

    def __call__(self, picture_rgb: Image) -> Image | None:
        """The square crop around the biggest head, red-green-blue; None where nobody is found."""
        head = self._biggest(picture_rgb)
        if head is None:
            return None
        within = Box(0, 0, picture_rgb.shape[1], picture_rgb.shape[0])
        return cut_crop(picture_rgb, head, within)

    def or_whole(self, picture_rgb: Image) -> Image:
        """The crop of a picture that is of one student; see `monitor.students.crops.cut_student`."""
        return cut_student(picture_rgb, self._biggest(picture_rgb))

    def _biggest(self, picture_rgb: Image) -> Box | None:
        bgr = np.ascontiguousarray(picture_rgb[:, :, ::-1])
        (found,) = self._finder.find([bgr], TILE_SIDE_PX)
        return max((detection.box for detection in found), key=lambda box: box.area, default=None)
