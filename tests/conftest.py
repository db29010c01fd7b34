"""What tests of several rooms share: one Playwright a session, since a process holds only one; a process as it was."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
from playwright.sync_api import Playwright, sync_playwright

from tests.chromium import HOW_TO_INSTALL, find_chromium
from tests.galleries import person_picture

# A shell that starts something in the background lets it ignore Ctrl-C, and so would each program that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def same_main_module() -> Iterator[None]:
    """Streamlit's AppTest leaves its script as the main module, which a process spawned later would run again."""
    before = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = before


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


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that shows one student."""
    path = tmp_path_factory.mktemp("picture") / "student.png"
    cv2.imwrite(str(path), person_picture(3))
    return path
