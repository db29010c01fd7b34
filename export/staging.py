"""A folder that appears whole or not at all: written beside its place, moved there once everything in it is right."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from monitor.errors import BundleError


def require_replaceable(out: Path, marker: str) -> None:
    """Refuse to replace what we did not write.

    Raises:
        BundleError: `out` is a file, or a folder with other things than one of ours, which has the file `marker`.
    """
    if out.exists() and not (out.is_dir() and ((out / marker).is_file() or not any(out.iterdir()))):
        raise BundleError(f"{out}: exists and holds no {marker}, so it is not replaced. Give another folder.")


@contextmanager
def staged_folder(out: Path) -> Iterator[Path]:
    """An empty folder that takes the place of `out` if the block ends well; else nothing of it is left."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
        folder = Path(scratch) / "new"
        folder.mkdir()
        yield folder
        # Two renames in one file system; what was at `out` goes with the scratch folder.
        if out.exists():
            out.replace(Path(scratch) / "old")
        folder.replace(out)
