"""A folder that appears whole or not at all: written beside its place, moved there once everything in it is right."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from monitor.errors import BundleError, StoreError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def require_replaceable(out: Path, marker: str) -> None:
    """Refuse to replace what we did not write.

    Raises:
        BundleError: `out` is a file, or a folder with other things than one of ours, which has the file `marker`.
    """
    if out.exists() and not (out.is_dir() and ((out / marker).is_file() or not any(out.iterdir()))):
        raise BundleError(f"{out}: exists and holds no {marker}, so it is not replaced. Give another folder.")


@contextmanager
def staged_folder(out: Path) -> Iterator[Path]:
    """An empty folder that takes the place of `out` if the block ends well; else nothing of it is left.

    Raises:
        StoreError: the disk is full.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
            folder = Path(scratch) / "new"
            folder.mkdir()
            yield folder
            # Two renames in one file system; what was at `out` goes with the scratch folder.
            if out.exists():
                out.replace(Path(scratch) / "old")
            folder.replace(out)
    except Exception as error:
        if not _is_full(error):
            raise
        raise StoreError(
            f"{out}: the disk is full ({error}). Nothing was written, and what was there is as it was. Make room in "
            f"{out.parent} and in {tempfile.gettempdir()}, then export again."
        ) from error


def _is_full(error: Exception) -> bool:
    """Whether a library says so: some raise errors of their own, onnxruntime without the system's number."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    return any(told in str(error) for told in ("Failed to write", *(f"os error {number}" for number in _FULL)))
