"""The default classifier: a bundle's graphs, run by onnxruntime on the processor. No torch anywhere near.

Seeing and answering are two steps: models that differ by a text adapter alone share what was seen.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.adapter import AdapterFile
from monitor.bundle import Bundle
from monitor.errors import BundleError
from monitor.rubric import Rubric
from monitor.schema import Crop, Image, Prediction
from monitor.vlm.classifier import prediction_of, square_of
from monitor.vlm.graphs import Worn, open_graphs, wear

_LARGEST_BATCH = 32  # memory grows with the batch; speed no longer does


@dataclass(frozen=True, slots=True)
class Seen:
    """Crops as the label graph reads them, and what seeing them took."""

    tokens: NDArray[Any]
    """(B, image tokens, width) float32; of a bundle of format 1 the pixels."""
    ms_per_crop: float


class BundledClassifier:
    """Scores crops with the graphs of a bundle, with or without an adapter."""

    def __init__(self, bundle: Bundle, rubric: Rubric, threads: int = 1, adapter: AdapterFile | None = None) -> None:
        """Load the graphs.

        Args:
            bundle: an opened bundle.
            rubric: what is asked; the bundle must have been trained for exactly these words.
            threads: processor cores used for one batch.
            adapter: an opened adapter of this bundle; None = the bundle alone.

        Raises:
            RubricError: bundle or adapter was not trained for the rubric.
            BundleError: a graph was changed since, or does not fit this onnxruntime; or the adapter does not fit.
        """
        self.model_id = bundle.model_id
        self.rubric = rubric
        self._bundle = bundle
        self._trained = bundle.trained_for(rubric)
        self._side_px = bundle.image_size
        self._graphs = open_graphs(bundle, self._trained.graph, threads)
        self._adapter: AdapterFile | None = None
        self._worn = Worn()
        if adapter is not None:
            self._wear(adapter)

    @property
    def adapter_id(self) -> str | None:
        """Names the adapter in use, or None."""
        return None if self._adapter is None else self._adapter.adapter_id

    @property
    def changes_vision(self) -> bool:
        """Whether it sees in its own way, so that what another classifier of the bundle saw is of no use to it."""
        return self._worn.vision is not None

    def swapped(self, adapter: AdapterFile | None) -> BundledClassifier:
        """The same graphs with another adapter, or with none; this classifier stays as it is.

        Raises:
            RubricError: the adapter was not trained for the rubric.
            BundleError: it is for another bundle, damaged, or does not fit.
        """
        other = copy.copy(self)
        other._trained, other._adapter, other._worn = self._bundle.trained_for(self.rubric), None, Worn()
        if adapter is not None:
            other._wear(adapter)
        return other

    def predict(self, crops: Sequence[Crop]) -> list[Prediction]:
        """One prediction per crop, in the order of the crops.

        Raises:
            BadInputError: a crop that is no picture; the message names it.
        """
        predictions: list[Prediction] = []
        for start in range(0, len(crops), _LARGEST_BATCH):
            batch = crops[start : start + _LARGEST_BATCH]
            predictions += self.answer(batch, self.see(batch))
        return predictions

    def see(self, crops: Sequence[Crop]) -> Seen:
        """Look at crops, one or more: what `answer` needs, of this classifier or of one that was swapped from it.

        Raises:
            BadInputError: a crop that is no picture; the message names it.
        """
        started = time.perf_counter()
        pixels = np.stack([square_of(crop, self._side_px)[:, :, ::-1] for crop in crops])
        tokens = self._graphs.see(pixels, self._worn.vision)
        return Seen(tokens, (time.perf_counter() - started) * 1e3 / len(crops))

    def answer(self, crops: Sequence[Crop], seen: Seen) -> list[Prediction]:
        """One prediction per crop that was seen, in the order of the crops."""
        started = time.perf_counter()
        rows = self._calibrate(self._graphs.answer(seen.tokens, self._worn.label)) if len(crops) else ()
        share_ms = seen.ms_per_crop + (time.perf_counter() - started) * 1e3 / max(1, len(crops))
        threshold = self._trained.abstain_threshold
        return [
            prediction_of(crop, row, self, threshold=threshold, latency_ms=share_ms)
            for crop, row in zip(crops, rows, strict=True)
        ]

    def probabilities(self, pixels_rgb: Image) -> NDArray[np.float64]:
        """Calibrated probabilities, (B, labels), of prepared crops: (B, side, side, 3) red-green-blue, uint8."""
        return self._calibrate(self._graphs.answer(self._graphs.see(pixels_rgb, self._worn.vision), self._worn.label))

    def _wear(self, adapter: AdapterFile) -> None:
        if adapter.base.model_id != self.model_id:
            raise BundleError(
                f"{adapter.path}: an adapter for another model: expected {self.model_id}, found "
                f"{adapter.base.model_id}. Start the monitor with that bundle, or give an adapter for this one."
            )
        trained = adapter.trained_for(self.rubric)
        self._worn = wear(adapter, self._graphs, self._side_px)
        self._trained, self._adapter = trained, adapter

    def _calibrate(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        scaled = scores.astype(np.float64) / self._trained.temperature
        scaled -= scaled.max(axis=1, keepdims=True)
        odds = np.exp(scaled)
        shares: NDArray[np.float64] = odds / odds.sum(axis=1, keepdims=True)
        return shares
