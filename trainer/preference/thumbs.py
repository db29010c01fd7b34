"""The trainer on lone thumbs, up or down: TRL's KTO on pictures.

This file knows TRL's KTO; what a picture or a reference is, is in `engine`.
"""

from __future__ import annotations

from typing import Any

from datasets import Dataset
from trl import KTOTrainer

from trainer.preference.engine import PictureEngine
from trainer.preference.references import Asked


class ThumbTrainer(PictureEngine, KTOTrainer):
    """TRL's KTOTrainer on pictures; the dataset's order is kept, for its divergence is of neighbours."""

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        answers = ("completion_ids", "KL_completion_ids")
        asked = [
            Asked(row["image_row"], tuple(row["prompt_ids"]), tuple(row[answer]))
            for answer in answers
            for row in dataset
        ]
        numbers = self.reference_log_probs(asked)
        for column, part in (("ref_logps", numbers[: len(dataset)]), ("ref_KL_logps", numbers[len(dataset) :])):
            dataset = dataset.add_column(column, part)
        return dataset

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:
        forward = self.forward_over(inputs)
        return super()._compute_loss(forward, inputs, return_outputs)
