"""Runs a bundle's two graphs, with or without an adapter: scores, and what they cost in time.

It does not know how the graphs were made.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from export.graph_files import OUTPUT, PIXELS, TOKENS, GraphFiles
from monitor.vlm.pieces import ANSWERED_AT_ONCE, Pieces, seen_at_once

Tensors = Mapping[str, NDArray[np.generic]]
"""Of an adapter: names of graph inputs, and what to put there."""
_TIMED_BATCH, _TIMED_PX = 25, 25 * 256 * 256
"""Crops that are timed at once: of large ones fewer, for they are seen one by one anyhow."""


class GraphRun:
    """Both graphs, ready to score, shared out among cores as the monitor does it."""

    def __init__(self, files: GraphFiles, threads: int = 1, adapter: Tensors | None = None) -> None:
        self._vision, self._label = (_open(str(path)) for path in (files.vision, files.label))
        self._pieces = Pieces(threads)
        tensors = adapter or {}
        self._extra = [
            {one.name: tensors[one.name] for one in session.get_overridable_initializers() if one.name in tensors}
            for session in (self._vision, self._label)
        ]

    def see(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Image tokens (N, tokens, D) of crops (N, side, side, 3)."""
        extra = self._extra[0]
        at_once = seen_at_once(pixels.shape[1])
        return self._pieces.run(lambda part: self._vision.run([TOKENS], {PIXELS: part, **extra})[0], pixels, at_once)

    def answer(self, tokens: NDArray[np.float32]) -> NDArray[np.float32]:
        """Label log-probabilities (N, labels) of image tokens."""
        extra = self._extra[1]
        return self._pieces.run(
            lambda part: self._label.run([OUTPUT], {TOKENS: part, **extra})[0], tokens, ANSWERED_AT_ONCE
        )

    def score(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Label log-probabilities (N, labels) of crops (N, side, side, 3)."""
        return self.answer(self.see(pixels))


def score(files: GraphFiles, pixels: NDArray[np.uint8], adapter: Tensors | None = None) -> NDArray[np.float32]:
    """Label log-probabilities (N, labels) of crops (N, side, side, 3)."""
    return GraphRun(files, adapter=adapter).score(pixels)


def timed_batch(side_px: int) -> int:
    """How many crops of a size are timed at once."""
    return max(2, min(_TIMED_BATCH, _TIMED_PX // side_px**2))


def times_per_crop_ms(graphs: Sequence[GraphFiles], pixels: NDArray[np.uint8], repeats: int = 9) -> list[float]:
    """Processor milliseconds a crop on one core, of each, at a batch of `timed_batch`.

    They run in turn and the median counts, so that others on the machine disturb all alike and little.
    """
    runs = [GraphRun(files) for files in graphs]
    size = timed_batch(pixels.shape[1])
    batch = np.resize(pixels, (size, *pixels.shape[1:]))
    for run in runs:
        run.score(batch)
    times_s = np.array([[_timed(run, batch) for run in runs] for _ in range(repeats)])
    return [round(float(median_s) / size * 1e3, 3) for median_s in np.median(times_s, axis=0)]


def _open(path: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _timed(run: GraphRun, batch: NDArray[np.uint8]) -> float:
    started = time.process_time()
    run.score(batch)
    return time.process_time() - started
