"""Lists the models of a registry as people look at them: what each is, whence it comes, what is said of it.

Nothing is checked here but the form of a manifest, so that a list shows damaged models too; whoever runs a model opens
it through `monitor.registry`, which checks each file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from monitor.bundle import MANIFEST
from monitor.registry import CHALLENGER, CHAMPION, SHIPPED, Registry
from monitor.registry_history import KeptVerdict, alias_now, read_marks, read_object, read_verdict, texts


@dataclass(frozen=True, slots=True)
class Row:
    """A model as a list shows it; nothing of it is checked but its manifest's form."""

    model_id: str
    kind: str
    """"bundle", "adapter", or "damaged" where the manifest cannot be read."""
    aliases: tuple[str, ...]
    """CHAMPION, CHALLENGER, both or none."""
    base: str
    """model_id of the bundle that an adapter is for; empty for a bundle."""
    parent: str
    """What it was trained from; empty where that is not told."""
    round: int | None
    figures: Mapping[str, Any]
    """As the manifest has them."""
    lineage: Mapping[str, Any]
    tainted_by: tuple[str, ...]
    """Pseudonyms of erased students whom it learned from."""
    bytes: int
    """Of all its files."""
    added_at: str
    """UTC, ISO 8601, when it came here; empty for the shipped one."""
    verdict: KeptVerdict | None

    @property
    def macro_f1(self) -> float | None:
        """On held-out pictures, as its own manifest says."""
        heldout = self.figures.get("heldout")
        found = heldout.get("macro_f1") if isinstance(heldout, Mapping) else None
        return float(found) if isinstance(found, int | float) else None


def list_models(registry: Registry) -> list[Row]:
    """Every model of a registry, the shipped one first; no file of theirs is read but the manifest."""
    meant: dict[str, list[str]] = {}
    for name in (CHAMPION, CHALLENGER):
        model_id = alias_now(registry, name)
        if model_id is not None:
            meant.setdefault(model_id, []).append(name)
    marks = read_marks(registry.folder)
    return [_row(registry, model_id, tuple(meant.get(model_id, ())), marks) for model_id in registry.model_ids()]


def _row(registry: Registry, model_id: str, aliases: tuple[str, ...], marks: Mapping[str, tuple[str, ...]]) -> Row:
    manifest = (
        registry.entry(SHIPPED).manifest if model_id == SHIPPED else read_object(registry.folder / model_id / MANIFEST)
    )
    lineage, figures, files = (_table(manifest, key) for key in ("lineage", "figures", "files"))
    kind = str(manifest.get("kind", "bundle")) if files else "damaged"
    told = lineage.get("round")
    return Row(
        model_id=model_id,
        kind=kind,
        aliases=aliases,
        base=str(manifest.get("base_model_id", "")),
        parent=str(lineage.get("parent") or ""),
        round=told if isinstance(told, int) else None,
        figures=figures,
        lineage=lineage,
        tainted_by=tuple(dict.fromkeys((*texts(manifest.get("tainted_by")), *marks.get(model_id, ())))),
        bytes=sum(
            size for one in files.values() if isinstance(one, Mapping) and isinstance(size := one.get("bytes"), int)
        ),
        added_at=_written_at(registry.folder / model_id / MANIFEST),
        verdict=read_verdict(registry.folder, model_id),
    )


def _written_at(path: Path) -> str:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="milliseconds")
    except OSError:
        return ""


def _table(told: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = told.get(key)
    return found if isinstance(found, Mapping) else {}
