"""A registry without a model of its own, and pictures to judge by."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.registry import Registry
from tests.export.registry.models import write_pictures


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """An empty one."""
    return Registry(tmp_path / "models")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for --heldout."""
    return write_pictures(tmp_path_factory.mktemp("pictures") / "colors")
