"""Where a Chromium is on this machine."""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import Playwright

HOW_TO_INSTALL = "no Chromium found: install one with `python -m playwright install chromium`, or from your system"
_NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium(playwright: Playwright) -> Path | None:
    """The system's own, else the one that Playwright installed, else None."""
    installed = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if installed:
        return Path(installed)
    own = Path(playwright.chromium.executable_path)
    return own if own.exists() else None
