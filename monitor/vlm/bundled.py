"""The default classifier: a bundle's label graph, run by onnxruntime on the processor. No torch anywhere near."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from monitor.bundle import Bundle
from monitor.errors import BadInputError, BundleError
from monitor.rubric import Rubric
from monitor.schema import UNSURE, Crop, Image, Prediction
from monitor.vlm.pixels import fit_square

_LARGEST_BATCH = 32  # memory grows with the batch; speed no longer does


class BundledClassifier:
    """Scores crops with the label graph of a bundle."""

    adapter_id: str | None = None

    def __init__(self, bundle: Bundle, rubric: Rubric, threads: int = 1) -> None:
        """Load the graph.

        Args:
            bundle: an opened bundle.
            rubric: what is asked; the bundle must have been trained for exactly these words.
            threads: processor cores used for one batch.

        Raises:
            RubricError: the bundle was not trained for the rubric.
            BundleError: the graph was changed since, or does not fit this onnxruntime.
        """
        self.model_id = bundle.model_id
        self.rubric = rubric
        self._trained = bundle.trained_for(rubric)
        self._side_px = bundle.image_size
        self._session = _open_session(bundle, self._trained.graph, threads)

    def predict(self, crops: Sequence[Crop]) -> list[Prediction]:
        """One prediction per crop, in the order of the crops.

        Raises:
            BadInputError: a crop that is no picture; the message names it.
        """
        predictions: list[Prediction] = []
        for start in range(0, len(crops), _LARGEST_BATCH):
            batch = crops[start : start + _LARGEST_BATCH]
            started = time.perf_counter()
            pixels = np.stack([self._prepare(crop) for crop in batch])
            probabilities = self.probabilities(pixels)
            share_ms = (time.perf_counter() - started) * 1e3 / len(batch)
            predictions += [self._answer(crop, row, share_ms) for crop, row in zip(batch, probabilities, strict=True)]
        return predictions

    def probabilities(self, pixels_rgb: Image) -> NDArray[np.float64]:
        """Calibrated probabilities, (B, labels), of prepared crops: (B, side, side, 3) red-green-blue, uint8."""
        (scores,) = self._session.run(None, {"pixels": pixels_rgb})
        scaled = scores.astype(np.float64) / self._trained.temperature
        scaled -= scaled.max(axis=1, keepdims=True)
        odds = np.exp(scaled)
        shares: NDArray[np.float64] = odds / odds.sum(axis=1, keepdims=True)
        return shares

    def _prepare(self, crop: Crop) -> Image:
        try:
            return fit_square(crop.pixels_bgr, self._side_px)[:, :, ::-1]
        except BadInputError as error:
            raise BadInputError(f"{crop.crop_id}: {error}") from error

    def _answer(self, crop: Crop, probabilities: NDArray[np.float64], latency_ms: float) -> Prediction:
        names = self._trained.labels
        best = names[int(probabilities.argmax())]
        sure = float(probabilities.max()) >= self._trained.abstain_threshold
        return Prediction(
            crop_id=crop.crop_id,
            student_id=crop.student_id,
            pts_s=crop.pts_s,
            label=best if sure else UNSURE,
            best=best,
            probabilities=dict(zip(names, map(float, probabilities), strict=True)),
            model_id=self.model_id,
            rubric_id=self.rubric.rubric_id,
            adapter_id=self.adapter_id,
            latency_ms=latency_ms,
        )


def _open_session(bundle: Bundle, graph: str, threads: int) -> onnxruntime.InferenceSession:
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # it would keep one plan of the memory for each size of batch, and gains nothing
    # A thread that waits by spinning takes the core from the decoder and the dashboard.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(bundle.read(graph), options, providers=["CPUExecutionProvider"])
    except BundleError:
        raise
    except Exception as error:  # onnxruntime raises classes of its own, one per status code
        raise BundleError(
            f"{bundle.path / graph}: onnxruntime {onnxruntime.__version__} cannot load it: {error}. "
            "Update onnxruntime, or export the bundle again."
        ) from error
