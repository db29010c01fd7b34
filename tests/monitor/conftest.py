"""A store that tests write to, and the clock it goes by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.store.database import Store
from tests.monitor.builders import Clock, lecture


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    """A new store in which the lecture "algebra" has begun."""
    with Store.open(tmp_path / "classroom.db", durable=False, clock=clock) as opened:
        opened.begin_lecture(lecture())
        yield opened
