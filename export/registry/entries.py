"""Puts models into the registry, each whole or not at all, and marks those that learned from somebody erased since.

An entry is copied under a name that no reader looks at, checked as a reader would check it, and then renamed into its
place. It never changes after that. This file knows no alias.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from export.registry.aliases import writing
from export.registry.atomic import UNFINISHED, cannot_write, flush_folder, write_flushed, write_json
from export.registry.card import render_card
from monitor.adapter import open_adapter, read_adapter_manifest
from monitor.bundle import MANIFEST, Bundle, open_bundle, sha256_of
from monitor.errors import BadInputError, BundleError
from monitor.registry import MODEL_ID, SHIPPED, Registry
from monitor.registry_history import MARKS, VERDICTS, read_marks
from monitor.registry_list import list_models

CARD = "README.md"


def add_entry(registry: Registry, source: Path, *, lineage: Mapping[str, Any] | None = None) -> str:
    """Copy a bundle or an adapter into the registry; the same one again is fine and changes nothing.

    Args:
        registry: its folder is made where there is none.
        source: folder of a bundle, as `classroom export` writes it, or of an adapter.
        lineage: parent, round, data_sha256, lectures, annotators, students; for a manifest that tells none.

    Returns:
        model_id: the bundle's, or the adapter's own name.

    Raises:
        BadInputError: another model of this name is there, or the name is none.
        BundleError: the source is damaged, or an adapter for a model that is not here.
        BusyError: somebody else is writing for a long time.
        StoreError: full disk, no permission; nothing of it can be seen then.
    """
    models = registry.folder
    with writing(registry):
        manifest = _manifest_of(source, lineage)
        model_id = _name_of(source, manifest)
        card = _card(source, manifest)
        manifest = _vouching_for(manifest, card)
        place = models / model_id
        if place.exists():
            return _known(registry, model_id, manifest)
        staged = models / f"{UNFINISHED}{secrets.token_hex(8)}"
        try:
            staged.mkdir()
            _copy(source, staged, manifest, card)
            _open(registry, staged, manifest)
            flush_folder(staged)
            staged.replace(place)
            flush_folder(models)
        except OSError as error:
            raise cannot_write(place, error) from error
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    return model_id


def mark_tainted(registry: Registry, students: Iterable[str]) -> tuple[str, ...]:
    """Mark every model that learned from one of these students, and every model that was made out of such a one.

    Args:
        registry: nothing happens where its folder is not there.
        students: pseudonyms of those who were erased.

    Returns:
        model_id of all that learned from them, marked before or now.
    """
    models = registry.folder
    if not models.is_dir():
        return ()
    wanted = set(students)
    with writing(registry):
        rows = list_models(registry)
        tainted = {row.model_id: wanted & set(_students(row.lineage)) for row in rows}
        for _ in rows:  # a child of a child is reached one step at a time
            for row in rows:
                tainted[row.model_id] |= tainted.get(row.parent, set())
        marks = {name: sorted({*read_marks(models).get(name, ()), *found}) for name, found in tainted.items()}
        kept = {name: found for name, found in marks.items() if found}
        if kept:
            write_json(models / MARKS, kept)
    return tuple(name for name, found in tainted.items() if found)


def _students(lineage: Mapping[str, Any]) -> list[str]:
    told = lineage.get("students")
    return list(map(str, told)) if isinstance(told, list) else []


def _manifest_of(source: Path, lineage: Mapping[str, Any] | None) -> dict[str, Any]:
    path = source / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(f"{source}: no model here: expected a folder with {MANIFEST}.") from None
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: cannot be read as a manifest: {error}. Export the model again.") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise BundleError(f"{path}: expected the manifest of a bundle or an adapter. Export the model again.")
    return {**manifest, "lineage": dict(lineage)} if lineage and not manifest.get("lineage") else manifest


def _name_of(source: Path, manifest: Mapping[str, Any]) -> str:
    name = str(manifest.get("adapter_id" if manifest.get("kind") == "adapter" else "model_id", ""))
    if not MODEL_ID.fullmatch(name) or name in (SHIPPED, VERDICTS):
        raise BadInputError(
            f"{source}: a model's name begins with a letter or digit and has letters, digits, . _ and - (80 at most), "
            f"and is not {SHIPPED!r}; found {name!r}. Export it under another name."
        )
    return name


def _known(registry: Registry, model_id: str, manifest: Mapping[str, Any]) -> str:
    entry = registry.entry(model_id)
    if entry.manifest != manifest:
        raise BadInputError(
            f"{model_id}: another model of this name is in {registry.folder}, and a model there never changes. Export "
            "this one under another name."
        )
    return model_id


def _card(source: Path, manifest: Mapping[str, Any]) -> bytes | None:
    """The card that the manifest does not vouch for yet, written where there is none; None where it does."""
    if CARD in manifest["files"]:
        return None
    path = source / CARD
    return path.read_bytes() if path.is_file() else render_card(manifest).encode()


def _vouching_for(manifest: dict[str, Any], card: bytes | None) -> dict[str, Any]:
    if card is None:
        return manifest
    return {**manifest, "files": {**manifest["files"], CARD: {"sha256": sha256_of(card), "bytes": len(card)}}}


def _copy(source: Path, staged: Path, manifest: Mapping[str, Any], card: bytes | None) -> None:
    """The files that the manifest vouches for, and last the manifest."""
    for name, told in manifest["files"].items():
        if PurePosixPath(name).name != name or "\\" in name or name == MANIFEST:
            raise BundleError(f"{source / MANIFEST}: files must lie in the model's own folder, found {name!r}.")
        data = card if name == CARD and card is not None else _bytes_of(source / name)
        if not isinstance(told, dict) or sha256_of(data) != told.get("sha256"):
            raise BundleError(f"{source / name}: changed or damaged since its manifest was written. Export it again.")
        write_flushed(staged / name, data)
    write_flushed(staged / MANIFEST, _text(manifest))


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: expected a file, found none readable ({error.strerror}).") from error


def _open(registry: Registry, staged: Path, manifest: Mapping[str, Any]) -> None:
    """Open it as the monitor will.

    Raises:
        BundleError: whatever the monitor would refuse it for.
    """
    if manifest.get("kind") != "adapter":
        open_bundle(staged)
        return
    open_adapter(staged, _base(registry, str(read_adapter_manifest(staged)["base_model_id"])))


def _base(registry: Registry, base_id: str) -> Bundle:
    return registry.entry(base_id if base_id in registry.model_ids() else SHIPPED).bundle


def _text(manifest: Mapping[str, Any]) -> bytes:
    return (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()
