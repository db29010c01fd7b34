"""Reads the name on each tile of a gallery. It does not know whose name it is, nor remember any.

Zoom, Meet and Teams write it at the bottom left; with the camera off also large in the middle. The strips of all tiles
are stacked so that one detection pass finds every label, then only the labels are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from monitor.schema import Box, Image
from monitor.students.naming import clean_name
from monitor.students.textlines import TextDetector, TextReader

_STRIP = 0.26
"""Share of a tile's height, from below, in which its label stands."""
_EASY_TILE_PX = 160
"""Tiles lower than this are enlarged before text is looked for."""
_MAX_SCALE = 3.0
_LABEL_STARTS = 0.35
"""A label starts in this share of a tile's width, from the left."""
_MOSAIC_WIDTH_PX = 1000
_GAP_PX = 8
_MIN_SCORE = 0.5


@dataclass(frozen=True, slots=True)
class NameReading:
    """One reading of one tile's name."""

    text: str
    """As its owner wrote it, as far as it could be read; pronouns stay, roles such as (Host) do not."""
    score: float
    """Mean probability of its letters, 0 to 1."""


@cache
def shared_reader() -> NameReader:
    """The reader of this process: its networks take 65 MB, however many galleries there are."""
    return NameReader()


class NameReader:
    """Reads labels, many tiles at once, on one thread unless told otherwise. May be called from several threads."""

    def __init__(self, threads: int = 1) -> None:
        self._detector = TextDetector(threads)
        self._reader = TextReader(threads)

    def read(self, tile_images: Sequence[Image], camera_off: Sequence[bool] = ()) -> list[NameReading | None]:
        """The name on each tile, None where none can be read.

        Args:
            tile_images: blue-green-red tiles.
            camera_off: which tiles show no camera picture, in the same order: where the label is empty there, the name
                in the middle is read. Left out: none of them.
        """
        readings = self._read_regions([_strip(image) for image in tile_images], _best_label)
        middles = [i for i, off in enumerate(camera_off) if off and readings[i] is None]
        found = self._read_regions([_enlarged(tile_images[i]) for i in middles], _best_middle)
        for index, reading in zip(middles, found, strict=True):
            readings[index] = reading
        return readings

    def _read_regions(
        self, regions: Sequence[Image], choose: Callable[[list[Box], Image], Box | None]
    ) -> list[NameReading | None]:
        readings: list[NameReading | None] = [None] * len(regions)
        cuts: dict[int, Image] = {}
        for indices in _groups(regions):
            mosaic, places = _mosaic([regions[i] for i in indices])
            words = self._detector.find(mosaic)
            for index, place in zip(indices, places, strict=True):
                line = choose(_lines([_moved(word, place) for word in words if _inside(word, place)]), regions[index])
                if line is not None:
                    cuts[index] = line.cut(regions[index])
        for index, read in zip(cuts, self._reader.read(list(cuts.values())), strict=True):
            text = clean_name(read.text)
            if text is not None and read.score >= _MIN_SCORE:
                readings[index] = NameReading(text, read.score)
        return readings


def _strip(tile: Image) -> Image:
    height = tile.shape[0]
    return _enlarged(tile[height - max(1, round(height * _STRIP)) :], tile_height_px=height)


def _enlarged(region: Image, tile_height_px: int | None = None) -> Image:
    """The region at a size where its text can be found, without colours: red and green icons turn dark."""
    scale = min(_MAX_SCALE, max(1.0, _EASY_TILE_PX / (tile_height_px or region.shape[0])))
    palest = np.repeat(region.min(axis=2, keepdims=True), 3, axis=2)
    if scale == 1.0:
        return palest
    return np.asarray(cv2.resize(palest, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC), np.uint8)


def _groups(regions: Sequence[Image]) -> list[list[int]]:
    """Indices of regions of the same size, which share a mosaic."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, region in enumerate(regions):
        groups.setdefault(tuple(-(-side // 16) for side in region.shape[:2]), []).append(index)
    return list(groups.values())


def _mosaic(regions: Sequence[Image]) -> tuple[Image, list[Box]]:
    """The regions side by side on black, and where each lies."""
    height = max(region.shape[0] for region in regions) + _GAP_PX
    width = max(region.shape[1] for region in regions) + _GAP_PX
    columns = min(len(regions), max(1, _MOSAIC_WIDTH_PX // width))
    mosaic = np.zeros((-(-len(regions) // columns) * height, columns * width, 3), np.uint8)
    places = []
    for index, region in enumerate(regions):
        y, x = index // columns * height, index % columns * width
        place = Box(x, y, x + region.shape[1], y + region.shape[0])
        place.cut(mosaic)[:] = region
        places.append(place)
    return mosaic, places


def _inside(word: Box, place: Box) -> bool:
    x, y = word.center
    return place.x1 <= x < place.x2 and place.y1 <= y < place.y2


def _moved(word: Box, place: Box) -> Box:
    """The word in pixels of its own region."""
    return Box(
        max(word.x1, place.x1) - place.x1,
        max(word.y1, place.y1) - place.y1,
        min(word.x2, place.x2) - place.x1,
        min(word.y2, place.y2) - place.y1,
    )


def _lines(words: list[Box]) -> list[Box]:
    """Words that stand on one line, joined."""
    lines: list[Box] = []
    for word in sorted(words, key=lambda box: box.as_tuple()):
        for index, line in enumerate(lines):
            if _continues(line, word):
                lines[index] = Box(line.x1, min(line.y1, word.y1), max(line.x2, word.x2), max(line.y2, word.y2))
                break
        else:
            lines.append(word)
    return lines


def _continues(line: Box, word: Box) -> bool:
    """Whether a word goes on a line: as high, at the same height, after a gap no wider than a space."""
    height = min(line.height, word.height)
    level = abs(line.center[1] - word.center[1]) < 0.3 * height
    return level and max(line.height, word.height) < 1.7 * height and word.x1 - line.x2 < 0.8 * height


def _best_label(lines: list[Box], strip: Image) -> Box | None:
    """The line nearest to the bottom left corner; icons, narrower than high, are no lines."""
    height, width = strip.shape[:2]
    labels = [line for line in lines if line.x1 <= _LABEL_STARTS * width and line.width > 1.3 * line.height]
    return min(labels, key=lambda line: height - line.y2 + 0.5 * line.x1, default=None)


def _best_middle(lines: list[Box], tile: Image) -> Box | None:
    """The largest line across the middle."""
    width = tile.shape[1]
    across = [line for line in lines if line.x1 < width / 2 < line.x2 and line.width > 1.3 * line.height]
    return max(across, key=lambda line: line.area, default=None)
