"""Prints what `classroom models` finds: tables for a person, or one JSON object."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from monitor.registry_history import Change, champions, read_history
from monitor.registry_list import Row, list_models
from monitor.registry_words import (
    FORCE_ADVICE,
    HEADINGS,
    UNKNOWN,
    change_words,
    figure_lines,
    row_words,
    taint_words,
    verdict_sentence,
    when_words,
)

if TYPE_CHECKING:
    from export.gate import Verdict
    from export.registry.promotion import Promotion
    from export.registry.verify import Finding
    from monitor.registry import Registry


def print_list(registry: Registry, *, as_json: bool) -> None:
    """All models."""
    rows = list_models(registry)
    if as_json:
        _print_json({"folder": str(registry.folder), "models": [_plain(row) for row in rows]})
        return
    _table(HEADINGS, [row_words(row) for row in rows])
    for row in rows:
        if row.tainted_by:
            typer.echo(f"{row.model_id}: {taint_words(row.tainted_by)}")


def print_model(registry: Registry, model_id: str, *, as_json: bool) -> None:
    """One model, every file of it checked.

    Raises:
        BundleError: it is not there, or damaged.
    """
    entry = registry.entry(model_id)
    row = next(row for row in list_models(registry) if row.model_id == entry.model_id)
    history = [change for change in read_history(registry.folder) if model_id in (change.model_id, change.previous)]
    if as_json:
        files = {
            "folder": str(entry.folder),
            "manifest_sha256": entry.manifest_sha256,
            "files": entry.manifest["files"],
        }
        _print_json({**_plain(row), **files, "history": [asdict(change) for change in history]})
        return
    typer.echo(f"{model_id}   {entry.folder}")
    lines = list(zip(HEADINGS[1:], row_words(row)[1:], strict=True))
    lines += [
        (name.replace("_", " "), _listed(told)) for name, told in row.lineage.items() if told not in (None, "", [])
    ]
    _table(("", ""), lines)
    for name, told in entry.manifest["files"].items():
        typer.echo(f"{told['sha256']}  {name}")
    if row.verdict is not None:
        print_told(row.model_id, row.verdict.champion, row.verdict.passed, row.verdict.reasons, row.verdict.figures)
    if row.tainted_by:
        typer.echo(taint_words(row.tainted_by))
    _print_changes(history)


def print_promotion(done: Promotion, *, as_json: bool) -> None:
    """What came of a promotion."""
    verdict = done.verdict
    if as_json:
        told = {"model_id": done.model_id, "before": done.champion, "promoted": done.change is not None}
        change = asdict(done.change) if done.change else None
        _print_json({**told, "verdict": verdict.as_dict() if verdict else None, "change": change})
        return
    if verdict is None:
        typer.echo(f"{done.model_id} is the champion already.")
        return
    print_told(done.model_id, done.champion, verdict.passed, verdict.reasons, verdict.figures)
    if done.change is None:
        typer.echo(f"Nothing has changed. {FORCE_ADVICE}")
    else:
        typer.echo(f"{change_words(done.change)}.")


def print_verdict(model_id: str, against: str, verdict: Verdict, *, as_json: bool) -> None:
    """What the gate says of two models."""
    if as_json:
        _print_json({"model_id": model_id, "against": against, **verdict.as_dict()})
    else:
        print_told(model_id, against, verdict.passed, verdict.reasons, verdict.figures)


def print_told(model_id: str, champion: str, passed: bool, reasons: Sequence[str], figures: Mapping[str, Any]) -> None:
    """A verdict for a person: its figures, then the sentence and why."""
    if figures:
        _table(("", f"{champion} → {model_id}"), figure_lines(figures))
    typer.echo(verdict_sentence(model_id, champion, passed, reasons))
    for reason in reasons:
        typer.echo(f"  - {reason}")


def print_change(change: Change, *, as_json: bool) -> None:
    """An alias that has moved."""
    if as_json:
        _print_json(asdict(change))
    else:
        typer.echo(f"{change_words(change)}.")


def print_findings(findings: Sequence[Finding], *, as_json: bool) -> None:
    """What a check found."""
    if as_json:
        _print_json({finding.name: finding.problem or "ok" for finding in findings})
        return
    for finding in findings:
        typer.echo(f"{finding.name}: {finding.problem or 'ok'}")


def print_history(registry: Registry, *, as_json: bool) -> None:
    """Every change of an alias."""
    history = read_history(registry.folder)
    if as_json:
        _print_json({"standing": champions(history), "changes": [asdict(change) for change in history]})
    elif history:
        _print_changes(history)
    else:
        typer.echo("The shipped model is in use, and nobody has chosen another yet.")


def _print_changes(history: Sequence[Change]) -> None:
    for change in history:
        typer.echo(f"{when_words(change.at)}  {change_words(change)}")


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(show_header=any(headings), box=None, padding=(0, 2, 0, 0))
    for place, heading in enumerate(headings):
        table.add_column(escape(heading), overflow="fold", no_wrap=not place)
    for row in rows:
        table.add_row(*map(escape, row))
    Console(highlight=False, soft_wrap=False).print(table)


def _plain(row: Row) -> dict[str, Any]:
    return {**asdict(row), "macro_f1": row.macro_f1}


def _listed(told: Any) -> str:
    if isinstance(told, list):
        return ", ".join(map(str, told)) or UNKNOWN
    return str(told)


def _print_json(told: object) -> None:
    typer.echo(json.dumps(told, ensure_ascii=False))
