"""The other pages in a real browser: the first start asks once, students are put right, a lecture is corrected live."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from monitor.store.control import notes_of, pause_asked
from monitor.store.corrections import newest_corrections
from monitor.store.database import StoreReader
from monitor.store.people import people_of
from tests.dashboard.conftest import acknowledge, dashboard_of
from tests.dashboard.lectures import going_on

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    path = tmp_path_factory.mktemp("pages") / "class.db"
    with going_on(path, 6, 30), dashboard_of(path) as address:
        yield address, path


def test_the_first_start_asks_once(page: Page, tmp_path: Path) -> None:
    with dashboard_of(tmp_path / "new.db") as address:
        page.goto(address)
        acknowledge(page)
        expect(page.get_by_text("No lecture yet")).to_be_visible()
        page.goto(f"{address}/students")
        expect(page.get_by_text("Nobody was seen yet")).to_be_visible()


def test_a_correction_a_note_and_a_pause_on_the_live_page(page: Page, served: tuple[str, Path]) -> None:
    address, path = served
    page.goto(address)
    tile = page.locator(".tile[data-student=s01]")
    tile.focus()
    tile.press("2")
    expect(tile.locator(".tag")).to_have_text("corrected")
    with StoreReader(path) as reader:
        assert newest_corrections(reader, "algebra")["s01"].label == "paper"
    tile.focus()
    tile.press("u")
    expect(tile.locator(".tag")).to_be_empty()
    page.get_by_label("Note on the timeline").fill(HOSTILE)
    page.keyboard.press("Enter")
    expect(page.locator(".notes span")).to_have_text(HOSTILE)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    with StoreReader(path) as reader:
        assert pause_asked(reader, "algebra")
        assert len(notes_of(reader, "algebra")) == 1
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()


def test_a_student_is_left_out_and_room_only_hides_all(page: Page, served: tuple[str, Path]) -> None:
    address, path = served
    page.goto(f"{address}/students")
    expect(page.locator(".people")).to_contain_text(HOSTILE)
    page.get_by_role("button", name="Leave out from now on").click()
    expect(page.get_by_text("s01: left out.")).to_be_visible()
    with StoreReader(path) as reader:
        assert [one.student_id for one in people_of(reader) if one.opted_out] == ["s01"]
    page.get_by_role("tab", name="Privacy").click()
    page.get_by_text("Room only", exact=True).click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.goto(address)
    expect(page.get_by_text("Room only: single students")).to_be_visible()
    expect(page.locator(".tile")).to_have_count(0)
