"""The pages in a real browser, on a real server, over a store that the real writer goes on filling."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Dialog, Page, expect

from monitor.store.database import Store
from tests.dashboard.conftest import acknowledge, dashboard_of
from tests.dashboard.lectures import going_on, running, write_lecture
from tests.monitor.builders import moment

STUDENTS = 12
PATIENCE_MS = 60_000
"""For a machine that has much else to do."""
HOSTILE = "geometry<img src=x onerror=alert(1)>.mp4"
"""The name of a recording, as somebody may have sent it."""


expect.set_options(timeout=PATIENCE_MS / 2)


class Seen:
    """What a page asked for and complained about."""

    def __init__(self, page: Page) -> None:
        self.hosts: set[str | None] = set()
        self.errors: list[str] = []
        self.dialogs: list[str] = []
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).hostname))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", self._on_dialog)

    def _on_dialog(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The dashboard of a lecture that goes on, beside one that ended."""
    store = tmp_path_factory.mktemp("live") / "class.db"
    write_lecture(store, 6, 60, lecture_id="geometry", source=HOSTILE, ended=True)
    with going_on(store, STUDENTS, 120), dashboard_of(store) as address:
        yield address


@pytest.fixture(scope="module")
def room(chromium: Browser, live: str) -> Iterator[tuple[Page, Seen]]:
    """The live page, opened once for the tests that only look."""
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    yield page, _open(page, live)
    page.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    yield page
    page.close()


def _open(page: Page, address: str) -> Seen:
    seen = Seen(page)
    page.goto(address)
    page.locator(".tile").first.wait_for(timeout=PATIENCE_MS)
    return seen


def _painted(page: Page) -> float:
    return float(page.locator(".room").get_attribute("data-painted") or 0)


def _wait_for_paints(page: Page, count: int) -> None:
    """Let the page refresh itself a few times; it does so each second."""
    for _ in range(count):
        before, until = _painted(page), time.monotonic() + PATIENCE_MS / 1000
        while _painted(page) == before:
            page.wait_for_timeout(100)
            assert time.monotonic() < until, "the page does not refresh itself"


WATCH = """() => {
  const room = document.querySelector('[data-testid=stBidiComponentIsolated]').shadowRoot.querySelector('.room');
  const watch = window.watch = {removed: 0, opacity: 1, blank: 0, frames: 0, heights: new Set(), on: true};
  new MutationObserver(changes => changes.forEach(change => change.removedNodes.forEach(node => {
    if (node.nodeName === 'ARTICLE' || node.nodeName === 'IMG' || node.nodeName === 'SECTION') watch.removed++;
  }))).observe(room, {childList: true, subtree: true});
  const look = () => {
    if (!watch.on) return;
    watch.frames++;
    if (!room.isConnected || !room.querySelector('.areas path').getAttribute('d')) watch.blank++;
    for (let node = room; node; node = node.parentElement ?? node.getRootNode().host)
      watch.opacity = Math.min(watch.opacity, +getComputedStyle(node).opacity);
    watch.heights.add(Math.round(room.getBoundingClientRect().height));
    requestAnimationFrame(look);
  };
  look();
}"""
FOUND = "() => { const w = window.watch; w.on = false; return {...w, heights: [...w.heights]}; }"


def test_refreshes_each_second_without_flicker(room: tuple[Page, Seen]) -> None:
    page, _ = room
    _wait_for_paints(page, 1)
    page.evaluate(WATCH)
    _wait_for_paints(page, 4)
    found: dict[str, Any] = page.evaluate(FOUND)
    assert found["frames"] > 10
    assert found["removed"] == 0, "tiles and pictures stay the same elements"
    assert found["blank"] == 0
    assert found["opacity"] == 1, "Streamlit must not grey the page while it reruns"
    assert len(found["heights"]) == 1, "nothing jumps"


def test_the_room_comes_first_in_one_sentence(room: tuple[Page, Seen]) -> None:
    page, _ = room
    said = page.locator(".sentence").inner_text().replace("\n", ", ")
    assert re.fullmatch(r"\d+ of 11 at the screen, \d+ at paper, \d+ elsewhere", said), said
    expect(page.locator(".pill")).to_have_text("Live")
    tops = [page.locator(part).first.bounding_box() for part in (".sentence", ".chart", ".tile")]
    assert [box["y"] for box in tops if box] == sorted(box["y"] for box in tops if box)
    expect(page.locator(".facts")).to_contain_text(re.compile(r"Pictures taken\s*\d+\s*Skipped\s*2"))


@pytest.mark.parametrize(
    ("student", "words"),
    [
        ("s04", "unsure"),
        ("s05", "camera off"),
        ("s08", "picture still"),
        ("s10", "opted out"),
        ("s09", "left"),
        ("s11", "name not read"),
    ],
)
def test_every_odd_state_is_said_in_words_and_drawn(room: tuple[Page, Seen], student: str, words: str) -> None:
    tile = room[0].locator(f".tile[data-student={student}]")
    expect(tile).to_contain_text(words)
    expect(tile.locator(".state svg, .tag svg").first).to_be_visible()


def test_a_stale_label_is_greyed_and_tells_its_age(room: tuple[Page, Seen]) -> None:
    page, _ = room
    stale, fresh = page.locator(".tile[data-student=s07]"), page.locator(".tile[data-student=s01]")
    expect(stale).to_have_attribute("data-stale", "yes")
    expect(stale.locator(".age")).to_have_text(re.compile(r"\d+ s ago"))
    opacity = "element => +getComputedStyle(element).opacity"
    assert stale.locator(".state").evaluate(opacity) < 0.6
    assert fresh.locator(".state").evaluate(opacity) == 1
    expect(fresh.locator(".age")).to_have_text("now")


def test_pointing_at_the_chart_tells_the_shares(room: tuple[Page, Seen]) -> None:
    page, _ = room
    page.locator(".chart").hover(position={"x": 500, "y": 60})
    tip = page.locator(".tip")
    expect(tip.locator("div")).to_have_text([re.compile("ago|now"), *[re.compile(r"^\D+\d+%$")] * 4])
    box = tip.bounding_box()
    assert box
    assert box["width"] < 260
    assert box["height"] < 180
    page.mouse.move(5, 5)
    expect(tip).to_be_hidden()


def test_a_student_named_script_is_only_text(room: tuple[Page, Seen]) -> None:
    page, seen = room
    expect(page.locator(".tile[data-student=s06] .name")).to_have_text("<script>alert(1)</script>")
    assert page.locator(".tile script").count() == 0
    assert seen.dialogs == []
    assert seen.errors == []


def test_asks_nobody_but_this_machine(room: tuple[Page, Seen]) -> None:
    assert room[1].hosts <= {"localhost", None}


def test_no_clutter_of_streamlit(room: tuple[Page, Seen]) -> None:
    page, _ = room
    for clutter in ("stAppDeployButton", "stMainMenu", "stStatusWidget", "stDecoration"):
        expect(page.get_by_test_id(clutter)).to_have_count(0)


@pytest.mark.parametrize("width", [900, 1280])
def test_nothing_is_wider_than_the_window(room: tuple[Page, Seen], width: int) -> None:
    page, _ = room
    page.set_viewport_size({"width": width, "height": 900})
    _wait_for_paints(page, 1)
    wide = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
    assert wide <= width
    boxes = [box for tile in page.locator(".tile").all() if (box := tile.bounding_box())]
    assert len({round(box["width"]) for box in boxes}) == 1
    assert max(box["x"] + box["width"] for box in boxes) <= width


def test_dark_when_the_system_is_dark(room: tuple[Page, Seen]) -> None:
    page, _ = room
    lightness = {}
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        _wait_for_paints(page, 1)
        color = page.locator(".tile").first.evaluate("element => getComputedStyle(element).color")
        lightness[scheme] = sum(map(float, re.findall(r"[\d.]+", color)[:3]))
    assert lightness["light"] < lightness["dark"]


def test_an_older_lecture_can_be_picked(page: Page, live: str) -> None:
    seen = _open(page, live)
    page.get_by_role("combobox").click()
    page.get_by_role("option", name=re.compile(re.escape(HOSTILE))).click()
    expect(page.locator(".pill")).to_have_text("Ended")
    expect(page.locator(".tile")).to_have_count(6)
    expect(page.locator(".aside")).to_contain_text("As it stood at the end")
    expect(page.locator(".context")).to_contain_text(HOSTILE)
    assert seen.dialogs == []


def test_the_list_of_lectures_opens_one(page: Page, live: str) -> None:
    seen = Seen(page)
    page.goto(f"{live}/lectures")
    page.locator(".lectures a", has_text=HOSTILE).click()
    expect(page.locator(".lectures a[aria-current]")).to_contain_text(HOSTILE)
    expect(page.get_by_text("Student by student")).to_be_visible()
    expect(page.locator(".vega-embed :is(canvas, svg)")).to_have_count(2)
    assert seen.hosts <= {"localhost", None}
    assert seen.dialogs == []


def test_from_no_store_to_a_paused_lecture_without_a_reload(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "later.db"
    with dashboard_of(path) as address:
        page.goto(address)
        acknowledge(page)
        expect(page.get_by_text("No lecture yet")).to_be_visible(timeout=PATIENCE_MS)
        expect(page.get_by_text("classroom live --source demo")).to_be_visible()
        write_lecture(path, 3, 20, odd=False)
        expect(page.locator(".pill")).to_have_text("Live")
        expect(page.get_by_text("No lecture yet")).to_have_count(0)
        with Store.open(path, durable=False) as store:
            store.resume_point("algebra")
            store.commit(moment(20, students=["s01", "s02", "s03", "s04"]))
            store.heartbeat("algebra", running(21, "paused"))
            expect(page.locator(".pill")).to_have_text("Paused")
            expect(page.locator(".tile")).to_have_count(4)
