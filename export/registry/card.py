"""Writes the card of an adapter from its manifest: whose work it is, what it learned from, how it did, what it cannot.

Pure: a manifest in, Markdown out. A bundle's card is in `export.model_card`. What a manifest does not tell is said to
be unknown, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from export.card_tables import bullets, table

_UNKNOWN = "not told"
_LIMITS = """\
- It judges visible behaviour in one picture at a time, as its base does, and shares the limits of its base's card.
- It learned from one class: for other rooms, cameras and people its figures say little.
- It is not for grading, discipline, attendance or any decision about a person."""


def render_card(manifest: Mapping[str, Any]) -> str:
    """The README.md of an entry that brings none."""
    adapter = manifest.get("kind") == "adapter"
    name = manifest.get("adapter_id" if adapter else "model_id", _UNKNOWN)
    parts = [
        f"# Model card: {name}",
        _what(manifest) if adapter else "A model bundle. This file is generated from `manifest.json`.",
        "## Data",
        _data(_table(manifest, "lineage")),
        "## Figures",
        "\n".join(bullets(_table(manifest, "figures"))) or "None were told by its export.",
        "## Calibration",
        _calibration(_table(manifest, "rubrics")),
        "## Limits",
        _LIMITS,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _what(manifest: Mapping[str, Any]) -> str:
    tensors = _table(manifest, "tensors")
    return (
        f"LoRA weights of rank {manifest.get('rank', _UNKNOWN)} in {len(tensors)} tensors for the bundle "
        f"`{manifest.get('base_model_id', _UNKNOWN)}`, whose files stay as they are: the runtime adds these weights "
        "where it is asked to. This file is generated from `manifest.json`."
    )


def _data(lineage: Mapping[str, Any]) -> str:
    if not lineage:
        return "Its export told nothing about its data."
    rows = [
        ("trained from", lineage.get("parent") or _UNKNOWN),
        ("round", lineage.get("round", _UNKNOWN)),
        ("lectures", _listed(lineage.get("lectures"))),
        ("annotators", _listed(lineage.get("annotators"))),
        ("students, by pseudonym", _listed(lineage.get("students"))),
        ("sha256 of the data", lineage.get("data_sha256") or _UNKNOWN),
    ]
    return table(("what", "which"), rows)


def _calibration(rubrics: Mapping[str, Any]) -> str:
    rows = [
        (f"`{name}`", one.get("temperature", _UNKNOWN), one.get("abstain_threshold", _UNKNOWN))
        for name, one in rubrics.items()
        if isinstance(one, Mapping)
    ]
    return table(("rubric", "temperature", "answers from this confidence on"), rows) if rows else ""


def _listed(told: Any) -> str:
    return ", ".join(map(str, told)) if isinstance(told, list) and told else _UNKNOWN


def _table(told: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = told.get(key)
    return found if isinstance(found, Mapping) else {}
