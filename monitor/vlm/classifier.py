"""The one question the monitor asks of any model, whatever runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from monitor.rubric import Rubric
from monitor.schema import Crop, Prediction


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
