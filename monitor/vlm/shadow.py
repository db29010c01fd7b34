"""Asks a challenger beside the model in use: one answer counts, the other is only kept with it.

It knows nobody's truth, and not where either comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from monitor.rubric import Rubric
from monitor.schema import Crop, Prediction
from monitor.vlm.bundled import BundledClassifier


class ShadowClassifier:
    """Answers as the champion does; each prediction carries the challenger's answer as its `shadow`.

    A challenger that fails is left out from then on: it must never cost the lecture a label.

    Args:
        champion: whose answers count.
        challenger: asked about the same crops under the same rubric.
        see_once: they are of one bundle, and neither has an adapter that changes what is seen, so that the challenger
            may answer from what the champion saw.

    Raises:
        ValueError: they were given different rubrics.
    """

    def __init__(self, champion: BundledClassifier, challenger: BundledClassifier, *, see_once: bool = False) -> None:
        if champion.rubric != challenger.rubric:
            raise ValueError(f"{champion.rubric.rubric_id} and {challenger.rubric.rubric_id}: one rubric is asked")
        self._champion = champion
        self._challenger = challenger
        self._see_once = see_once
        self.trouble = ""
        """Why the challenger is not asked any more; empty while it is."""

    @property
    def model_id(self) -> str:
        """Of the champion."""
        return self._champion.model_id

    @property
    def adapter_id(self) -> str | None:
        """Of the champion."""
        return self._champion.adapter_id

    @property
    def rubric(self) -> Rubric:
        """What both are asked."""
        return self._champion.rubric

    def predict(self, crops: Sequence[Crop]) -> list[Prediction]:
        """The champion's predictions, in the order of the crops, each with the challenger's beside it.

        Raises:
            BadInputError: as the champion's `predict`.
        """
        if not crops:
            return []
        seen = self._champion.see(crops)
        answers = self._champion.answer(crops, seen)
        if self.trouble:
            return answers
        try:
            others = self._challenger.answer(crops, seen if self._see_once else self._challenger.see(crops))
            return [replace(one, shadow=other) for one, other in zip(answers, others, strict=True)]
        except Exception as error:  # whatever it is, the champion has answered
            self.trouble = f"{type(error).__name__}: {error}"
            return answers
