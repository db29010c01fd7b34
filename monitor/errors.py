"""The errors a person meets, each with the exit code of the command that meets it.

A message names the thing (file, device, port), what was expected, what was found, and the next step.
"""

from __future__ import annotations


class ClassroomError(Exception):
    """Something a person can mend. The front door prints the message without a traceback."""

    exit_code = 1


class BadInputError(ClassroomError):
    """A recording, picture, rubric or option that cannot be used."""

    exit_code = 2


class SourceError(BadInputError):
    """A source that cannot be opened or read."""


class RubricError(BadInputError):
    """A rubric file that breaks its rules, or one that this model was not trained for."""


class BundleError(ClassroomError):
    """A model folder that is incomplete, changed or foreign."""

    exit_code = 3


class StoreError(ClassroomError):
    """A store that cannot be opened or written: newer version, full disk, locked file."""

    exit_code = 4


class BusyError(ClassroomError):
    """Something outside is taken: a port, a camera, a lecture already being recorded."""

    exit_code = 5
