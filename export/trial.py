"""Puts two models of the registry before the gate: both answer the pictures set aside, as the monitor would run them.

So it is the quantized bundle that is judged, with the adapter switched on as in a lecture, never the trainer's own
loss. This file knows onnxruntime through the monitor's classifier alone, and no alias.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from export.figures import Probabilities, rounded
from export.gate import Circumstances, GateSettings, Judged, Verdict, judge
from export.held_aside import are_rendered, gather, read_parts, students_in
from export.heldout import Heldout
from monitor.bundle import TrainedRubric
from monitor.errors import RubricError
from monitor.registry import Entry
from monitor.rubric import Label, Rubric, load_rubric, shipped_rubrics
from monitor.vlm.bundled import BundledClassifier

DEFAULT_RUBRIC = "attention"
_BATCH = 32


@dataclass(frozen=True, slots=True)
class Jury:
    """Whose pictures judge, and how."""

    store: str | Path | None = None
    """As `monitor.store.location.store_path` takes it."""
    heldout: Path | None = None
    """A folder of pictures in place of the renders that ship."""
    rubric_id: str = ""
    """Empty: "attention" where both models know it, else the first that both know."""
    tainted_by: tuple[str, ...] = ()
    """Erased students from whom the challenger is known to have learned."""
    threads: int = 1
    settings: GateSettings | None = None


def try_entries(champion: Entry, challenger: Entry, jury: Jury) -> Verdict:
    """Let the gate judge a challenger against the champion.

    Raises:
        BadInputError: nothing to judge by, or pictures that cannot be used.
        RubricError: the two know no rubric in common, or know other words under one name.
        BundleError: files that changed since the models were opened.
        StoreError: a store or a key that cannot be read.
    """
    asked = _rubric(champion, challenger, jury.rubric_id)
    parts = read_parts(jury.store, jury.heldout, asked.names, asked.rubric_id)
    sides = {entry.bundle.image_size for entry in (champion, challenger)}
    pictures = {side_px: gather(parts, side_px) for side_px in sides}
    told = pictures[challenger.bundle.image_size]
    old, new = (_answers(one, asked, pictures[one.bundle.image_size], jury.threads) for one in (champion, challenger))
    objections = (*_taught_on(challenger, told), *_erased(jury.tainted_by))
    around = Circumstances(are_rendered(told), agreement_of(challenger.manifest), objections)
    judged = Judged(told.truth, list(told.people), told.groups, asked.names)
    verdict = judge(old, new, judged, around, jury.settings)
    answered = {
        name: rounded((one.max(axis=1) >= trained_for(entry, asked.rubric_id).abstain_threshold).mean())
        for name, entry, one in (("champion", champion, old), ("challenger", challenger, new))
    }
    return replace(verdict, figures={**verdict.figures, "answered": answered, "rubric_id": asked.rubric_id})


def trained_for(entry: Entry, rubric_id: str) -> TrainedRubric:
    """The entry's own record of a rubric: the adapter's, where it has one."""
    return (entry.adapter.rubrics if entry.adapter else entry.bundle.rubrics)[rubric_id]


def agreement_of(manifest: Mapping[str, Any]) -> float | None:
    """Share of crops with one label through trainer and runtime, as an export measured it; None where it did not."""
    figures = manifest.get("figures")
    if not isinstance(figures, Mapping):
        return None
    quantized = figures.get("quantizations")
    chosen = quantized.get(manifest.get("quantization")) if isinstance(quantized, Mapping) else None
    for found in (figures.get("parity"), chosen):
        if isinstance(found, Mapping) and isinstance(found.get("agreement"), int | float):
            return float(found["agreement"])
    return None


def _rubric(champion: Entry, challenger: Entry, wanted: str) -> Rubric:
    """What both are asked. A shipped rubric is asked in its present words, as a lecture asks it."""
    known = [set(one.adapter.rubrics if one.adapter else one.bundle.rubrics) for one in (champion, challenger)]
    both = sorted(known[0] & known[1], key=lambda one: (one != DEFAULT_RUBRIC, one))
    if not both or (wanted and wanted not in both):
        raise RubricError(
            f"{challenger.model_id} cannot be compared with {champion.model_id}"
            + (f" under {wanted!r}" if wanted else "")
            + f": one knows {', '.join(sorted(known[1]))}, the other {', '.join(sorted(known[0]))}. Train it for the "
            "rubric that is in use."
        )
    rubric_id = wanted or both[0]
    if rubric_id in shipped_rubrics():
        return load_rubric(rubric_id, research=True)
    told = trained_for(challenger, rubric_id)
    labels = tuple(Label(*pair, "", "#000000") for pair in zip(told.labels, told.phrases, strict=True))
    return Rubric(rubric_id, rubric_id, "behaviour", told.question, labels)


def _answers(entry: Entry, rubric: Rubric, pictures: Heldout, threads: int) -> Probabilities:
    classifier = BundledClassifier(entry.bundle, rubric, threads, adapter=entry.adapter)
    starts = range(0, len(pictures), _BATCH)
    return np.concatenate([classifier.probabilities(pictures.pixels[start : start + _BATCH]) for start in starts])


def _taught_on(challenger: Entry, pictures: Heldout) -> list[str]:
    lineage = challenger.manifest.get("lineage")
    told = lineage.get("students") if isinstance(lineage, Mapping) else None
    shared = sorted(students_in(pictures) & set(map(str, told if isinstance(told, list) else ())))
    if not shared:
        return []
    named = ", ".join(shared[:5])
    return [f"it learned from {len(shared)} of the students who judge it ({named}): their answers prove nothing"]


def _erased(students: tuple[str, ...]) -> list[str]:
    return [f"it learned from students who were erased since: {', '.join(students)}"] if students else []
