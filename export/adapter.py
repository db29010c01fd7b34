"""Exports an adapter: a PEFT folder becomes one file that the monitor lays over a bundle whose own files stay the same.

What it answers is proved twice, against PEFT in torch in fp32, and quantized as it will run. Below the bars nothing is
written, and nothing half-written is ever seen.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from export import parity
from export.adapter_tensors import Lora, fitted, read_lora
from export.checkpoint import Asked, Checkpoint, open_checkpoint
from export.graph_files import GraphFiles, write_graphs
from export.graph_runs import score
from export.heldout import Heldout, read_measured
from export.heldout_report import calibrate_and_report
from export.label_graph import LabelGraph, ScoringModel, build_asked, pack
from export.lora_inputs import FULL, add_inputs, find_sites, places_in, prefix_inputs
from export.manifest import describe_adapter, write_manifest
from export.staging import require_replaceable, staged_folder
from monitor.adapter import ADAPTER_FILE, AdapterFile, open_adapter
from monitor.bundle import MANIFEST, Bundle, open_bundle
from monitor.errors import BundleError
from monitor.vlm.checkpoint.files import hash_base
from monitor.vlm.graphs import open_graphs, wear

_EXACT_CROPS = 8
_SAME = 1e-4
"""The monitor's own way of running an adapter may differ so much from the measured one: rounding in another order."""

Tensors = Mapping[str, NDArray[Any]]


def export_adapter(  # noqa: PLR0913  # four folders, and what a registry wants to know
    adapter: Path,
    checkpoint: str | Path,
    bundle: Path | None,
    heldout: Path | Heldout,
    out: Path,
    *,
    rubric_id: str = "attention",
    lineage: Mapping[str, Any] | None = None,
    min_agreement: float = parity.AGREEMENT,
) -> dict[str, Any]:
    """Write an adapter for a bundle and return its manifest.

    Args:
        adapter: folder that the trainer, or PEFT, wrote.
        checkpoint: what it was trained on, folder or id of the hub; the bundle's own, or the trainable weights that
            were published with it.
        bundle: folder of the base; None is the shipped one. It is read only.
        heldout: people that nobody trained on, shards or stills with a table, or pictures read already; half
            calibrate.
        out: folder of the adapter; its name is the adapter's. An older adapter there is replaced.
        rubric_id: the rubric it was trained for.
        lineage: what it learned from, as the registry shows it: parent, round, data_sha256, lectures, annotators and
            students. What the trainer's manifest tells is filled in.
        min_agreement: share of crops whose label must be that of the fp32 graph; below it nothing is written.

    Raises:
        BadInputError: an unusable checkpoint or held-out folder.
        BundleError: adapter, checkpoint and bundle do not belong together, something in the adapter has no place in
            the graphs, or its answers change on the way.
    """
    require_replaceable(out, MANIFEST)
    base, opened = open_bundle(bundle), open_checkpoint(checkpoint)
    asked = _require_base(base, opened, rubric_id)
    crops = heldout
    if isinstance(crops, Path):
        crops = read_measured(crops, asked.labels, base.image_size)
    files = GraphFiles(base.path / str(base.vision), base.path / base.rubrics[rubric_id].graph)
    plain = build_asked(opened, asked)
    lora = read_lora(adapter, opened.model, hash_base(opened.folder))
    _require_rubric(adapter, lora, rubric_id)
    wearing = replace(opened, model=lora.model)
    with staged_folder(out) as folder, tempfile.TemporaryDirectory() as scratch:
        exact = write_plain(plain, base.image_size, Path(scratch))
        expected = parity.plain_scores(wearing, asked, crops.pixels[:_EXACT_CROPS])
        tensors = {**lora.tensors, **prefix_tensors(wearing, asked)}
        fitting = fitted(tensors, {**places_in(files.vision), **places_in(files.label)})
        reference = score(exact, crops.pixels, tensors)
        gap = parity.require_close(f"{adapter}: the fp32 graph", expected, reference[:_EXACT_CROPS])
        scores = score(files, crops.pixels, fitting)
        found = parity.compare(reference, scores)
        parity.require(f"{adapter} over {base.model_id}", found, min_agreement)
        calibration, figures = calibrate_and_report(scores, asked.labels, crops)
        figures |= {
            "parity": {**found.as_dict(), "min_agreement": min_agreement, "worst_log_prob_gap_to_peft": round(gap, 7)},
            "changed_labels": _changed(score(files, crops.pixels), scores),
        }
        write_tensors(fitting, folder / ADAPTER_FILE)
        shapes = {name: one.shape for name, one in fitting.items()}
        manifest = describe_adapter(out.name, base, asked, calibration, shapes, folder)
        manifest |= {"lineage": _lineage(lora.story, lineage), "figures": figures, "tainted_by": []}
        write_manifest(folder, manifest)
        some = crops.pixels[:_EXACT_CROPS]  # scored again: with dynamic ranges a batch's answers depend on each other
        _require_runs(open_adapter(folder, base), rubric_id, some, score(files, some, fitting))
    return manifest


def write_tensors(tensors: Tensors, path: Path) -> None:
    """Write tensors in onnxruntime's own format for adapters."""
    file = onnxruntime.AdapterFormat()
    file.set_adapter_version(1)
    file.set_model_version(1)
    file.set_parameters({name: onnxruntime.OrtValue.ortvalue_from_numpy(one) for name, one in tensors.items()})
    file.export_adapter(str(path))


def _require_base(base: Bundle, opened: Checkpoint, rubric_id: str) -> Asked:
    """Check that the bundle takes adapters and came from the checkpoint, and find the question they share."""
    if base.vision is None:
        raise BundleError(
            f"{base.path}: a bundle of format 1, without inputs for adapters. Export its checkpoint again now."
        )
    found, known = hash_base(opened.folder), list(base.manifest.get("bases", ()))
    if found not in known:
        raise BundleError(
            f"{opened.folder}: not the checkpoint of the bundle {base.model_id}: expected one of "
            f"{', '.join(one[:12] for one in known)}, found {found[:12]}. Give the one it was exported from."
        )
    trained = base.rubrics.get(rubric_id)
    if trained is None:
        raise BundleError(f"{base.path}: knows no rubric {rubric_id!r}, only {', '.join(sorted(base.rubrics))}.")
    if opened.of_hub:  # it can be asked anything; what it was asked the bundle tells
        return Asked(rubric_id, trained.question, trained.labels, trained.phrases)
    asked = opened.asked(rubric_id)
    ours, theirs = ((one.question, one.labels, one.phrases) for one in (asked, trained))
    if ours != theirs:
        raise BundleError(
            f"{opened.folder}: its rubric {rubric_id!r} changed since {base.model_id} was exported: expected {theirs}, "
            f"found {ours}. Export the bundle again."
        )
    return asked


def _require_rubric(adapter: Path, lora: Lora, rubric_id: str) -> None:
    told = lora.story.get("story") or {}
    trained = told.get("rubric_id", rubric_id)
    if trained != rubric_id:
        raise BundleError(
            f"{adapter}: trained for the rubric {trained!r}, not for {rubric_id!r}. Export it for that one."
        )


def write_plain(model: ScoringModel, image_size: int, folder: Path) -> GraphFiles:
    """The fp32 graphs, both with fp32 inputs for an adapter: nothing is rounded, so that a misplaced tensor shows."""
    files = write_graphs(model, image_size, folder)
    for module, path in ((model.vision, files.vision), (model.label, files.label)):
        add_inputs(path, find_sites(module, path), FULL)
    return files


def prefix_tensors(wearing: Checkpoint, asked: Asked) -> dict[str, NDArray[Any]]:
    """Keys and values of the prompt before the picture as an adapter makes them, which is merged into its model."""
    merged = wearing.model.merge_and_unload()
    packed = pack(wearing, asked)
    label = LabelGraph(merged, packed)
    return {
        name: label.get_buffer(f"{kind}_{number}").numpy()
        for number in range(len(label.layers))
        for kind, name in zip(("keys", "values"), prefix_inputs(number), strict=True)
    }


def _require_runs(
    adapter: AdapterFile, rubric_id: str, pixels: NDArray[np.uint8], expected: NDArray[np.float32]
) -> None:
    """Run the written file as the monitor will."""
    graphs = open_graphs(adapter.base, adapter.base.rubrics[rubric_id].graph, threads=1)
    worn = wear(adapter, graphs, adapter.base.image_size)
    found = graphs.answer(graphs.see(pixels, worn.vision), worn.label)
    if np.abs(found - expected).max() > _SAME:
        raise BundleError(f"{adapter.path}: the monitor answers otherwise than was measured. Report this.")


def _changed(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    """Share of crops that the adapter labels otherwise than its base."""
    return round(float((before.argmax(1) != after.argmax(1)).mean()), 4)


def _lineage(story: Mapping[str, Any], told: Mapping[str, Any] | None) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "parent": None,
        "round": None,
        "data_sha256": None,
        "lectures": [],
        "annotators": [],
        "students": [],
    }
    learned = dict(story.get("story") or {})
    trained = {
        "adapter_sha256": story.get("sha256"),
        "parent": story.get("parent_sha256") or None,
        **{key: learned[key] for key in ("method", "round", "data_sha256", "seed") if key in learned},
    }
    return {**empty, **trained, **(told or {})}
