"""A review by keyboard alone, in a real browser: each answer stored once, undone exactly, whatever is reloaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from monitor.store.database import StoreReader
from monitor.store.review import current_annotations
from tests.dashboard.conftest import dashboard_of
from tests.dashboard.lectures import write_lecture
from tests.recordings import Film, steady, write_recording

CROPS = 12
PATIENCE_MS = 90_000
STORED = ".review[data-pending='0']"
NINE_PICTURES = """() => {
  const host = document.querySelector('[data-testid=stBidiComponentIsolated]').shadowRoot;
  const shown = window.shown ??= new Set();
  shown.add(host.querySelector('.picture img').src);
  return shown.size >= 9;
}"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "class.db"
    recording = tmp_path / "class.mp4"
    write_recording(recording, Film(steady(60, fps=5.0)))
    write_lecture(path, 6, 20, crops=CROPS, ended=True, odd=False, source=str(recording))
    return path


@pytest.fixture
def page(chromium: Browser, store: Path) -> Iterator[Page]:
    with dashboard_of(store) as address:
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{address}/review")
        page.locator(".review[data-mode=crop]").wait_for()
        yield page
        page.close()


def answers(store: Path) -> list[str | None]:
    with StoreReader(store) as reader:
        return [row.label for row in current_annotations(reader, "attention")]


def test_keys_label_undo_and_survive_a_reload(page: Page, store: Path) -> None:
    review = page.locator(".review")
    page.keyboard.press("1")
    expect(review).to_have_attribute("data-pending", "0")
    assert answers(store) == [], "nobody has said who is labelling"
    page.get_by_label("Who is labelling").fill("Ada L.")
    page.keyboard.press("Enter")
    page.locator(".review[data-named=true]").wait_for()
    for key in "1203":  # faster than the server answers
        page.keyboard.press(key)
    page.locator(STORED).wait_for()
    expect(page.locator(".progress")).to_contain_text("4 answered by you · 8 wait")
    assert answers(store) == ["screen", "paper", None, "wander"]
    page.keyboard.press("u")
    page.keyboard.press("u")
    page.locator(STORED).wait_for()
    expect(page.locator(".progress")).to_contain_text("2 answered by you")
    assert answers(store) == ["screen", "paper"]
    page.keyboard.press("2")
    page.reload()
    page.locator(".review[data-mode=crop]").wait_for()
    expect(page.locator(".progress")).to_contain_text("3 answered")
    assert answers(store) == ["screen", "paper", "paper"]


def test_space_plays_the_seconds_around(page: Page) -> None:
    picture = page.locator(".picture img")
    still = picture.get_attribute("src")
    expect(page.locator(".play")).to_have_text("space plays the seconds around")
    page.keyboard.press(" ")
    page.wait_for_function(NINE_PICTURES)
    expect(picture).to_have_attribute("src", still or "")  # when it is over
    expect(page.locator(".play")).to_be_visible()
