"""Scores crops with a checkpoint run by torch: every label exactly, each prompt computed once for all labels.

`opening.py` says what can be opened, `adapters.py` what can be laid on it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from monitor.bundle import open_bundle
from monitor.errors import BadInputError, BundleError, RubricError
from monitor.rubric import Rubric
from monitor.schema import Crop, Image, Prediction
from monitor.vlm.checkpoint.adapters import is_adapter, named_base, put_adapter, read_adapter
from monitor.vlm.checkpoint.asking import Asking
from monitor.vlm.checkpoint.card import Card
from monitor.vlm.checkpoint.extra import require_library
from monitor.vlm.checkpoint.files import hash_base, name_of
from monitor.vlm.checkpoint.opening import Opened, open_model
from monitor.vlm.checkpoint.sight import Pixels
from monitor.vlm.classifier import prediction_of, square_of

EMBEDDED = "embedded"
"""Stands for the shipped model's own weights."""
_SHIPPED_WEIGHTS = Path(__file__).parents[2] / "assets" / "trainable"
_LARGEST_BATCH = 16
"""Crops at once: a billion weights and more leave little room beside them."""


class CheckpointClassifier:
    """Scores crops with a model of transformers."""

    def __init__(self, opened: Opened, rubric: Rubric, model_id: str, adapter_id: str | None = None) -> None:
        """Join a model and what it is asked; `open_classifier` does it.

        Args:
            opened: the model, with its adapter on where it has one.
            rubric: what is asked.
            model_id: names the weights.
            adapter_id: names the adapter, or None.

        Raises:
            RubricError: an embedded checkpoint that was not trained for these words.
        """
        trained = _trained_for(opened.card, rubric, model_id)
        calibrated = {} if adapter_id else trained
        self.model_id = model_id
        self.adapter_id = adapter_id
        self.rubric = rubric
        self.opened = opened
        self.asking = Asking(opened.core, opened.talk, model_id)
        self.temperature = float(calibrated.get("temperature", 1.0))
        """Log-probabilities are divided by it; 1 where nobody calibrated the model."""
        self.abstain_threshold = float(calibrated.get("abstain_threshold", 0.0))
        """Below this confidence the answer is "unsure"; 0, never, where nobody calibrated the model."""
        self._prompt = opened.talk.prompt_ids(rubric.question)
        self._answers = [opened.talk.answer_ids(label.phrase) for label in rubric.labels]

    def predict(self, crops: Sequence[Crop]) -> list[Prediction]:
        """One prediction per crop, in the order of the crops.

        Raises:
            BadInputError: a crop that is no picture, or more of them than the memory holds beside the model.
        """
        predictions: list[Prediction] = []
        for start in range(0, len(crops), _LARGEST_BATCH):
            batch = crops[start : start + _LARGEST_BATCH]
            started = time.perf_counter()
            probabilities = self.probabilities([square_of(crop, self.opened.talk.side_px) for crop in batch])
            share_ms = (time.perf_counter() - started) * 1e3 / len(batch)
            predictions += [
                prediction_of(crop, row, self, threshold=self.abstain_threshold, latency_ms=share_ms)
                for crop, row in zip(batch, probabilities, strict=True)
            ]
        return predictions

    def probabilities(self, images_bgr: Sequence[Image]) -> NDArray[np.float64]:
        """Probabilities (B, labels) of any cut-outs, over the rubric's labels in their order."""
        scores = self.log_probabilities(images_bgr) / self.temperature
        scores -= scores.max(axis=1, keepdims=True)
        odds = np.exp(scores)
        shares: NDArray[np.float64] = odds / odds.sum(axis=1, keepdims=True)
        return shares

    @torch.no_grad()
    def log_probabilities(self, images_bgr: Sequence[Image]) -> NDArray[np.float64]:
        """Exact log-probabilities (B, labels) that the model answers with each label's phrase and then ends."""
        try:
            features = self.asking.sight.see(self.prepare(images_bgr))
            scores = self.asking.answer_logps(features, self._prompt, self._answers)
        except torch.OutOfMemoryError as error:
            raise BadInputError(
                f"{self.model_id}: {len(images_bgr)} pictures at once do not fit into memory beside it. "
                "Give --quantize nf4, or a smaller model."
            ) from error
        sums: NDArray[np.float64] = scores.double().cpu().numpy()
        if not np.isfinite(sums).all():
            raise BadInputError(f"{self.model_id}: answers with no numbers (NaN). Is the checkpoint broken?")
        return sums

    def prepare(self, images_bgr: Sequence[Image]) -> Pixels:
        """Cut-outs as the model takes them."""
        return self.opened.talk.pixels([image[:, :, ::-1] for image in images_bgr])


def open_classifier(
    model: str,
    rubric: Rubric,
    *,
    adapter: Path | None = None,
    quantize: str | None = None,
    download: bool = False,
    threads: int = 1,
) -> CheckpointClassifier:
    """Open a checkpoint as a classifier.

    Args:
        model: a checkpoint folder, an id of the hub (`@revision` may follow), or "embedded"; or the folder of an
            adapter, which tells its base.
        rubric: what is asked.
        adapter: folder of an adapter to lay on it; the base stays as it is, quantized or not.
        quantize: "nf4", "int8" or None.
        download: allow fetching it from the hub.
        threads: processor cores that torch may use.

    Raises:
        BundleError: a checkpoint or adapter that is missing, changed, of a kind that cannot be opened, or not made for
            each other.
        RubricError: an embedded checkpoint, or an adapter, that was not trained for the rubric.
    """
    torch.set_num_threads(threads)
    if adapter is None and is_adapter(Path(model)):
        adapter, model = Path(model), _base_of(Path(model))
    base = str(_SHIPPED_WEIGHTS) if model == EMBEDDED else model
    opened = open_model(
        base, quantize=quantize, download=download, how_to_download="Add --download to fetch it from the hub."
    )
    name = opened.card.model_id if opened.card else name_of(base)
    model_id = f"{name}@{opened.sha256[:12]}" + (f"+{quantize}" if quantize else "")
    adapter_id = None if adapter is None else _wear(opened, base, adapter, rubric)
    classifier = CheckpointClassifier(opened, rubric, model_id, adapter_id)
    if model == EMBEDDED and adapter is None:  # the same weights as in the bundle, where they were calibrated
        calibrated = open_bundle().trained_for(rubric)
        classifier.temperature, classifier.abstain_threshold = calibrated.temperature, calibrated.abstain_threshold
    return classifier


def _wear(opened: Opened, base: str, adapter: Path, rubric: Rubric) -> str:
    """Lay an adapter on an opened model; its name."""
    require_library("peft", "--adapter")
    manifest = read_adapter(adapter, base, opened.base_sha256)
    trained = manifest["story"].get("rubric_id", rubric.rubric_id)
    if trained != rubric.rubric_id:
        raise RubricError(
            f"{adapter}: trained for the rubric {trained!r}, not for {rubric.rubric_id!r}. Give --rubric {trained}, or "
            "an adapter for this one."
        )
    put_adapter(opened.core, adapter, manifest, trainable=False)  # LoRA sits inside the layers of the model itself
    opened.core.requires_grad_(False)
    opened.core.eval()
    return f"{adapter.resolve().name}@{manifest['sha256'][:12]}"


def _base_of(adapter: Path) -> str:
    """What an adapter was trained on, found by what its folder tells."""
    name, sha256 = named_base(adapter)
    if sha256 and sha256 == hash_base(_SHIPPED_WEIGHTS):
        return EMBEDDED
    if not name or ("/" not in name and not Path(name).is_dir()):
        raise BundleError(
            f"{adapter}: an adapter whose base {name or '(not told)'!r} is not to be found by that name. Give the base "
            f"with --model, and --adapter {adapter}."
        )
    return name


def _trained_for(card: Card | None, rubric: Rubric, model_id: str) -> dict[str, Any]:
    """An embedded card's own record of the rubric; nothing for models that can be asked anything."""
    if card is None:
        return {}
    told = card.rubrics.get(rubric.rubric_id)
    asked = {
        "question": rubric.question,
        "labels": list(rubric.names),
        "phrases": [label.phrase for label in rubric.labels],
    }
    if told is None:
        raise RubricError(
            f"rubric {rubric.rubric_id!r}: the model {model_id} was not trained for it, only for "
            f"{', '.join(sorted(card.rubrics)) or 'none'}. Train one (`classroom train sft`), or give another --model."
        )
    for what, expected in asked.items():
        if told.get(what) != expected:
            raise RubricError(
                f"rubric {rubric.rubric_id!r}: its {what} changed since the model {model_id} was trained: expected "
                f"{told.get(what)!r}, found {expected!r}. Train it again, or take the rubric back."
            )
    return told
