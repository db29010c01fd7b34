"""Writes a bundle's model card from its manifest: every number in it is one that was measured.

Pure: a manifest in, Markdown out. Its tables are in card_tables.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from export import card_tables
from monitor.rubric import load_rubric, shipped_rubrics

_USE = """\
Made for: showing a teacher, a student or a researcher where heads and eyes point during a class, as a hint that a
person checks, on a machine of their own.

Not for: grading, discipline, attendance, ranking, hiring or any decision about a person; inferring attention, effort,
understanding, emotion, health or honesty; watching people who were not told. It judges visible behaviour only, one
picture at a time."""
_LIMITS = """\
- It says where a student's head and eyes seem to point, one picture at a time. It knows nothing of attention, effort,
  understanding or mood; a student who looks away may be thinking.
- It was trained on rendered students only. On real faces, cameras and rooms it errs more often than the figures on
  renders say, and the groups are those of the renderer.
- Eyes aside under a still head, lowered lids, glare on glasses, and pictures below about 60 pixels are hard for it.
- It cannot see a second screen: who looks at one seems to look away."""


_HUB_LIMITS = """\
- It says where a student's head and eyes seem to point, one picture at a time. It knows nothing of attention, effort,
  understanding or mood; a student who looks away may be thinking.
- Others trained it, on pictures that this program does not know; what it was taught since is told under Training. Trust
  the figures above, on pictures like yours, and no other."""


def render_card(manifest: Mapping[str, Any]) -> str:
    """The README.md of a bundle."""
    figures = manifest["figures"]
    named = {"held-out": figures["heldout"], **figures.get("measured", {})}
    parts = [
        f"# Model card: {manifest['model_id']}",
        _what(manifest),
        "## Intended use",
        _USE,
        "## Labels",
        *(_rubric(rubric_id, entry) for rubric_id, entry in manifest["rubrics"].items()),
        "## Figures",
        _sources(figures),
        card_tables.sets(named),
        "### Confusion",
        card_tables.confusion(named),
        "### Groups, on held-out renders",
        card_tables.groups(figures["heldout"]),
        *_other_groups(figures.get("measured", {})),
        "### Calibration",
        *(card_tables.calibration(figures, entry) for entry in manifest["rubrics"].values()),
        "### Probes",
        card_tables.probes(_named_like(figures.get("probes"))),
        "### Size, speed, and int8 against fp32",
        card_tables.quantizations(manifest),
        card_tables.trainable(figures.get("trainable")),
        "## Data",
        _data(manifest["training"]),
        "## Training",
        _training(manifest["training"]),
        "## Limits",
        _HUB_LIMITS if _of_hub(manifest) else _LIMITS,
        "## License",
        _license(manifest),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _what(manifest: Mapping[str, Any]) -> str:
    origin = "trained from scratch on rendered students"
    if _of_hub(manifest):
        origin = f"exported from the checkpoint `{manifest['training']['base']}`, which others trained"
    return (
        f"A vision-language model of the SmolVLM architecture with {manifest['parameters'] / 1e6:.1f} M parameters, "
        f"{origin}. It reads a crop around one head of {manifest['image_size']} x "
        f"{manifest['image_size']} pixels and scores every answer to a question exactly, in one pass. Written by "
        f"{manifest['created_by']}; this file is generated from `manifest.json`."
    )


def _of_hub(manifest: Mapping[str, Any]) -> bool:
    return "architecture" in manifest["training"]  # no card of ours tells it


def _license(manifest: Mapping[str, Any]) -> str:
    if _of_hub(manifest):
        return f"Of the weights: {manifest['license']}."
    return f"{manifest['license']}. Weights and pictures were made by this project; nothing was downloaded."


def _rubric(rubric_id: str, entry: Mapping[str, Any]) -> str:
    definitions = {}
    if rubric_id in shipped_rubrics():
        definitions = {label.name: label.definition for label in load_rubric(rubric_id, research=True).labels}
    rows = [
        (name, phrase, definitions.get(name, ""))
        for name, phrase in zip(entry["labels"], entry["phrases"], strict=True)
    ]
    return f"`{rubric_id}`: “{entry['question']}”\n\n{card_tables.table(('label', 'answer', 'definition'), rows)}"


def _sources(figures: Mapping[str, Any]) -> str:
    """What each set is, before its figures."""
    heldout = card_tables.recipes(figures["heldout_recipe"])
    whom = f"rendered people the model never saw, recipe {heldout}" if heldout else "people the model never saw"
    lines = [f"- held-out: {whom}."]
    for name, found in figures.get("measured_recipes", {}).items():
        what = f"rendered people, recipe {card_tables.recipes(found)}" if found else "pictures with labels given by eye"
        lines.append(f"- {name}: {what}. Nothing was trained, tuned or calibrated on them.")
    how = "All of the int8 graph that ships, each picture cut around its head as the monitor cuts it (whole where no "
    how += "head is found)."
    return how + "\n\n" + "\n".join(lines)


def _other_groups(measured: Mapping[str, Mapping[str, Any]]) -> list[str]:
    parts = []
    for name, figures in measured.items():
        if figures["groups"]:
            parts += [f"### Groups, on {name}", card_tables.groups(figures)]
    return parts


def _named_like(probes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {("held-out" if name == "heldout" else name): one for name, one in (probes or {}).items()}


def _data(training: Mapping[str, Any]) -> str:
    """What was learned from: recipes, seeds, counts."""
    data = training.get("data") or {}
    rows = [
        (f"`{folder}`", entry["recipe"]["name"], entry["seed"], entry.get("pictures"))
        for folder, entry in data.get("recipes", {}).items()
    ]
    if not rows:
        return "The checkpoint told nothing about its data."
    runs = " and then ".join(str(count) for count in [*data.get("runs_before", []), data["pictures"]])
    kept = f"{runs} pictures were learned from; the others show people kept aside."
    recipes = {entry["recipe"]["name"]: entry["recipe"] for entry in data["recipes"].values()}
    details = [f"Recipe `{name}`:\n\n" + "\n".join(card_tables.bullets(recipe)) for name, recipe in recipes.items()]
    head = ("folder", "recipe", "first seed", "pictures")
    return "\n\n".join([card_tables.table(head, rows), kept, *details])


def _training(training: Mapping[str, Any]) -> str:
    lines = card_tables.bullets({key: value for key, value in training.items() if key not in ("data", "metrics")})
    return "\n".join(lines) if lines else "The checkpoint told nothing about its training."
