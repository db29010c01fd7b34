"""Which network finds faces: CenterFace, which a package brings, or a YuNet file of the user's own.

It opens the one that is asked for, and knows nothing of how either finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from monitor.schema import Detection, Image
from monitor.students.faces import FaceFinder
from monitor.students.yunet import YuNetFinder


class FindsFaces(Protocol):
    """What every face finder can do."""

    model_id: str
    """Tells networks apart: other faces make other labels."""

    def find(self, images: Sequence[Image], longer_side_px: int | None = None) -> list[list[Detection]]:
        """Faces of each blue-green-red picture, best score first, boxes in pixels of that picture."""
        ...


def open_face_finder(model: Path | None = None, sha256: str | None = None) -> FindsFaces:
    """The finder that ships, or the YuNet network in the file `model`.

    Raises:
        BundleError: a network that is missing, changed or foreign.
    """
    return FaceFinder() if model is None else YuNetFinder(model, sha256)
