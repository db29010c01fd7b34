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

Tensors = Mapping[str, NDArray[np.generic]]
"""Of an adapter: names of graph inputs, and what to put there."""
_BATCH = 32
_TIMED_BATCH = 25


class GraphRun:
    """Both graphs, ready to score."""

    def __init__(self, files: GraphFiles, threads: int = 1, adapter: Tensors | None = None) -> None:
        self._vision, self._label = (_open(str(path), threads) for path in (files.vision, files.label))
        tensors = adapter or {}
        self._extra = [
            {one.name: tensors[one.name] for one in session.get_overridable_initializers() if one.name in tensors}
            for session in (self._vision, self._label)
        ]

    def see(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Image tokens (N, tokens, D) of crops (N, side, side, 3)."""
        return _in_batches(self._vision, TOKENS, {PIXELS: pixels}, self._extra[0])

    def answer(self, tokens: NDArray[np.float32]) -> NDArray[np.float32]:
        """Label log-probabilities (N, labels) of image tokens."""
        return _in_batches(self._label, OUTPUT, {TOKENS: tokens}, self._extra[1])

    def score(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Label log-probabilities (N, labels) of crops (N, side, side, 3)."""
        return self.answer(self.see(pixels))


def score(files: GraphFiles, pixels: NDArray[np.uint8], adapter: Tensors | None = None) -> NDArray[np.float32]:
    """Label log-probabilities (N, labels) of crops (N, side, side, 3)."""
    return GraphRun(files, adapter=adapter).score(pixels)


def times_per_crop_ms(graphs: Sequence[GraphFiles], pixels: NDArray[np.uint8], repeats: int = 9) -> list[float]:
    """Processor milliseconds a crop on one core at batch 25, of each.

    They run in turn and the median counts, so that others on the machine disturb all alike and little.
    """
    runs = [GraphRun(files) for files in graphs]
    batch = np.resize(pixels, (_TIMED_BATCH, *pixels.shape[1:]))
    for run in runs:
        run.score(batch)
    times_s = np.array([[_timed(run, batch) for run in runs] for _ in range(repeats)])
    return [round(float(median_s) / _TIMED_BATCH * 1e3, 3) for median_s in np.median(times_s, axis=0)]


def _open(path: str, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _in_batches(
    session: onnxruntime.InferenceSession, output: str, feed: dict[str, NDArray[np.generic]], extra: Tensors
) -> NDArray[np.float32]:
    ((name, whole),) = feed.items()
    parts = [
        session.run([output], {name: whole[start : start + _BATCH], **extra})[0]
        for start in range(0, len(whole), _BATCH)
    ]
    joined: NDArray[np.float32] = np.concatenate(parts)
    return joined


def _timed(run: GraphRun, batch: NDArray[np.uint8]) -> float:
    started = time.process_time()
    run.score(batch)
    return time.process_time() - started
