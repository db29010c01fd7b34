"""Tries the quantizations of a checkpoint on held-out crops and takes one, by what was measured.

Of those that keep the labels, the fastest on this processor; where two are much alike, the one named first, for with
static ranges a crop's answer does not depend on its neighbours. It writes no bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export import parity
from export.checkpoint import Asked, Checkpoint
from export.fold import fold_norms
from export.fuse import fuse_attention
from export.graph_files import GraphFiles, write_graphs
from export.graph_runs import score, timed_batch, times_per_crop_ms
from export.heldout import Heldout
from export.label_graph import build_asked
from export.lora_inputs import Site, add_inputs, find_sites
from export.quantize import FOR_GPU, quantize, that_fit
from monitor.errors import BundleError

_EXACT_CROPS = 8
_MUCH_ALIKE = 1.15
"""Times that differ by less are one: a busy machine measures no better."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """The quantized graphs, with inputs for an adapter, and what they answer."""

    method: str
    files: GraphFiles
    scores: NDArray[np.float32]
    """On all held-out crops."""
    parity: parity.Parity


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried, and by which bar."""

    methods: Sequence[str]
    vision_adapters: bool
    """Whether the vision graph gets inputs for adapters too."""
    min_agreement: float
    """Share of held-out crops whose label must stay."""
    tell: Callable[[str], object]
    """Gets a line after each step."""


def quantize_best(
    opened: Checkpoint, asked: Asked, crops: Heldout, work: Path, trial: Trial
) -> tuple[Candidate, dict[str, Any]]:
    """The quantization to take, and the figures of all that were tried; each is told once it is done.

    Raises:
        BadInputError: weights that fit into one ONNX file by no method.
        BundleError: none keeps the labels, or the graphs differ from plain transformers.
    """
    model = build_asked(opened, asked)
    methods = that_fit(trial.methods, {"vision": model.vision, "text": model.label})
    for method in (one for one in trial.methods if one not in methods):
        trial.tell(f"{method}: left out, it would not fit into one ONNX file")
    if not trial.vision_adapters:
        model.vision = fold_norms(model.vision)
    plain = write_graphs(model, int(opened.card["image_size"]), work / "fp32")
    gap = parity.require_exact(opened, asked, plain, crops.pixels[:_EXACT_CROPS])
    trial.tell(f"fp32: {plain.size_bytes / 1e6:.1f} MB, {gap:.1e} from plain transformers in log-probability")
    reference = score(plain, crops.pixels)
    sites = (
        find_sites(model.label, plain.label),
        find_sites(model.vision, plain.vision) if trial.vision_adapters else [],
    )
    candidates = []
    for method in methods:
        one = _try(method, plain, sites, work / method, reference, crops)
        trial.tell(f"{method}: {one.files.size_bytes / 1e6:.1f} MB, the same label in {one.parity.agreement:.2%}")
        candidates.append(one)
    plain_ms, *times_ms = times_per_crop_ms([plain, *(one.files for one in candidates)], crops.pixels)
    figures = {
        "fp32": {
            "mb": round(plain.size_bytes / 1e6, 2),
            "ms_per_crop_1core": plain_ms,
            "worst_log_prob_gap_to_transformers": round(gap, 7),
        },
        "quantizations": {
            one.method: {"mb": round(one.files.size_bytes / 1e6, 2), "ms_per_crop_1core": ms, **one.parity.as_dict()}
            for one, ms in zip(candidates, times_ms, strict=True)
        },
        "timed_batch": timed_batch(crops.pixels.shape[1]),
        "min_agreement": trial.min_agreement,
    }
    return choose(f"{opened.folder}", candidates, times_ms, trial.min_agreement), figures


def _try(
    method: str,
    plain: GraphFiles,
    sites: tuple[Sequence[Site], Sequence[Site]],
    folder: Path,
    reference: NDArray[np.float32],
    crops: Heldout,
) -> Candidate:
    files = quantize(method, plain, folder, crops.pixels[crops.in_first_half])
    for path, places in zip((files.label, files.vision), sites, strict=True):
        add_inputs(path, places)
    fuse_attention(files.vision)  # the last step: what is fused has no place for an adapter any more
    scores = score(files, crops.pixels)
    return Candidate(method, files, scores, parity.compare(reference, scores))


def choose(what: str, candidates: Sequence[Candidate], times_ms: Sequence[float], min_agreement: float) -> Candidate:
    """The candidate to take for a processor, by agreement and time a crop.

    Raises:
        BundleError: none keeps the labels in a share `min_agreement` of crops; `what` names the checkpoint.
    """
    passed = [
        (one, ms)
        for one, ms in zip(candidates, times_ms, strict=True)
        if one.parity.agreement >= min_agreement and (one.method not in FOR_GPU or len(candidates) == 1)
    ]
    if not passed:
        best = max(candidates, key=lambda one: one.parity.agreement)
        parity.require(f"{what} as {best.method}", best.parity, min_agreement)
        raise BundleError(f"{what}: {', '.join(FOR_GPU)} alone keeps the labels, and is no choice for a processor.")
    quick = min(ms for _, ms in passed) * _MUCH_ALIKE
    return next(one for one, ms in passed if ms <= quick)
