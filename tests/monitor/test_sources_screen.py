"""Which part of the desktop is meant, and what happens where there is none to look at."""

from __future__ import annotations

import os
import sys

import pytest

from monitor.errors import SourceError
from monitor.sources.screen import Region, find_region
from monitor.sources.source import open_source

DESKTOP: list[Region] = [
    {"left": -100, "top": 0, "width": 300, "height": 200},
    {"left": 0, "top": 0, "width": 200, "height": 100},
    {"left": -100, "top": 0, "width": 100, "height": 200},
]
HEADLESS = sys.platform == "linux" and not os.environ.get("DISPLAY")


def test_monitors_and_regions() -> None:
    assert find_region("", DESKTOP) == DESKTOP[1]
    assert find_region("2", DESKTOP) == DESKTOP[2]
    assert find_region("-50,10,30,20", DESKTOP) == {"left": -50, "top": 10, "width": 30, "height": 20}


@pytest.mark.parametrize("text", ["0", "3", "left", "0,0,0,10", "150,0,100,10", "1,2,3"])
def test_what_is_not_there_is_refused(text: str) -> None:
    with pytest.raises(SourceError, match="screen:"):
        find_region(text, DESKTOP)


@pytest.mark.skipif(not HEADLESS, reason="there is a desktop here")
def test_without_a_desktop_the_way_out_is_told() -> None:
    with pytest.raises(SourceError, match="--source webrtc"):
        open_source("screen")


@pytest.mark.skipif(HEADLESS, reason="no desktop here")
def test_pictures_of_a_desktop() -> None:
    with open_source("screen", rate=10.0) as source:
        frames = source.frames()
        first, second = next(frames), next(frames)
    assert first.image_bgr.shape == second.image_bgr.shape
    assert second.index > first.index
    assert source.counts.delivered == source.counts.captured == 2
