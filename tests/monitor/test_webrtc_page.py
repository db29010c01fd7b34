"""The capture page in a real browser, with a film made here for a camera."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, Playwright, expect

from monitor.schema import Frame
from monitor.sources.webrtc.ingest import WebRtc
from monitor.sources.webrtc.settings import IngestSettings

PATIENCE_MS = 60_000
WIDTH, HEIGHT, GREY = 320, 240, 180
TOKEN = "a-token-of-enough-characters"


def write_film(path: Path) -> None:
    """Two seconds of one grey, as YUV4MPEG2."""
    picture = bytes([GREY]) * (WIDTH * HEIGHT) + bytes([128]) * (WIDTH * HEIGHT // 2)
    header = f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F15:1 Ip A1:1 C420jpeg\n".encode()
    path.write_bytes(header + b"".join(b"FRAME\n" + picture for _ in range(30)))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, playwright: Playwright, chromium_path: Path) -> Iterator[Browser]:
    film = tmp_path_factory.mktemp("camera") / "film.y4m"
    write_film(film)
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    chromium = playwright.chromium.launch(
        executable_path=chromium_path, args=["--no-sandbox", *camera, f"--use-file-for-fake-video-capture={film}"]
    )
    yield chromium
    chromium.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context()
    opened.set_default_timeout(PATIENCE_MS)
    yield opened
    opened.close()


@pytest.fixture
def source() -> Iterator[WebRtc]:
    with WebRtc("webrtc", IngestSettings(port=0), rate=4.0) as opened:
        yield opened


def share_camera(page: Page) -> None:
    page.get_by_role("button", name="A camera").click()
    expect(page.locator("body")).to_have_attribute("data-state", "live", timeout=PATIENCE_MS)


def is_the_film(frame: Frame) -> bool:
    """Grey as the film; a black one comes before a fake camera has warmed up."""
    return abs(float(frame.image_bgr.mean()) - GREY) < 20


def test_a_camera_is_shared_goes_on_after_a_reload_and_stops(context: BrowserContext, source: WebRtc) -> None:
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"http://127.0.0.1:{source.port}")
    page.get_by_label("Name of this stream").fill("Ada's Room")
    share_camera(page)
    frames = source.frames()
    assert next(frame for frame in frames if is_the_film(frame)).stream == "ada-s-room"
    expect(page.locator("#fact-stream")).to_have_text("ada-s-room", timeout=PATIENCE_MS)
    expect(page.locator("#fact-judged")).to_contain_text("picture", timeout=PATIENCE_MS)

    page.reload()
    expect(page.locator("body")).to_have_attribute("data-state", "live", timeout=PATIENCE_MS)
    assert next(frames).stream == "ada-s-room", "a reloaded tab goes on as the same stream"
    assert len(source._streams.all()) == 1

    page.get_by_role("button", name="Stop sharing").click()
    expect(page.locator("body")).to_have_attribute("data-state", "idle", timeout=PATIENCE_MS)
    assert source._streams.all()[0].session_id is None
    assert not errors


def test_after_a_stop_another_browser_goes_on_as_the_same_stream(browser: Browser, source: WebRtc) -> None:
    for _ in range(2):
        with browser.new_context() as context:
            page = context.new_page()
            page.goto(f"http://127.0.0.1:{source.port}")
            share_camera(page)
            page.get_by_role("button", name="Stop sharing").click()
            expect(page.locator("body")).to_have_attribute("data-state", "idle", timeout=PATIENCE_MS)
    assert [stream.stream_id for stream in source._streams.all()] == ["camera"]


def test_the_token_stays_out_of_the_address(context: BrowserContext) -> None:
    with WebRtc("webrtc", IngestSettings(port=0, token=TOKEN), rate=4.0) as source:
        page = context.new_page()
        page.goto(source.notices[0].rpartition(" ")[2])
        expect(page.get_by_role("button", name="A camera")).to_be_visible(timeout=PATIENCE_MS)
        assert TOKEN not in page.url
        share_camera(page)
        stranger = context.new_page()
        stranger.goto(f"http://127.0.0.1:{source.port}")
        expect(stranger.get_by_label("Token")).to_be_visible(timeout=PATIENCE_MS)
        expect(stranger.get_by_role("button", name="A camera")).to_be_hidden()
        stranger.get_by_label("Token").fill("something-quite-different")
        stranger.get_by_role("button", name="Unlock").click()
        expect(stranger.get_by_role("alert")).to_contain_text("does not fit", timeout=PATIENCE_MS)


def test_two_tabs_are_two_streams(context: BrowserContext, source: WebRtc) -> None:
    for _ in range(2):
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{source.port}")
        share_camera(page)
    assert [stream.stream_id for stream in source._streams.all()] == ["camera", "camera-2"]


def test_a_new_tab_goes_on_for_one_that_crashed(context: BrowserContext, source: WebRtc) -> None:
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{source.port}")
    share_camera(page)
    frames = source.frames()
    assert next(frames).stream == "camera"
    with page.expect_event("crash"), contextlib.suppress(Error):
        page.goto("chrome://crash", timeout=PATIENCE_MS)
    again = context.new_page()
    again.goto(f"http://127.0.0.1:{source.port}")
    share_camera(again)
    assert next(frame for frame in frames if is_the_film(frame)).stream == "camera"
    assert [stream.stream_id for stream in source._streams.all()] == ["camera"]
