"""Checks a registry as a whole: every file of every model, and that what an alias means is there and unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from monitor.bundle import MANIFEST
from monitor.errors import BundleError
from monitor.registry import CHALLENGER, CHAMPION, SHIPPED, Registry


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about a model or an alias."""

    name: str
    """model_id, or the alias."""
    problem: str
    """Empty where all is well."""


def verify(registry: Registry, model_ids: Sequence[str] = ()) -> list[Finding]:
    """Check models; without names, all there are and both aliases."""
    findings = [Finding(model_id, _problem(registry, model_id)) for model_id in model_ids or registry.model_ids()]
    if not model_ids:
        findings += [Finding(name, _alias_problem(registry, name)) for name in (CHAMPION, CHALLENGER)]
    return findings


def _problem(registry: Registry, model_id: str) -> str:
    try:
        entry = registry.entry(model_id)
    except BundleError as error:
        return str(error)
    if model_id == SHIPPED:
        return ""
    strangers = _strangers(entry.folder, set(entry.manifest["files"]))
    return f"{entry.folder}: files that its manifest does not know: {', '.join(strangers)}" if strangers else ""


def _strangers(folder: Path, known: set[str]) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name not in {*known, MANIFEST})


def _alias_problem(registry: Registry, name: str) -> str:
    try:
        registry.champion() if name == CHAMPION else registry.challenger()
    except BundleError as error:
        return str(error)
    return ""
