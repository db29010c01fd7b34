"""Opens the classifier that the settings name: the registry's champion, a bundle, or a checkpoint run by torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from monitor.bundle import open_bundle
from monitor.config import MonitorSettings, inference_threads
from monitor.errors import BadInputError
from monitor.registry import Registry, models_folder
from monitor.rubric import Rubric
from monitor.schema import Crop, Prediction
from monitor.vlm.bundled import BundledClassifier
from monitor.vlm.checkpoint.extra import require_library
from monitor.vlm.classifier import Classifier


class Explains(Protocol):
    """Says in a sentence what was scored."""

    def explain(self, crops: Sequence[Crop], predictions: Sequence[Prediction]) -> list[str]:
        """One sentence for each crop, about the likeliest label of its prediction."""


def choose_classifier(settings: MonitorSettings, rubric: Rubric) -> Classifier:
    """A classifier for one rubric.

    Raises:
        ClassroomError: what runs the model is not installed.
        BundleError, RubricError: the model cannot be opened, or was not trained for the rubric.
    """
    if settings.model is None and settings.bundle is None:
        champion = Registry(settings.models or models_folder()).champion()
        return BundledClassifier(champion.bundle, rubric, inference_threads(), champion.adapter)
    if settings.model is None:
        return BundledClassifier(open_bundle(settings.bundle), rubric, threads=inference_threads())
    require_library("torch", "--model")
    require_library("transformers", "--model")
    from monitor.vlm.checkpoint.classifier import open_classifier

    return open_classifier(
        settings.model,
        rubric,
        adapter=settings.adapter,
        quantize=settings.quantize,
        download=settings.download,
        threads=inference_threads(),
    )


def open_speaker(classifier: Classifier) -> Explains:
    """What explains a classifier's answers.

    Raises:
        BadInputError: a bundle, which can only score.
        ClassroomError: what it takes is not installed.
    """
    if isinstance(classifier, BundledClassifier):
        raise BadInputError(
            f"--explain needs a model that can speak; the bundle {classifier.model_id} only scores its labels. Add "
            "--model embedded (the same weights, run by torch), or --model with a checkpoint that `classroom train` "
            "wrote or an id of the hub."
        )
    from monitor.vlm.checkpoint.classifier import CheckpointClassifier
    from monitor.vlm.checkpoint.speaking import Speaker

    if not isinstance(classifier, CheckpointClassifier):
        raise BadInputError(f"--explain: {classifier.model_id} cannot speak; give --model a checkpoint.")
    return Speaker(classifier)
