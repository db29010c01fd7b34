"""Compares two runs of the same crops: the fp32 graph against the quantized one, and both against plain transformers.

Below the bar there is no bundle. It does not know how a graph was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from export.checkpoint import Asked, Checkpoint
from export.figures import softmax
from export.graph_files import GraphFiles
from export.graph_runs import score
from monitor.errors import BundleError

AGREEMENT = 0.99
"""At least this share of crops must keep their label."""
GRAPH_GAP = 1e-3
"""At most so much may a label's log-probability differ between the fp32 graphs and plain transformers."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How like the reference the quantized graph answers."""

    crops: int
    agreement: float
    """Share of crops with the same likeliest label."""
    worst_gap: float
    """Largest difference of one label's probability, 0 to 1, at temperature 1."""
    mean_gap: float

    def as_dict(self) -> dict[str, Any]:
        """For the manifest."""
        return {key: round(value, 5) if isinstance(value, float) else value for key, value in asdict(self).items()}


def compare(reference: NDArray[Any], found: NDArray[Any]) -> Parity:
    """Agreement of two tables of label log-probabilities, (N, labels) each."""
    gaps = np.abs(softmax(reference) - softmax(found)).max(axis=1)
    same = reference.argmax(axis=1) == found.argmax(axis=1)
    return Parity(len(same), float(same.mean()), float(gaps.max()), float(gaps.mean()))


def require(what: str, parity: Parity, bar: float = AGREEMENT) -> None:
    """Stop an export whose graph does not answer as the checkpoint does.

    Raises:
        BundleError: agreement below the bar.
    """
    if parity.agreement < bar:
        raise BundleError(
            f"{what}: expected the label of the fp32 graph in {bar:.1%} of crops, found {parity.agreement:.2%} of "
            f"{parity.crops} (worst probability gap {parity.worst_gap:.3f}). Nothing was written. "
            "Try another quantization, or train longer: a model at odds with itself changes with any rounding."
        )


@torch.no_grad()
def plain_scores(checkpoint: Checkpoint, asked: Asked, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Score every label one by one with plain transformers: (N, labels), the truth that a graph must match."""
    talk = checkpoint.talk
    images, prompt = talk.pixels(list(pixels)).values, talk.prompt_ids(asked.question)
    columns = [
        _label_scores(checkpoint.model, prompt + talk.answer_ids(phrase), len(prompt), images)
        for phrase in asked.phrases
    ]
    return torch.stack(columns, dim=1).numpy()


def require_exact(checkpoint: Checkpoint, asked: Asked, files: GraphFiles, pixels: NDArray[np.uint8]) -> float:
    """The largest gap between the fp32 graphs and plain transformers, in log-probability.

    Raises:
        BundleError: the gap is larger than rounding explains.
    """
    what = f"{checkpoint.folder}: the fp32 graph"
    return require_close(what, plain_scores(checkpoint, asked, pixels), score(files, pixels))


def require_close(what: str, expected: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """The largest gap between plain transformers and a graph without quantization, in log-probability.

    Raises:
        BundleError: the gap is larger than rounding explains.
    """
    gap = float(np.abs(expected - found).max())
    if not gap <= GRAPH_GAP:  # also where it is no number
        raise BundleError(
            f"{what} differs from plain transformers: expected at most {GRAPH_GAP} in log-probability, "
            f"found {gap:.5f}. Nothing was written: the architecture is not the one that the label graph knows."
        )
    return gap


def _label_scores(model: Any, ids: Sequence[int], start: int, images: torch.Tensor) -> torch.Tensor:
    """(N,) sum of the log-probabilities of ids[start:] after ids[:start], of images (N, 1, 3, S, S)."""
    batch = torch.tensor(ids).expand(len(images), -1)
    logits = model(input_ids=batch, pixel_values=images).logits.log_softmax(-1)
    told: torch.Tensor = logits[:, :-1].gather(2, batch[:, 1:, None])[..., 0]
    return told[:, start - 1 :].sum(1)
