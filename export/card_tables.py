"""The tables of a model card: figures of measured sets, confusion, groups, calibration, probes, quantizations.

Pure: parts of a manifest in, Markdown out. A figure that an older manifest lacks is left out, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_PLAIN = {"True": "yes", "False": "no"}
NOT_MEASURED = "Not measured for this bundle."


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; an empty cell for None."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join("" if cell is None else str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def sets(named: Mapping[str, Mapping[str, Any]]) -> str:
    """The headline of each measured set, side by side."""
    labels = list(next(iter(named.values()))["f1"])
    rows: list[tuple[str, Any]] = [
        ("pictures", "pictures"),
        ("people", "people"),
        ("**macro-F1**", "macro_f1"),
        ("its 95 % interval over people", "macro_f1_interval"),
        ("macro-F1 of always the commonest label", "majority_macro_f1"),
        *((f"F1 {label}", ("f1", label)) for label in labels),
        ("accuracy", "accuracy"),
        ("expected calibration error", "calibration_error"),
        ("share answered (not `unsure`)", "coverage"),
        ("macro-F1 of the answers given", "macro_f1_when_sure"),
        ("accuracy of the answers given", "accuracy_when_sure"),
        ("macro-F1 of the surest 80 %", "surest_80_macro_f1"),
        ("`unsure` on pictures marked ambiguous", "ambiguous_unsure"),
    ]
    cells = [(told, [_figure(figures, key) for figures in named.values()]) for told, key in rows]
    return table(
        ["figure", *named], [[told, *found] for told, found in cells if any(cell not in (None, "") for cell in found)]
    )


def confusion(named: Mapping[str, Mapping[str, Any]]) -> str:
    """A matrix a set: rows are the truth, columns the answer."""
    parts = []
    for name, figures in named.items():
        if "confusion" not in figures:
            continue
        labels = list(figures["f1"])
        head = [f"{name}: truth", *(f"answered {label}" for label in labels)]
        rows = [[label, *row] for label, row in zip(labels, figures["confusion"], strict=True)]
        parts.append(table(head, rows))
    return "\n\n".join(parts) or NOT_MEASURED


def groups(figures: Mapping[str, Any]) -> str:
    """Each group with its distance to the mean, and the worst one in words."""
    found = [(key, value, entry) for key, values in figures["groups"].items() for value, entry in values.items()]
    if not found:
        return "No group was large enough to report."
    measure = "macro_f1" if "macro_f1" in found[0][2] else "accuracy"
    mean = figures[measure]
    key, value, worst = min(found, key=lambda one: one[2][measure])
    distance = worst[measure] - mean
    said = (
        f"The worst of the groups is {_plain(key)} “{_plain(value)}” with {_name(measure)} {worst[measure]} on "
        f"{worst['pictures']} pictures, {abs(distance):.3f} {'below' if distance < 0 else 'above'} the mean of {mean}"
        + (f" (its 95 % interval: {_span(worst['macro_f1_interval'])})." if "macro_f1_interval" in worst else ".")
    )
    rows = [
        (
            _plain(key),
            _plain(value),
            entry["pictures"],
            entry[measure],
            _span(entry.get("macro_f1_interval")),
            f"{entry[measure] - mean:+.4f}",
        )
        for key, value, entry in found
    ]
    head = ("group", "value", "pictures", _name(measure), "95 % interval", "to the mean")
    return f"{said} Groups of fewer than 30 pictures are left out.\n\n{table(head, rows)}"


def calibration(figures: Mapping[str, Any], rubric: Mapping[str, Any]) -> str:
    """Temperature, threshold, how they were chosen, and confidence beside accuracy."""
    how, heldout = figures["calibration"], figures["heldout"]
    before = how.get("error_before")
    lines = [
        f"- Temperature {rubric['temperature']}: {how['temperature']}."
        + (f" Expected calibration error {before} before, {heldout['calibration_error']} after." if before else ""),
        f"- Threshold {rubric['abstain_threshold']} below which the answer is `unsure`: {how['threshold']}.",
    ]
    parts = heldout.get("reliability")
    if not parts:
        return "\n".join(lines)
    rows = [(f"{n} of {len(parts)}", one["pictures"], one["confidence"], one["accuracy"]) for n, one in _count(parts)]
    told = "Held-out pictures that calibration has not seen, from the least sure to the surest:"
    return "\n".join(lines) + f"\n\n{told}\n\n{table(('part', 'pictures', 'mean confidence', 'accuracy'), rows)}"


def probes(named: Mapping[str, Mapping[str, Any]] | None) -> str:
    """How the yes/no questions were answered."""
    if not named:
        return NOT_MEASURED
    rows = (
        ("pictures", "pictures"),
        ("**exactly one yes**", "exactly_one_yes"),
        ("**likeliest yes is the direct label**", "agreement"),
        ("no yes at all", "no_yes"),
        ("accuracy if the likeliest yes were the answer", "accuracy_by_likeliest_yes"),
        ("yes to the true label", "yes_to_the_true_label"),
        ("yes to a false label", "yes_to_a_false_label"),
    )
    cells = [[told, *(figures.get(key) for figures in named.values())] for told, key in rows]
    return (
        "“Is the student looking at paper?” and its like, asked about every label of every picture; measured on the "
        f"checkpoint (fp32), for the label graph answers the rubric's question only.\n\n{table(['', *named], cells)}"
    )


def quantizations(manifest: Mapping[str, Any]) -> str:
    """Size, speed and agreement of each graph that was tried."""
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
    batch = figures.get("timed_batch", 25)
    head = ("graph", "MB", f"ms a crop, one core, batch {batch}", "same label as fp32", "worst probability gap")
    return (
        f"{table(head, rows)}\n\nThe bold one is shipped. The fp32 graph differs from plain `transformers` by at most "
        f"{plain['worst_log_prob_gap_to_transformers']:.1e} in log-probability."
    )


def trainable(figures: Mapping[str, Any] | None) -> str:
    """The half-precision weights beside the bundle."""
    if not figures:
        return ""
    return (
        f"The weights to go on training from are published as {figures['dtype']} safetensors "
        f"({figures['bytes'] / 1e6:.1f} MB, sha256 `{figures['sha256'][:16]}…`): the same label as fp32 in "
        f"{figures['agreement']:.2%} of {figures['crops']} held-out pictures."
    )


def recipes(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Recipes of rendered pictures, each with its first seed and count."""
    told = [f"`{name}` ({_some(entry.get('pictures'))}from seed {entry['seed']} on)" for name, entry in found.items()]
    return ", ".join(told)


def bullets(data: Mapping[str, Any], depth: int = 0) -> list[str]:
    """Nested settings as a list; what is empty is left out."""
    lines = []
    for key, value in data.items():
        name = f"{'  ' * depth}- {str(key).replace('_', ' ')}"
        if value in ({}, [], "", None):
            continue
        if isinstance(value, Mapping):
            lines += [f"{name}:", *bullets(value, depth + 1)]
        else:
            lines.append(f"{name}: {_in_line(value)}")
    return lines


def _in_line(value: Any) -> str:
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{key} {one}" for key, one in value.items()) + ")"
    return ", ".join(map(_in_line, value)) if isinstance(value, list) else str(value)


def _figure(figures: Mapping[str, Any], key: str | tuple[str, str]) -> Any:
    value = figures.get(key[0], {}).get(key[1]) if isinstance(key, tuple) else figures.get(key)
    return _span(value) if isinstance(value, list) else value


def _span(edges: Sequence[float] | None) -> str:
    return f"{edges[0]}–{edges[1]}" if edges else ""


def _plain(value: str) -> str:
    return _PLAIN.get(value, value.replace("_", " "))


def _name(measure: str) -> str:
    return {"macro_f1": "macro-F1"}.get(measure, measure)


def _some(pictures: int | None) -> str:
    return f"{pictures} pictures, " if pictures else ""


def _count(parts: Sequence[Mapping[str, Any]]) -> list[tuple[int, Mapping[str, Any]]]:
    return list(enumerate(parts, start=1))
