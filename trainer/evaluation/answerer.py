"""Whatever can be evaluated, under one interface: a policy (checkpoint, adapter, model of the hub) or a shipped bundle.

This file knows models, and neither data nor figures. Torch is imported only where a policy is opened.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.bundle import MANIFEST, Bundle, open_bundle
from monitor.errors import BadInputError
from monitor.rubric import Rubric

if TYPE_CHECKING:
    from trainer.policy import Policy

Pictures = NDArray[np.uint8]
"""(B, S, S, 3), red-green-blue, S as the model reads them."""


class Answerer(Protocol):
    """A model that is asked about pictures."""

    model_id: str
    side_px: int
    """Side of the pictures that it reads."""
    about: dict[str, str]
    """What a report says of it, by name."""
    free: bool
    """Whether it can be asked anything; a bundle knows one question alone."""
    threshold: float | None
    """Confidence below which it says "unsure" when it runs; None where none is fixed."""

    def score(self, images_rgb: Pictures, question: str, phrases: Sequence[str]) -> NDArray[np.float64]:
        """Log-probabilities (B, len(phrases)) of the phrases as answers; exponentials of a row sum to one."""

    def generate(self, images_rgb: Pictures, question: str) -> list[str]:
        """What it says of itself, greedily: the same each time."""


class PolicyAnswerer:
    """A policy. Pictures are encoded once, however many questions follow about the same batch."""

    free = True
    threshold: float | None = None

    def __init__(self, policy: Policy, model_id: str, about: dict[str, str] | None = None) -> None:
        self.model_id = model_id
        self.side_px = policy.side_px
        self.about = {"Kind": "policy", **(about or {})}
        self._policy = policy
        self._looked_at: Pictures | None = None
        self._features: Any = None

    def score(self, images_rgb: Pictures, question: str, phrases: Sequence[str]) -> NDArray[np.float64]:
        """See `Answerer`."""
        with self._policy.resting():
            return self._policy.score_features(self._look(images_rgb), question, phrases)

    def generate(self, images_rgb: Pictures, question: str) -> list[str]:
        """See `Answerer`."""
        return self._policy.generate(images_rgb, question)

    def _look(self, images_rgb: Pictures) -> Any:
        if self._looked_at is not images_rgb:  # the very same batch: its features are kept, and no older ones
            import torch

            with torch.no_grad():
                self._features = self._policy.image_features(self._policy.prepare(images_rgb))
            self._looked_at = images_rgb
        return self._features


class BundleAnswerer:
    """A bundle, as the monitor runs it: quantised, its probabilities calibrated, its question fixed."""

    free = False

    def __init__(self, bundle: Bundle, rubric: Rubric) -> None:
        """Load the graph.

        Raises:
            RubricError: the bundle was not trained for the rubric.
            BundleError: the graph cannot be loaded.
        """
        from monitor.vlm.bundled import BundledClassifier

        trained = bundle.trained_for(rubric)
        self.model_id = bundle.model_id
        self.side_px = bundle.image_size
        self.threshold: float | None = trained.abstain_threshold
        self.about = {
            "Kind": "bundle, as the monitor runs it",
            "Quantization": str(bundle.manifest.get("quantization", "not recorded")),
            "Temperature": f"{trained.temperature:g}, already in its probabilities",
        }
        self._words = trained.question, trained.phrases
        self._classifier = BundledClassifier(bundle, rubric)

    def score(self, images_rgb: Pictures, question: str, phrases: Sequence[str]) -> NDArray[np.float64]:
        """See `Answerer`; calibrated.

        Raises:
            BadInputError: another question than the one in its graph.
        """
        if (question, tuple(phrases)) != self._words:
            raise BadInputError(f"{self.model_id}: a bundle answers {self._words[0]!r} alone, not {question!r}.")
        logp: NDArray[np.float64] = np.log(np.maximum(self._classifier.probabilities(images_rgb), 1e-12))
        return logp

    def generate(self, images_rgb: Pictures, question: str) -> list[str]:
        """A bundle only scores.

        Raises:
            BadInputError: always.
        """
        raise BadInputError(f"{self.model_id}: a bundle scores its labels and cannot speak. Evaluate its checkpoint.")


def open_answerer(
    model: str | Path, rubric: Rubric, *, adapter: Path | None = None, quantize: str | None = None
) -> Answerer:
    """Open whatever lies at a path.

    Args:
        model: a bundle, a checkpoint folder, or an id of the hub that is on this machine.
        rubric: what it will be asked.
        adapter: an adapter folder for a checkpoint.
        quantize: "nf4" or "int8" for a checkpoint; None = as it is.

    Raises:
        BundleError: no model there, or one that is damaged.
        RubricError: a bundle that was not trained for the rubric.
        BadInputError: an adapter or quantization for a bundle.
    """
    folder = Path(model)
    if (folder / MANIFEST).is_file() and not (folder / "config.json").is_file():
        if adapter is not None or quantize is not None:
            raise BadInputError(
                f"{model}: a bundle is evaluated as it ships; --adapter and --quantize need a checkpoint."
            )
        return BundleAnswerer(open_bundle(folder), rubric)
    from trainer.policy import load_policy

    policy = load_policy(model, adapter=adapter, quantize=quantize)
    about = {"Base": f"{folder.name} (sha256 {policy.base_sha256[:12]})"}
    if adapter is not None:
        about["Adapter"] = f"{adapter.name} (sha256 {(policy.origin.adapter_sha256 or '')[:12]})"
    if quantize:
        about["Quantization"] = quantize
    name = _own_name(folder) if adapter is None else f"{_own_name(folder)} + {adapter.name}"
    return PolicyAnswerer(policy, name, about)


def _own_name(folder: Path) -> str:
    """What a checkpoint calls itself on its card, else its folder's name."""
    card = folder / "classroom.json"
    return str(json.loads(card.read_text(encoding="utf-8"))["model_id"]) if card.is_file() else folder.name
