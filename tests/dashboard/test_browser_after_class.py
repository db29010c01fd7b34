"""After class in a real browser: the heat map's pictures, students put right and back again, names, an erasure.

And in class the alert, which comes and goes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, Locator, Page, expect

from monitor.schema import Lecture, Observation
from monitor.store.database import Store, StoreReader
from monitor.store.people import people_of
from tests.dashboard.conftest import dashboard_of
from tests.dashboard.lectures import running, write_lecture
from tests.monitor.builders import lecture, moment, observation

STUDENTS = 6
SECONDS = 20
AWAY_S = 80


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    path = tmp_path_factory.mktemp("after") / "class.db"
    write_lecture(path, STUDENTS, SECONDS, odd=False, ended=True, crops=SECONDS)
    with Store.open(path, durable=False) as store:
        store.begin_lecture(lecture("geometry"))
        store.commit(moment(0, students=["s20"], lecture_id="geometry"))
        store.end_lecture("geometry")
    with dashboard_of(path) as address:
        yield address, path


def names(path: Path) -> dict[str, str | None]:
    with StoreReader(path) as reader:
        return {one.student_id: one.name for one in people_of(reader)}


def popover(page: Page, name: str) -> Locator:
    """The opened popover of a button."""
    page.get_by_role("button", name=name, exact=True).first.click()
    return page.get_by_test_id("stPopoverBody")


def done(page: Page, words: str) -> None:
    expect(page.get_by_test_id("stAlert").get_by_text(words)).to_be_visible()
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


def undo(page: Page, kind: str) -> None:
    page.get_by_role("button", name=f"Undo the {kind}").click()
    done(page, f"The {kind} is undone.")


def test_a_click_on_the_heat_map_shows_the_pictures_kept(page: Page, served: tuple[str, Path]) -> None:
    page.goto(f"{served[0]}/lectures?lecture=algebra")
    rows = page.locator(".vega-embed").nth(1).locator("canvas, svg.marks").first
    rows.wait_for()
    expect(page.get_by_text("Click a cell to see the pictures")).to_be_visible()
    box = rows.bounding_box()
    assert box is not None
    # The lowest row is the last student; the axis and its numbers are below it.
    rows.click(position={"x": 0.6 * box["width"], "y": 0.6 * box["height"]})
    expect(page.locator(".cropshead")).to_contain_text("around 0:")
    expect(page.locator(".crops figure").first).to_contain_text("model:")
    width = page.locator(".crops img").first.evaluate("image => image.decode().then(() => image.naturalWidth)")
    assert width > 0


def test_a_student_is_renamed_merged_and_split_and_each_is_undone(page: Page, served: tuple[str, Path]) -> None:
    address, path = served
    before = names(path)
    page.goto(f"{address}/students")
    opened = popover(page, "Rename")
    opened.get_by_label("Name").fill("Augusta Ada King")
    opened.get_by_role("button", name="Rename").click()
    done(page, "Renamed.")
    assert names(path)["s01"] == "Augusta Ada King"
    undo(page, "rename")
    assert names(path) == before

    opened = popover(page, "Merge")
    for other, words in (("s02", "they are two people and stay two"), ("s20", "Merged.")):
        opened.get_by_role("combobox").click()
        page.get_by_role("option", name=other).click()
        opened.get_by_role("button", name="Merge").click()
        done(page, words)
    assert set(names(path)) == set(before) - {"s20"}
    undo(page, "merge")
    assert names(path) == before

    opened = popover(page, "Split")
    opened.get_by_role("combobox").click()
    page.get_by_role("option", name="Demo lecture").click()
    opened.get_by_role("button", name="Split").click()
    done(page, "Split off.")
    assert len(names(path)) == len(before) + 1
    undo(page, "split")
    assert names(path) == before


def test_a_list_of_students_is_taken_in(page: Page, served: tuple[str, Path]) -> None:
    address, path = served
    page.goto(f"{address}/students")
    page.get_by_text("Take in a list of students").click()
    roster: FilePayload = {
        "name": "roster.csv",
        "mimeType": "text/csv",
        "buffer": b"name,opted_out\nAda Lovelace,\nNew Person,yes\n",
    }
    page.locator("input[type=file]").set_input_files(roster)
    page.get_by_role("button", name="Take it in").click()
    done(page, "1 new, 1 known already, 1 left out from now on.")
    with StoreReader(path) as reader:
        assert [one.name for one in people_of(reader) if one.opted_out] == ["New Person"]


def test_an_erased_student_is_gone(page: Page, served: tuple[str, Path]) -> None:
    address, path = served
    page.goto(f"{address}/students")
    opened = popover(page, "Erase")
    button = opened.get_by_role("button", name="Erase")
    expect(button).to_be_disabled()
    opened.get_by_text("Yes, erase all of it").click()
    button.click()
    done(page, "s01 is erased.")
    assert "s01" not in names(path)
    with StoreReader(path) as reader:
        assert "s01" not in {row.student_id for row in reader.observations("algebra")}


@contextmanager
def heard(store: Store, lecture_id: str) -> Iterator[None]:
    """A monitor that is heard from each second."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(1.0):
            store.heartbeat(lecture_id, running(1))

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def seen(index: int, label: str) -> list[Observation]:
    return [observation(f"s{number:02d}", float(index), label) for number in range(11, 15)]


def test_a_room_that_looks_away_for_long_is_told_until_it_looks_back(page: Page, served: tuple[str, Path]) -> None:
    address, path = served
    start = datetime.now(UTC) - timedelta(seconds=AWAY_S)
    with Store.open(path, durable=False) as store:
        store.begin_lecture(Lecture("away", "webcam:0", "attention", start))
        for index in range(AWAY_S):
            store.commit(moment(index, seen(index, "wander"), lecture_id="away"))
        with heard(store, "away"):
            page.goto(address)
            expect(page.locator(".alert")).to_contain_text("100% of the room has looked elsewhere")
            for index in range(AWAY_S, AWAY_S + 10):
                store.commit(moment(index, seen(index, "screen"), lecture_id="away"))
            expect(page.locator(".alert")).to_be_empty()
