"""What tests of several rooms share: one Playwright a session, since a process holds only one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Playwright, sync_playwright

from tests.chromium import HOW_TO_INSTALL, find_chromium


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def chromium_path(playwright: Playwright) -> Path:
    """Its absence is a failure, not a reason to skip: these tests are the proof of the pages."""
    path = find_chromium(playwright)
    if path is None:
        pytest.fail(HOW_TO_INSTALL)
    return path
