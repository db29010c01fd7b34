"""Reads lines of text in small pictures with the two networks that the package `rapidocr` carries (PP-OCR, Apache-2.0).

The networks run directly on onnxruntime: through the package, which enlarges every picture to 736 pixels, the labels of
one gallery take 1 to 2 s; here, 0.1 s to find and 0.2 s to read them. It does not know what a name is.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from monitor.errors import BundleError
from monitor.schema import Box, Image

LINE_HEIGHT_PX = 48
"""Height of a line at the reading network's input."""
_MAX_LINE_WIDTH_PX = 960
_LINES_A_CALL = 6
_STRIDE = 32
_TEXT_PROBABILITY = 0.3
_MIN_HEIGHT_PX = 4
# The detector marks the core of a line; its box grows by area * this / perimeter on each side.
_GROWTH = 1.6


@dataclass(frozen=True, slots=True)
class Line:
    """A line as read."""

    text: str
    score: float
    """Mean probability of its letters, 0 to 1; 0 for an empty line."""


class TextDetector:
    """Finds where text stands."""

    def __init__(self, threads: int = 1) -> None:
        self._session = _session("_det_", threads)
        self._input = self._session.get_inputs()[0].name

    def find(self, image: Image) -> list[Box]:
        """Boxes around words or lines, any order, in pixels of the image."""
        height, width = image.shape[:2]
        padded = cv2.copyMakeBorder(
            image, 0, -height % _STRIDE, 0, -width % _STRIDE, borderType=cv2.BORDER_CONSTANT, value=(0, 0, 0)
        )
        core = self._session.run(None, {self._input: _normalized(padded)[None]})[0][0, 0] > _TEXT_PROBABILITY
        _, _, stats, _ = cv2.connectedComponentsWithStats(core.astype(np.uint8))
        boxes = []
        for x, y, w, h, _ in stats[1:].tolist():
            grow = round(w * h * _GROWTH / (2 * (w + h)))
            x1, y1 = max(0, x - grow), max(0, y - grow)
            x2, y2 = min(width, x + w + grow), min(height, y + h + grow)
            if h >= _MIN_HEIGHT_PX and x1 < x2 and y1 < y2:
                boxes.append(Box(x1, y1, x2, y2))
        return boxes


class TextReader:
    """Reads lines that were cut out."""

    def __init__(self, threads: int = 1) -> None:
        self._session = _session("_rec_", threads)
        self._input = self._session.get_inputs()[0].name
        letters = self._session.get_modelmeta().custom_metadata_map["character"].splitlines()
        self._letters = ["", *letters, " "]

    def read(self, lines: Sequence[Image]) -> list[Line]:
        """The text of each cut-out line. Lines of like width share a call."""
        read = [Line("", 0.0)] * len(lines)
        widths = [_line_width(line) for line in lines]
        order = sorted(range(len(lines)), key=lambda i: widths[i])
        for start in range(0, len(order), _LINES_A_CALL):
            chosen = order[start : start + _LINES_A_CALL]
            batch = np.zeros((len(chosen), 3, LINE_HEIGHT_PX, widths[chosen[-1]]), np.float32)
            for row, index in enumerate(chosen):
                size = (widths[index], LINE_HEIGHT_PX)
                resized = cv2.resize(lines[index], size, interpolation=cv2.INTER_CUBIC)
                batch[row, :, :, : widths[index]] = _normalized(resized)
            probabilities = self._session.run(None, {self._input: batch})[0]
            for row, index in enumerate(chosen):
                read[index] = self._decode(probabilities[row])
        return read

    def _decode(self, probabilities: NDArray[np.float32]) -> Line:
        """Best path through T x letters; repeats and blanks fall out."""
        best = probabilities.argmax(axis=1)
        new = np.ones(len(best), bool)
        new[1:] = best[1:] != best[:-1]
        kept = np.nonzero(new & (best != 0))[0]
        if not len(kept):
            return Line("", 0.0)
        text = "".join(self._letters[i] for i in best[kept])
        return Line(text, float(probabilities[kept, best[kept]].mean()))


def _line_width(line: Image) -> int:
    """Width at the network's input, a multiple of 8 so that few shapes occur."""
    width: int = round(line.shape[1] * LINE_HEIGHT_PX / line.shape[0])
    return min(_MAX_LINE_WIDTH_PX, max(16, -(-width // 8) * 8))


def _normalized(image: Image) -> NDArray[np.float32]:
    """3 x H x W, -1 to 1."""
    return np.ascontiguousarray(image.transpose(2, 0, 1), np.float32) / np.float32(127.5) - np.float32(1)


def _session(part: str, threads: int) -> onnxruntime.InferenceSession:
    path = _packaged_file(part)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False  # mosaics have all sizes: an arena keeps 100 MB for the largest, for ever
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _packaged_file(part: str) -> Path:
    spec = importlib.util.find_spec("rapidocr")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for folder in folders:
        found = sorted((Path(folder) / "models").glob(f"*{part}*.onnx"))
        if found:
            return found[-1]
    raise BundleError(
        f"name reader: expected a model *{part}*.onnx in the package rapidocr, found "
        f"{'no such file there' if folders else 'no such package'}. Install it again: "
        "pip install --force-reinstall rapidocr"
    )
