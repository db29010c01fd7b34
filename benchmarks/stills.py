"""How a bundle or a checkpoint reads labelled pictures: real ones for the last word, rendered ones for development.

    python -m benchmarks.stills MODEL [FOLDER]

MODEL is a bundle (monitor/assets/bundle: what a user gets, int8 and calibrated) or a checkpoint (float32). FOLDER
holds pictures and labels.csv (file, person, label), or shards of rendered students; without it, the real stills that
CLASSROOM_REAL_DATA points to. Each picture is one student's crop, resized to the model's square. Settings are never
chosen by the real ones. Reading and figures are those of `classroom export --measure`, as the model card has them.
The last line is one JSON object: `macro_f1` with its 95 % interval over people, `f1` per label, `confusion` (rows are
the truth), `majority_macro_f1`, `ece`, `by_group`, the same above the confidence `--abstain` (`kept`, `kept_macro_f1`)
and for the surest 80 % (`surest_80_macro_f1`); for a checkpoint also its `probes`.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from export.checkpoint import Asked, open_checkpoint
from export.figures import Probabilities
from export.heldout import Heldout, read_measured
from export.measure import measure
from export.probes import probe
from monitor.bundle import MANIFEST, open_bundle
from monitor.rubric import load_rubric
from monitor.vlm.bundled import BundledClassifier

ROOT = Path(os.environ.get("CLASSROOM_REAL_DATA", Path(__file__).parents[2] / "shared" / "real"))
_BATCH = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "stills")
    parser.add_argument("--abstain", type=float, default=0.6, help="least confidence of an answer that is kept")
    options = parser.parse_args()
    of = of_bundle if (options.model / MANIFEST).is_file() else of_checkpoint
    print(json.dumps(of(options.model, options.folder, options.abstain)))


def of_bundle(model: Path, folder: Path, abstain: float) -> dict[str, Any]:
    """What the int8 graph says, calibrated."""
    rubric, bundle = load_rubric("attention"), open_bundle(model)
    classifier = BundledClassifier(bundle, rubric)
    pictures = clear(read_measured(folder, rubric.names, bundle.image_size))
    parts = [classifier.probabilities(pictures.pixels[at : at + _BATCH]) for at in range(0, len(pictures), _BATCH)]
    return {"model_id": bundle.model_id, **figures(np.concatenate(parts), pictures, rubric.names, abstain)}


def of_checkpoint(model: Path, folder: Path, abstain: float) -> dict[str, Any]:
    """What the float32 weights say, uncalibrated, and how their probes hang together."""
    opened = open_checkpoint(model)
    asked: Asked = opened.asked("attention")
    pictures = clear(read_measured(folder, asked.labels, int(opened.card["image_size"])))
    probes, direct = probe(opened, asked, pictures)
    return {
        "model_id": opened.card["model_id"],
        **figures(np.exp(direct), pictures, asked.labels, abstain),
        "probes": probes,
    }


def clear(pictures: Heldout) -> Heldout:
    """Only those that have a label."""
    return pictures.part(pictures.clear)


def figures(odds: Probabilities, pictures: Heldout, labels: tuple[str, ...], abstain: float) -> dict[str, Any]:
    """All figures of one set, under the names that benchmarks use."""
    found = measure(odds, pictures, labels, abstain)
    renamed = {"calibration_error": "ece", "coverage": "kept", "macro_f1_when_sure": "kept_macro_f1"}
    told = {renamed.get(name, name): value for name, value in found.items()}
    return {**told, "by_group": told.pop("groups"), "persons": told.pop("people")}


if __name__ == "__main__":
    main()
