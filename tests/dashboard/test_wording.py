"""What the dashboard says."""

from __future__ import annotations

import pytest

from dashboard import wording
from monitor.schema import UNSURE, Presence


def test_the_room_in_one_sentence() -> None:
    counts = [("at the screen", 14), ("at paper", 3), ("elsewhere", 2)]
    assert ", ".join(wording.room_sentence(counts, 22)) == "14 of 22 at the screen, 3 at paper, 2 elsewhere"


@pytest.mark.parametrize(("total", "said"), [(0, "Nobody in view"), (4, "4 in the room, nobody read yet")])
def test_nobody_to_count(total: int, said: str) -> None:
    assert wording.room_sentence([("at the screen", 0), ("at paper", 0)], total) == [said]


def test_the_others_are_named_in_singular_and_plural() -> None:
    counts = {UNSURE: 1, Presence.CAMERA_OFF: 2, Presence.PICTURE_STILL: 1, Presence.ABSENT: 3, Presence.OPTED_OUT: 0}
    assert wording.aside_sentence(counts) == "1 unsure, 2 cameras off, 1 picture still, 3 left the room"
    assert wording.aside_sentence({}) == ""


@pytest.mark.parametrize(
    ("age_s", "said"),
    [(None, ""), (0.4, "now"), (7.2, "7 s ago"), (99.0, "99 s ago"), (180.0, "3 min ago"), (7200.0, "2 h ago")],
)
def test_ages(age_s: float | None, said: str) -> None:
    assert wording.age_words(age_s) == said


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Ada Lovelace", "AL"), ("s07", "7"), ("s112", "112"), ("Tariq", "T"), ("<script>", "S"), ("李 小龍", "李小"),
     ("", "?"), ("!!!", "?"), ("Jean-Luc van der Berg", "JB")],
)  # fmt: skip
def test_initials(name: str, letters: str) -> None:
    assert wording.initials(name) == letters


@pytest.mark.parametrize(
    ("source", "said"),
    [("demo", "Demo lecture"), ("webcam:0", "Camera 0"), ("/a/b/class.mp4", "class.mp4"), ("C:\\x\\y.mkv", "y.mkv")],
)
def test_sources(source: str, said: str) -> None:
    assert wording.source_words(source) == said


@pytest.mark.parametrize(("seconds", "said"), [(42, "0:42"), (2885, "48:05"), (4320, "1:12:00")])
def test_durations(seconds: float, said: str) -> None:
    assert wording.duration_words(seconds) == said
