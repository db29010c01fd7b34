"""Take the pictures of the README: `python -m tests.dashboard.screenshots [docs]`.

Plays the demo lecture with the real `classroom live` on a store of its own, waits until the chart has something
to show, and writes a picture of each page, light and dark. With --address, shows one that runs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Page, sync_playwright

from tests.chromium import HOW_TO_INSTALL, find_chromium
from tests.dashboard.conftest import acknowledge, free_port

WAIT_S = 40
"""How long the demo plays before the pictures: it lasts a minute or so, and should still be live in them."""
SHOTS: tuple[tuple[str, str, Literal["light", "dark"]], ...] = (
    ("dashboard.png", "", "light"),
    ("dashboard-dark.png", "", "dark"),
    ("lectures.png", "lectures", "light"),
    ("lectures-dark.png", "lectures", "dark"),
    ("review.png", "review", "light"),
    ("review-dark.png", "review", "dark"),
    ("models.png", "models", "light"),
    ("models-dark.png", "models", "dark"),
    ("students.png", "students", "light"),
    ("students-dark.png", "students", "dark"),
)
READY = {"": ".tile", "lectures": ".vega-embed", "review": ".review[data-mode=crop]", "students": ".figures"}
"""What a page shows when it is drawn; models may be empty."""


def main() -> None:
    """Read the arguments, play the demo unless an address is given, take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=Path("docs"))
    parser.add_argument("--address", help="of a dashboard that runs already, such as http://localhost:8501")
    parser.add_argument("--wait", type=float, default=WAIT_S, help="seconds of demo before the pictures")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.address:
        take(options.address, options.out)
        return
    with demo() as address:
        take(address, options.out, wait_s=options.wait)


@contextmanager
def demo() -> Iterator[str]:
    """Play the demo lecture beside its dashboard; gives the address."""
    port = free_port()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        store = Path(folder) / "demo.db"
        arguments = ["live", "--source", "demo", "--store", str(store), "--port", str(port)]
        process = subprocess.Popen([sys.executable, "-m", "classroom", *arguments])
        try:
            yield f"http://localhost:{port}"
        finally:
            process.terminate()
            process.wait(20)


def take(address: str, out: Path, *, wait_s: float = 0.0) -> None:
    """Open each page and write its picture."""
    with sync_playwright() as playwright:
        path = find_chromium(playwright)
        if path is None:
            raise SystemExit(HOW_TO_INSTALL)
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 820}, device_scale_factor=1.5)
        _go(page, address)
        page.locator(".tile, .st-key-acknowledgement").first.wait_for(timeout=60_000)
        if page.get_by_text("Before you begin").count():
            acknowledge(page)
        page.locator(".tile").first.wait_for(timeout=60_000)
        page.wait_for_timeout(1000 * wait_s)
        for name, place, scheme in SHOTS:
            page.emulate_media(color_scheme=scheme)
            _go(page, f"{address}/{place}")
            page.locator(READY.get(place, ".empty, .figures")).first.wait_for(timeout=60_000)
            if place == "review":
                page.get_by_label("Who is labelling").fill("Ada")
                page.keyboard.press("Enter")
            page.wait_for_timeout(2500)
            page.screenshot(path=out / name)
            print(out / name)
        browser.close()


def _go(page: Page, address: str) -> None:
    """Open an address, with patience for a server that is still starting."""
    for _ in range(60):
        try:
            page.goto(address)
            return
        except Exception as error:
            if "ERR_CONNECTION_REFUSED" not in str(error):
                raise
            page.wait_for_timeout(500)
    raise SystemExit(f"{address} does not answer: is the dashboard running?")


if __name__ == "__main__":
    main()
