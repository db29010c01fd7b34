"""How a bundle or a checkpoint reads labelled stills: real ones for the last word, rendered ones for development.

    python -m benchmarks.stills MODEL [FOLDER]

MODEL is a bundle (monitor/assets/bundle: what a user gets, int8 and calibrated) or a checkpoint (float32). FOLDER
holds pictures and labels.csv (file, person, label), or shards of rendered students; without it, the real stills that
CLASSROOM_REAL_DATA points to. Each picture is one student's crop, resized to the model's square. Settings are never
chosen by the real ones.
The last line is one JSON object: `macro_f1` with its 95 % interval over people, `f1`
per label, `confusion` (rows are the truth), `majority_macro_f1`, `ece`, `by_group`, and the same above the confidence
`--abstain` (`kept`, `kept_macro_f1`).
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.bundle import MANIFEST, open_bundle
from monitor.rubric import Rubric, load_rubric
from monitor.vlm.bundled import BundledClassifier
from monitor.vlm.pixels import fit_square
from trainer.corpora.record import PictureSet, join
from trainer.corpora.synthetic import list_shards, read_shard
from trainer.evaluation.held_out import BATCH, ask, figures, read_stills
from trainer.evaluation.metrics import score
from trainer.model import load_checkpoint

ROOT = Path(os.environ.get("CLASSROOM_REAL_DATA", Path(__file__).parents[2] / "shared" / "real"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "stills")
    parser.add_argument("--abstain", type=float, default=0.6, help="least confidence of an answer that is kept")
    options = parser.parse_args()
    rubric = load_rubric("attention")
    pictures = read(options.folder, rubric)
    model_id, odds = answers(options.model, pictures, rubric)
    print(json.dumps({"model_id": model_id, **measure(odds, pictures, rubric, options.abstain)}))


def read(folder: Path, rubric: Rubric) -> PictureSet:
    """Stills with a table, or shards; only pictures that have a label."""
    if (folder / "labels.csv").is_file():
        return read_stills(folder, rubric.names)
    whole = join([read_shard(path, rubric.names) for path in list_shards(folder)])
    return whole.take(np.flatnonzero(whole.labels >= 0))


def answers(model: Path, pictures: PictureSet, rubric: Rubric) -> tuple[str, NDArray[np.float64]]:
    """The model's id and its probabilities, (N, labels)."""
    if (model / MANIFEST).is_file():
        bundle = open_bundle(model)
        classifier = BundledClassifier(bundle, rubric)
        sized = np.stack([fit_square(image, bundle.image_size) for image in pictures.images_rgb])
        parts = [classifier.probabilities(sized[start : start + BATCH]) for start in range(0, len(sized), BATCH)]
        return bundle.model_id, np.concatenate(parts)
    checkpoint = load_checkpoint(model)
    phrases = [label.phrase for label in rubric.labels]
    return checkpoint.card.model_id, ask(checkpoint, pictures.images_rgb, rubric.question, phrases)


def measure(odds: NDArray[np.float64], pictures: PictureSet, rubric: Rubric, abstain: float) -> dict[str, Any]:
    """All figures of one set."""
    count = len(rubric.labels)
    kept = odds.max(axis=1) >= abstain
    guess = odds.argmax(axis=1)
    above = score(pictures.labels[kept], guess[kept], count)
    return {
        **figures(odds, pictures.labels, pictures.persons, rubric.names),
        "kept": round(float(kept.mean()), 4),
        "kept_macro_f1": round(above.macro_f1, 4),
        "by_group": by_group(pictures, guess, count),
    }


def by_group(pictures: PictureSet, guess: np.ndarray[Any, np.dtype[np.int64]], labels: int) -> dict[str, Any]:
    """Macro-F1 and count of each value of each group that has few values: skin tone, glasses, the set of a still."""
    found: dict[str, Any] = {}
    for name in pictures.groups[0] if pictures.groups else ():
        values = [str(group.get(name)) for group in pictures.groups]
        if name in ("file", "person", "label", "licence") or not 1 < len(set(values)) <= 12:
            continue
        column = np.array(values)
        found[name] = {}
        for value in sorted(set(values)):
            rows = column == value
            part = score(pictures.labels[rows], guess[rows], labels)
            found[name][value] = {"macro_f1": round(part.macro_f1, 4), "pictures": int(rows.sum())}
    return found


if __name__ == "__main__":
    main()
