"""Reads the registry: a plain folder of models, and the two aliases that say which of them is in use.

    models/
      champion.json, challenger.json   which entry, the sha256 of its manifest, who chose it and why
      <model_id>/                      a bundle, or an adapter for one; never changed once it is there

Where no champion is named, it is the model that ships. This file writes nothing and runs no model; `monitor.live`
asks it for `stamp()` before each sample, so that is cheap.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.adapter import AdapterFile, open_adapter, read_adapter_manifest
from monitor.bundle import MANIFEST, Bundle, open_bundle, sha256_of
from monitor.errors import BundleError
from monitor.store.location import store_path

__all__ = ["CHALLENGER", "CHAMPION", "SHIPPED", "AdapterFile", "Alias", "Entry", "Registry", "models_folder"]

SHIPPED = "shipped"
"""Name of the bundle in the package: an entry of every registry, without a folder."""
SHIPPED_BUNDLE = Path(__file__).parent / "assets" / "bundle"
CHAMPION = "champion"
CHALLENGER = "challenger"
MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
"""What an entry's folder may be called."""


@dataclass(frozen=True, slots=True)
class Alias:
    """Which entry somebody chose: the content of champion.json or challenger.json."""

    model_id: str
    sha256: str
    """Of the entry's manifest.json; for "shipped" it is not compared: that is whatever the package brings."""
    at: str
    """UTC, ISO 8601."""
    by: str
    reason: str
    forced: bool
    previous: str | None
    """model_id of the entry chosen before."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A model that can be run, checked."""

    model_id: str
    """Name in the registry; predictions carry `bundle.model_id` and the adapter's id."""
    kind: str
    """"bundle" or "adapter"."""
    folder: Path
    manifest: Mapping[str, Any]
    manifest_sha256: str
    bundle: Bundle
    """The model itself, or the adapter's base."""
    adapter: AdapterFile | None


class Registry:
    """The models of one folder.

    Args:
        folder: need not exist; None is `models_folder()`.
        shipped: folder of the bundle that stands for "shipped"; None is the one in the package.
    """

    def __init__(self, folder: Path | None = None, *, shipped: Path | None = None) -> None:
        self.folder = models_folder() if folder is None else folder
        self.shipped_path = SHIPPED_BUNDLE if shipped is None else shipped
        """Folder of the bundle that stands for "shipped"."""
        self._bundles: dict[tuple[Path, str], Bundle] = {}

    def champion(self) -> Entry:
        """The entry in use; the shipped one where no alias names another.

        Raises:
            BundleError: the alias or its entry is damaged, changed since, foreign or missing.
        """
        return self._named(CHAMPION) or self.entry(SHIPPED)

    def challenger(self) -> Entry | None:
        """The entry that runs beside the champion, or None.

        Raises:
            BundleError: as `champion`.
        """
        return self._named(CHALLENGER)

    def stamp(self) -> tuple[bytes | str | None, ...]:
        """Changes whenever an alias changed: both files as they are, a few hundred bytes.

        Time and size of a file would be as cheap, but some disks count whole seconds.
        """
        return tuple(map(self._raw_alias, (CHAMPION, CHALLENGER)))

    def model_ids(self) -> list[str]:
        """All entries there are, "shipped" first; none is opened."""
        try:
            folders = sorted(path.name for path in self.folder.iterdir() if (path / MANIFEST).is_file())
        except (FileNotFoundError, NotADirectoryError):
            return [SHIPPED]
        return [SHIPPED, *(name for name in folders if MODEL_ID.fullmatch(name) and name != SHIPPED)]

    def alias(self, name: str) -> Alias | None:
        """What `champion` or `challenger` stands for, or None where nobody chose.

        Raises:
            BundleError: a file that is no alias.
        """
        path = self.folder / f"{name}.json"
        try:
            raw = json.loads(path.read_bytes())
            alias = Alias(**{key: raw.get(key) for key in Alias.__dataclass_fields__})
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, AttributeError) as error:
            raise BundleError(
                f"{path}: expected the name of a model, cannot be read: {error}. {_choose(name)}"
            ) from error
        if not isinstance(alias.model_id, str) or not isinstance(alias.sha256, str):
            raise BundleError(f"{path}: expected model_id and sha256, found {alias.model_id!r}. {_choose(name)}")
        return alias

    def entry(self, model_id: str, *, manifest_sha256: str | None = None) -> Entry:
        """Open an entry and check each of its files; the files of a base are checked once in the life of this object.

        Args:
            model_id: "shipped", or the name of a folder here.
            manifest_sha256: what its manifest must be, in hexadecimal; None takes any.

        Raises:
            BundleError: no such entry, or it is damaged, changed since, newer than this program, or its base is not
                here.
        """
        if model_id == SHIPPED:
            bundle = self._open(self.shipped_path)
            return Entry(SHIPPED, "bundle", bundle.path, bundle.manifest, _sha256(bundle.path), bundle, None)
        if not MODEL_ID.fullmatch(model_id):
            raise BundleError(
                f"{self.folder}: {model_id!r} is no name of a model: expected letters, digits, . _ and -. "
                "`classroom models list` names those there are."
            )
        folder = self.folder / model_id
        digest = _sha256(folder)
        if manifest_sha256 is not None and digest != manifest_sha256:
            raise BundleError(
                f"{folder / MANIFEST}: not the model that was promoted: expected sha256 {manifest_sha256[:12]}…, found "
                f"{digest[:12]}…. Promote it again if the change was yours; else `classroom models rollback`."
            )
        return self._adapter(model_id, digest) if _is_adapter(folder) else self._bundle(model_id, digest)

    def base_id(self, model_id: str) -> str | None:
        """model_id of the bundle that an adapter is for, read from its manifest alone; None for a bundle.

        Raises:
            BundleError: no such entry, or its manifest is damaged.
        """
        if model_id == SHIPPED or not MODEL_ID.fullmatch(model_id) or not _is_adapter(self.folder / model_id):
            return None
        return str(read_adapter_manifest(self.folder / model_id)["base_model_id"])

    def _named(self, name: str) -> Entry | None:
        alias = self.alias(name)
        if alias is None:
            return None
        return self.entry(alias.model_id, manifest_sha256=None if alias.model_id == SHIPPED else alias.sha256)

    def _bundle(self, model_id: str, digest: str) -> Entry:
        folder = self.folder / model_id
        bundle = self._open(folder, anew=True)
        return Entry(model_id, "bundle", folder, bundle.manifest, _unchanged(folder, digest), bundle, None)

    def _adapter(self, model_id: str, digest: str) -> Entry:
        folder = self.folder / model_id
        base_id = str(read_adapter_manifest(folder)["base_model_id"])
        adapter = open_adapter(folder, self._base(folder, base_id))
        return Entry(model_id, "adapter", folder, adapter.manifest, _unchanged(folder, digest), adapter.base, adapter)

    def _base(self, folder: Path, base_id: str) -> Bundle:
        """The bundle of a name: an entry here, else the shipped one."""
        if MODEL_ID.fullmatch(base_id) and (self.folder / base_id / MANIFEST).is_file():
            return self._open(self.folder / base_id)
        shipped = self._open(self.shipped_path)
        if shipped.model_id == base_id:
            return shipped
        raise BundleError(
            f"{folder}: an adapter for another model: expected one of {', '.join(self._bundles_here(shipped))}, found "
            f"{base_id!r}. Put that bundle into {self.folder}, or train the adapter again."
        )

    def _bundles_here(self, shipped: Bundle) -> list[str]:
        return [shipped.model_id, *(name for name in self.model_ids()[1:] if not _is_adapter(self.folder / name))]

    def _open(self, folder: Path, *, anew: bool = False) -> Bundle:
        """A bundle, from memory where its manifest is still the same: reading a big base would hold up a swap."""
        key = (folder, _sha256(folder))
        if anew or key not in self._bundles:
            self._bundles[key] = open_bundle(folder)
        return self._bundles[key]

    def _raw_alias(self, name: str) -> bytes | str | None:
        try:
            return (self.folder / f"{name}.json").read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:  # somebody writes it just now: the next stamp differs, so it is looked at again
            return str(error)


def models_folder(store: str | Path | None = None) -> Path:
    """The folder of models that belongs to a store: `models` beside it.

    Args:
        store: as `monitor.store.location.store_path` takes it; None is the user's own.
    """
    return store_path(store).with_name("models")


def _is_adapter(folder: Path) -> bool:
    """Whether an entry says that it is one; whatever cannot be read is opened as a bundle, which says what is wrong."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("kind") == "adapter"


def _sha256(folder: Path) -> str:
    path = folder / MANIFEST
    try:
        return sha256_of(path.read_bytes())
    except OSError as error:
        raise BundleError(
            f"{path}: expected the manifest of a model, found none readable ({error.strerror}). "
            "`classroom models list` names the models there are; `classroom models rollback` takes the one before."
        ) from error


def _unchanged(folder: Path, digest: str) -> str:
    """The digest again, once the entry was read: an entry is never changed in place."""
    found = _sha256(folder)
    if found != digest:
        raise BundleError(
            f"{folder / MANIFEST}: changed while it was read: expected sha256 {digest[:12]}…, found {found[:12]}…. "
            "Look again when whoever writes it is done."
        )
    return digest


def _choose(name: str) -> str:
    return (
        "`classroom models rollback` takes the one before."
        if name == CHAMPION
        else "Choose one anew: `classroom models promote MODEL --challenger`."
    )
