"""The one question the monitor asks of any model, whatever runs it, and what all of them do with crops and answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.errors import BadInputError
from monitor.rubric import Rubric
from monitor.schema import UNSURE, Crop, Image, Prediction
from monitor.vlm.pixels import fit_square


class Classifier(Protocol):
    """Scores every label of a rubric for a batch of crops."""

    @property
    def model_id(self) -> str:
        """Names the weights; every prediction carries it."""

    @property
    def adapter_id(self) -> str | None:
        """Names the adapter in use, or None."""

    @property
    def rubric(self) -> Rubric:
        """What is asked."""

    def predict(self, crops: Sequence[Crop]) -> list[Prediction]:
        """One prediction per crop, in the order of the crops; all crops go in one batch."""


def square_of(crop: Crop, side_px: int) -> Image:
    """A crop as the square that a model reads: (side, side, 3) BGR.

    Raises:
        BadInputError: not a usable picture; names the crop.
    """
    try:
        return fit_square(crop.pixels_bgr, side_px)
    except BadInputError as error:
        raise BadInputError(f"{crop.crop_id}: {error}") from error


def prediction_of(
    crop: Crop, probabilities: NDArray[np.float64], classifier: Classifier, *, threshold: float, latency_ms: float
) -> Prediction:
    """What a model says of a crop by its (labels,) probabilities: `unsure` where the surest is below the threshold."""
    names = classifier.rubric.names
    best = names[int(probabilities.argmax())]
    return Prediction(
        crop_id=crop.crop_id,
        student_id=crop.student_id,
        pts_s=crop.pts_s,
        label=best if float(probabilities.max()) >= threshold else UNSURE,
        best=best,
        probabilities=dict(zip(names, map(float, probabilities), strict=True)),
        model_id=classifier.model_id,
        rubric_id=classifier.rubric.rubric_id,
        adapter_id=classifier.adapter_id,
        latency_ms=latency_ms,
    )
