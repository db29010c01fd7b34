"""The extra of the package that a checkpoint needs. This file imports nothing heavy: it is asked first."""

from __future__ import annotations

from importlib.util import find_spec

from monitor.errors import ClassroomError

INSTALL = "pip install 'classroom-monitor[train]'"


def require_library(name: str, what: str) -> None:
    """Refuse to go on without an optional library.

    Args:
        name: of the library as it is imported.
        what: needs it, as a person would say.

    Raises:
        ClassroomError: it is not installed; the message says how to.
    """
    if find_spec(name) is None:
        raise ClassroomError(f"{what} needs {name}, which is not installed: {INSTALL}")
