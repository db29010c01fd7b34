"""Exports a checkpoint as a bundle: graph, quantization, parity, calibration, figures, manifest, model card.

The folder appears whole or not at all.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export import parity
from export.calibrate import COVERAGE, Calibration, choose_threshold, describe, fit_temperature
from export.checkpoint import Asked, Checkpoint, open_checkpoint
from export.figures import softmax, summarize
from export.heldout import Heldout, read_heldout, read_recipe
from export.label_graph import build, write_onnx
from export.manifest import describe_bundle, write_manifest
from export.model_card import render_card
from export.quantize import METHODS, quantize, strip
from monitor.bundle import GRAPH, MANIFEST, open_bundle
from monitor.errors import BadInputError, BundleError

_EXACT_CROPS = 8


@dataclass(frozen=True, slots=True)
class Candidate:
    """One quantized graph with its measurements."""

    method: str
    path: Path
    scores: NDArray[np.float32]
    """On all held-out crops."""
    parity: parity.Parity
    figures: dict[str, Any]
    """For the manifest: size, speed, agreement."""


def export_bundle(
    checkpoint: Path,
    heldout: Path,
    out: Path,
    *,
    rubric_id: str = "attention",
    methods: Sequence[str] = tuple(METHODS),
    min_agreement: float = parity.AGREEMENT,
) -> dict[str, Any]:
    """Write the bundle of a checkpoint and return its manifest.

    Args:
        checkpoint: folder that the trainer wrote.
        heldout: folder of shards with people the model never saw; half calibrate, half are reported.
        out: the bundle's folder; an older bundle there is replaced once the new one is whole.
        rubric_id: which of the checkpoint's rubrics.
        methods: quantizations to measure, the preferred first; the first that passes the bar is taken.
        min_agreement: share of held-out crops whose label must stay; below it there is no bundle.

    Raises:
        BadInputError: an unusable checkpoint or held-out folder.
        BundleError: no quantization passes the bar, or `out` holds something that is no bundle.
    """
    _require_replaceable(out)
    opened = open_checkpoint(checkpoint)
    asked = opened.asked(rubric_id)
    crops = read_heldout(heldout, asked.labels, int(opened.card["image_size"]))
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
        work, folder = Path(scratch), Path(scratch) / "bundle"
        folder.mkdir()
        chosen, measured = _quantize_best(opened, asked, crops, work, methods, min_agreement)
        calibration, figures = _calibrate_and_report(chosen.scores, asked, crops)
        shutil.copyfile(chosen.path, folder / GRAPH)
        shutil.copyfile(checkpoint / "tokenizer.json", folder / "tokenizer.json")
        manifest = describe_bundle(opened, asked, calibration, chosen.method, folder)
        manifest["figures"] = {**measured, **figures, "heldout_recipe": read_recipe(heldout)}
        (folder / "README.md").write_text(render_card(manifest), encoding="utf-8", newline="\n")
        write_manifest(folder, manifest)
        open_bundle(folder)
        _replace(folder, out, work)
    return manifest


def _quantize_best(
    opened: Checkpoint, asked: Asked, crops: Heldout, work: Path, methods: Sequence[str], min_agreement: float
) -> tuple[Candidate, dict[str, Any]]:
    """The first quantization that passes, and what all of them measured."""
    plain = work / "fp32.onnx"
    write_onnx(build(opened, asked.rubric_id), int(opened.card["image_size"]), plain)
    strip(plain)
    gap = parity.require_exact(opened, asked, plain, crops.pixels[:_EXACT_CROPS])
    reference = parity.score(parity.open_graph(plain), crops.pixels)
    fit = crops.pixels[crops.in_first_half]
    candidates = [_measure(method, plain, work, reference, crops.pixels, fit) for method in methods]
    passed = [candidate for candidate in candidates if candidate.parity.agreement >= min_agreement]
    if not passed:
        best = max(candidates, key=lambda candidate: candidate.parity.agreement)
        parity.require(f"{opened.folder} as {best.method}", best.parity, min_agreement)
    measured = {
        "fp32": {
            "mb": round(plain.stat().st_size / 1e6, 2),
            "ms_per_crop_1core": parity.time_per_crop_ms(plain, crops.pixels),
            "worst_log_prob_gap_to_transformers": round(gap, 7),
        },
        "quantizations": {candidate.method: candidate.figures for candidate in candidates},
        "min_agreement": min_agreement,
    }
    return passed[0], measured


def _measure(
    method: str,
    plain: Path,
    work: Path,
    reference: NDArray[np.float32],
    pixels: NDArray[np.uint8],
    fit: NDArray[np.uint8],
) -> Candidate:
    path = work / f"{method}.onnx"
    quantize(method, plain, path, fit)
    scores = parity.score(parity.open_graph(path), pixels)
    found = parity.compare(reference, scores)
    figures = {
        "mb": round(path.stat().st_size / 1e6, 2),
        "ms_per_crop_1core": parity.time_per_crop_ms(path, pixels),
        **found.as_dict(),
    }
    return Candidate(method, path, scores, found, figures)


def _calibrate_and_report(
    scores: NDArray[np.float32], asked: Asked, crops: Heldout
) -> tuple[Calibration, dict[str, Any]]:
    """Fit on one half of the people, report on the other; ambiguous pictures have no truth to count."""
    fitting = crops.in_first_half & crops.clear
    telling = ~crops.in_first_half & crops.clear
    if not telling.any():
        raise BadInputError("all held-out crops show the same few people: render more people to report figures on")
    temperature = fit_temperature(scores[fitting], crops.truth[fitting])
    probabilities = softmax(scores, temperature)
    calibration = Calibration(temperature, choose_threshold(probabilities[crops.clear]))
    report = crops.part(telling)
    figures = summarize(report.truth, probabilities[telling], asked.labels, report.groups)
    return calibration, {
        "calibration": {
            "temperature": f"least negative log-likelihood on {int(fitting.sum())} clear held-out crops of people who "
            "are not in the report",
            "threshold": f"highest that answers {COVERAGE:.0%} of all {int(crops.clear.sum())} clear held-out crops; "
            "their truth is not looked at",
            **describe(probabilities[crops.clear], crops.truth[crops.clear], calibration.abstain_threshold),
        },
        "heldout": {
            **figures,
            **describe(probabilities[telling], report.truth, calibration.abstain_threshold),
            "ambiguous_unsure": _share_unsure(probabilities[~crops.clear], calibration.abstain_threshold),
        },
    }


def _share_unsure(probabilities: NDArray[np.float64], threshold: float) -> float | None:
    return round(float((probabilities.max(axis=1) < threshold).mean()), 4) if len(probabilities) else None


def _require_replaceable(out: Path) -> None:
    if out.exists() and not (out.is_dir() and ((out / MANIFEST).is_file() or not any(out.iterdir()))):
        raise BundleError(f"{out}: exists and is no bundle, so it is not replaced. Give another folder.")


def _replace(folder: Path, out: Path, work: Path) -> None:
    """Two renames in one file system; what was at `out` goes with the scratch folder."""
    if out.exists():
        out.replace(work / "old")
    folder.replace(out)
