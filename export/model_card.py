"""Writes a bundle's model card from its manifest: every number in it is one that was measured.

Pure: a manifest in, Markdown out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.rubric import load_rubric, shipped_rubrics

_PLAIN = {"True": "yes", "False": "no"}
_LIMITS = """\
- It says where a student's head and eyes seem to point, one picture at a time. It knows nothing of attention, effort,
  understanding or mood; a student who looks away may be thinking.
- It was trained on rendered students only. On real faces, cameras and rooms it errs more often than the figures above
  say, and the groups above are those of the renderer.
- Eyes aside under a still head, lowered lids, glare on glasses, and pictures below about 60 pixels are hard for it.
- It must not be used to grade, rank or discipline people, nor without their knowing. An answer is a hint for a person
  who looks again."""


def render_card(manifest: Mapping[str, Any]) -> str:
    """The README.md of a bundle."""
    parts = [
        f"# Model card: {manifest['model_id']}",
        _what(manifest),
        "## Labels",
        *(_rubric(rubric_id, entry) for rubric_id, entry in manifest["rubrics"].items()),
        "## Held-out rendered students",
        _heldout(manifest["figures"]["heldout"]),
        _recipes(manifest["figures"]["heldout_recipe"]),
        "### By group",
        _groups(manifest["figures"]["heldout"]["groups"], manifest["figures"]["heldout"]["accuracy"]),
        "## Export",
        _export(manifest),
        "## Training",
        _training(manifest["training"]),
        "## Limits",
        _LIMITS,
        "## License",
        f"{manifest['license']}. Weights and pictures were made by this project; nothing was downloaded.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _what(manifest: Mapping[str, Any]) -> str:
    return (
        f"A vision-language model of the SmolVLM architecture with {manifest['parameters'] / 1e6:.1f} M parameters, "
        f"trained from scratch on rendered students. It reads a head-and-shoulders crop of {manifest['image_size']} x "
        f"{manifest['image_size']} pixels and scores every answer to a question exactly, in one pass. Written by "
        f"{manifest['created_by']}; this file is generated from `manifest.json`."
    )


def _rubric(rubric_id: str, entry: Mapping[str, Any]) -> str:
    definitions = {}
    if rubric_id in shipped_rubrics():
        definitions = {label.name: label.definition for label in load_rubric(rubric_id, research=True).labels}
    lines = [f"`{rubric_id}`: “{entry['question']}”", "", "| label | answer | definition |", "|---|---|---|"]
    for name, phrase in zip(entry["labels"], entry["phrases"], strict=True):
        lines.append(f"| {name} | {phrase} | {definitions.get(name, '')} |")
    lines += [
        "",
        f"Probabilities are a softmax at temperature {entry['temperature']}; below a confidence of "
        f"{entry['abstain_threshold']} the answer is `unsure`.",
    ]
    return "\n".join(lines)


def _heldout(figures: Mapping[str, Any]) -> str:
    unsure = figures["ambiguous_unsure"]
    rows = [
        ("pictures of people the model never saw", figures["pictures"]),
        ("macro-F1", figures["macro_f1"]),
        *((f"F1 {label}", score) for label, score in figures["f1"].items()),
        ("accuracy", figures["accuracy"]),
        ("share answered (not `unsure`)", figures["coverage"]),
        ("accuracy of the answers given", figures["accuracy_when_sure"]),
        ("expected calibration error", figures["calibration_error"]),
        ("`unsure` on pictures marked ambiguous", "none held out" if unsure is None else unsure),
    ]
    return _table(("figure", "value"), rows)


def _recipes(recipes: Mapping[str, Any]) -> str:
    told = ", ".join(f"`{name}` (seed {entry['seed']})" for name, entry in recipes.items())
    return f"Recipe: {told}." if told else ""


def _groups(groups: Mapping[str, Any], mean: float) -> str:
    rows = [
        (key.replace("_", " "), _PLAIN.get(value, value.replace("_", " ")), entry["pictures"], entry["accuracy"])
        for key, table in groups.items()
        for value, entry in table.items()
    ]
    if not rows:
        return "No group was large enough to report."
    key, value, pictures, accuracy = min(rows, key=lambda row: row[3])
    worst = (
        f"It serves the groups unequally: worst is {key} “{value}” with {accuracy} on {pictures} pictures, "
        f"{mean - accuracy:.3f} below the mean of {mean}."
    )
    return f"{worst}\n\n{_table(('group', 'value', 'pictures', 'accuracy'), rows)}"


def _export(manifest: Mapping[str, Any]) -> str:
    figures = manifest["figures"]
    plain = figures["fp32"]
    rows = [("fp32", plain["mb"], plain["ms_per_crop_1core"], "1", "0")]
    rows += [
        (
            f"**{method}**" if method == manifest["quantization"] else method,
            one["mb"],
            one["ms_per_crop_1core"],
            one["agreement"],
            one["worst_gap"],
        )
        for method, one in figures["quantizations"].items()
    ]
    table = _table(("graph", "MB", "ms a crop, one core", "same label as fp32", "worst probability gap"), rows)
    return (
        f"{table}\n\nThe bold one is shipped. The fp32 graph differs from plain `transformers` by at most "
        f"{plain['worst_log_prob_gap_to_transformers']:.1e} in log-probability."
    )


def _training(training: Mapping[str, Any]) -> str:
    lines = _bullets(training, 0)
    return "\n".join(lines) if lines else "The checkpoint told nothing about its training."


def _bullets(data: Mapping[str, Any], depth: int) -> list[str]:
    lines = []
    for key, value in data.items():
        name = f"{'  ' * depth}- {str(key).replace('_', ' ')}"
        if value in ({}, [], "", None):
            continue
        if isinstance(value, Mapping):
            lines += [f"{name}:", *_bullets(value, depth + 1)]
        else:
            lines.append(f"{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
    return lines


def _table(head: tuple[str, ...], rows: list[Any]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)
