"""Exports a checkpoint as a bundle: graph, quantization, parity, calibration, figures, manifest, model card.

On request the trainable weights are written beside it. Each folder appears whole or not at all.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export import parity
from export.calibrate import Calibration
from export.candidates import Candidate, Trial, quantize_best
from export.checkpoint import CARD, Asked, Checkpoint, open_checkpoint
from export.figures import softmax
from export.graph_runs import score
from export.heldout import Heldout, read_measured, read_recipe
from export.heldout_report import calibrate_and_report
from export.manifest import describe_bundle, write_manifest
from export.measure import measure
from export.model_card import render_card
from export.probes import probe
from export.quantize import METHODS
from export.staging import require_replaceable, staged_folder
from export.trainable import require_same_labels, write_trainable
from monitor.bundle import MANIFEST, open_bundle
from monitor.errors import BadInputError
from monitor.rubric import Rubric
from monitor.vlm.checkpoint.files import hash_base

DEFAULT_RUBRIC = "attention"
TOKENIZER = "tokenizer.json"


def export_bundle(  # noqa: PLR0913  # each is an option of the command, or a bar that tests lower
    checkpoint: str | Path,
    heldout: Path,
    out: Path,
    *,
    measured: Mapping[str, Path] | None = None,
    trainable: Path | None = None,
    rubric: Rubric | None = None,
    methods: Sequence[str] = tuple(METHODS),
    vision_adapters: bool = False,
    min_agreement: float = parity.AGREEMENT,
    most: int | None = None,
    download: bool = False,
    tell: Callable[[str], object] = lambda line: None,
) -> dict[str, Any]:
    """Write the bundle of a checkpoint and return its manifest.

    Args:
        checkpoint: folder that the trainer wrote, or a SmolVLM of the hub: a folder in its layout, or its id.
        heldout: folder of people the model never saw, shards or stills with a table; half calibrate, half are reported.
        out: the bundle's folder; an older bundle there is replaced once the new one is whole.
        measured: name -> folder of more pictures to measure on, shards or stills with a table.
        trainable: folder for the weights in half precision, to go on training from; None = not written.
        rubric: what it shall be asked; None = "attention". A checkpoint of ours must have been trained for it.
        methods: quantizations to measure; see `export.candidates` for which is taken.
        vision_adapters: inputs for adapters in the vision graph too; all pictures cost some percent more then.
        min_agreement: share of held-out crops whose label must stay; below it there is no bundle.
        most: pictures of each set that are looked at, at most; None = all.
        download: allow fetching the checkpoint from the hub.
        tell: gets a line after each step; large models take minutes for one.

    Raises:
        BadInputError: an unusable checkpoint, held-out folder or folder to measure on.
        BundleError: no quantization passes the bar, half precision changes labels, or a folder that is not ours.
    """
    require_replaceable(out, MANIFEST)
    if trainable is not None:
        require_replaceable(trainable, CARD)
    opened = open_checkpoint(checkpoint, rubric, download=download)
    if trainable is not None and opened.of_hub:
        raise BadInputError(f"--trainable: {opened.folder} is of the hub and can be trained on as it is. Leave it out.")
    asked = opened.asked(rubric.rubric_id if rubric else DEFAULT_RUBRIC)
    side_px = int(opened.card["image_size"])
    crops, *rest = (
        read_measured(place, asked.labels, side_px, most) for place in (heldout, *(measured or {}).values())
    )
    others = dict(zip(measured or {}, rest, strict=True))
    with ExitStack() as stack:
        folder = stack.enter_context(staged_folder(out))
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        trial = Trial(methods, vision_adapters, min_agreement, tell)
        chosen, compared = quantize_best(opened, asked, crops, work, trial)
        tell(f"{chosen.method} it is; now calibration, probes and figures")
        calibration, figures = calibrate_and_report(chosen.scores, asked.labels, crops)
        probes, direct = _probe(opened, asked, {"heldout": crops, **others})
        figures |= {
            **compared,
            "heldout_recipe": read_recipe(heldout),
            "measured": {name: _report(chosen, asked, one, calibration) for name, one in others.items()},
            "measured_recipes": {name: read_recipe(place) for name, place in (measured or {}).items()},
            "probes": probes,
        }
        if trainable is not None:
            halves = stack.enter_context(staged_folder(trainable))
            weights = write_trainable(opened.folder, halves)
            figures["trainable"] = {**weights, **require_same_labels(halves, asked, crops.pixels[crops.clear], direct)}
        for graph in (chosen.files.vision, chosen.files.label):
            shutil.copyfile(graph, folder / graph.name)
        if (opened.folder / TOKENIZER).is_file():
            shutil.copyfile(opened.folder / TOKENIZER, folder / TOKENIZER)
        bases = [hash_base(one) for one in (opened.folder, *([] if trainable is None else [halves]))]
        manifest = describe_bundle(opened, asked, calibration, chosen.method, folder)
        manifest |= {"bases": bases, "figures": figures}
        (folder / "README.md").write_text(render_card(manifest), encoding="utf-8", newline="\n")
        write_manifest(folder, manifest)
        open_bundle(folder)
    return manifest


def _report(chosen: Candidate, asked: Asked, pictures: Heldout, calibration: Calibration) -> dict[str, Any]:
    """What the graph that ships says of a set that calibration knows nothing of."""
    scores = score(chosen.files, pictures.pixels)
    probabilities = softmax(scores, calibration.temperature)
    return measure(probabilities, pictures, asked.labels, calibration.abstain_threshold)


def _probe(opened: Checkpoint, asked: Asked, sets: Mapping[str, Heldout]) -> tuple[dict[str, Any], NDArray[np.float64]]:
    """Probes of each set, and the checkpoint's own label scores of the first."""
    found = {name: probe(opened, asked, pictures) for name, pictures in sets.items()}
    first = next(iter(found.values()))
    return {name: figures for name, (figures, _) in found.items()}, first[1]
