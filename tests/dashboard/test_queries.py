"""What the live page is fed: the room, the chart and the tiles, from a store that the real writer filled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dashboard.queries import monitor_state, open_reader, room_view
from monitor.errors import StoreError
from monitor.schema import Episode, Presence
from monitor.store.database import MonitorStatus, Store, StoreReader
from tests.dashboard.lectures import running, write_lecture
from tests.monitor.builders import START, lecture, moment, observation

SECONDS = 400


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "class.db"
    write_lecture(path, students=14, seconds=SECONDS)
    return path


@pytest.fixture(scope="module")
def view(path: Path) -> dict[str, Any]:
    with StoreReader(path) as reader:
        return room_view(reader, "algebra")


def _tile(view: dict[str, Any], student: str) -> dict[str, Any]:
    tile: dict[str, Any] = next(tile for tile in view["students"] if tile["id"] == student)
    return tile


def test_everybody_is_counted_once(view: dict[str, Any]) -> None:
    said = ", ".join(part["text"] for part in view["sentence"])
    numbers = [int(part["text"].split()[0]) for part in view["sentence"]]
    assert said.startswith(f"{numbers[0]} of 13 at the screen, ")
    assert sum(numbers) == 13 - 1 - 1 - 1 - 1 - 1
    assert view["aside"] == "1 unsure, 1 camera off, 1 picture still, 1 opted out, 1 out of view, 1 left the room"


@pytest.mark.parametrize(
    ("student", "kind", "word", "icon"),
    [
        ("s04", "unsure", "unsure", "unsure"),
        ("s05", "presence", "camera off", "camera_off"),
        ("s08", "presence", "picture still", "picture_still"),
        ("s10", "presence", "opted out", "opted_out"),
        ("s09", "presence", "left", "absent"),
    ],
)
def test_each_state_has_its_word_and_icon(view: dict[str, Any], student: str, kind: str, word: str, icon: str) -> None:
    tile = _tile(view, student)
    assert (tile["kind"], tile["word"], tile["icon"]) == (kind, word, icon)


def test_a_label_has_the_colour_of_the_rubric(view: dict[str, Any]) -> None:
    tile = _tile(view, "s01")
    expected = {"at the screen": "#0072B2", "at paper": "#E69F00", "elsewhere": "#CC79A7"}
    assert tile["color"] == expected[tile["word"]]
    assert tile["confidence"] >= 0.7
    assert not tile["stale"]


def test_the_confidence_is_that_of_the_stretch_shown(tmp_path: Path) -> None:
    """One odd answer changes neither the state nor the number beside it."""
    with Store.open(tmp_path / "class.db") as store:
        store.begin_lecture(lecture())
        odd = observation("s01", 0.0, "wander", confidence=0.98, state="screen")
        store.commit(moment(0, [odd], episodes=[Episode("s01", "screen", 0.0, 1.0, 0.8)]))
    with StoreReader(tmp_path / "class.db") as reader:
        tile = _tile(room_view(reader, "algebra", now=START), "s01")
    assert tile["word"] == "at the screen"
    assert tile["confidence"] == pytest.approx(0.8)


def test_who_is_out_of_view_is_stale(view: dict[str, Any]) -> None:
    tile = _tile(view, "s07")
    assert tile["stale"]
    assert tile["age"].endswith("s ago")


def test_an_unread_name_is_said_and_never_another_ones(view: dict[str, Any]) -> None:
    tile = _tile(view, "s11")
    assert (tile["name"], tile["tag"]) == ("s11", "name not read")


def test_pictures_only_of_those_who_may_be_seen(view: dict[str, Any]) -> None:
    assert _tile(view, "s01")["image"].startswith("data:image/jpeg;base64,/9j/")
    assert _tile(view, "s10")["image"] is None
    assert (_tile(view, "s02")["image"], _tile(view, "s02")["initials"]) == (None, "EN")


def test_the_chart_holds_the_last_minutes_and_sums_to_one(view: dict[str, Any]) -> None:
    chart = view["chart"]
    assert chart["from_s"] % chart["bin_s"] == 0
    assert SECONDS - chart["from_s"] <= 310
    assert len(chart["times"]) <= 31
    columns = zip(*(series["shares"] for series in chart["series"]), strict=True)
    assert all(sum(column) == pytest.approx(1.0) for column in columns)
    assert [series["phrase"] for series in chart["series"]] == ["at the screen", "at paper", "elsewhere", "unsure"]
    assert chart["ticks"][0] == {"t": SECONDS, "text": "now"}


def test_later_looks_do_not_change_old_bins(path: Path) -> None:
    with StoreReader(path) as reader:
        record = reader.lecture("algebra")
        assert record is not None
        now = record.active_at
        first, later = (room_view(reader, "algebra", now + timedelta(seconds=s))["chart"] for s in (0, 5))
    assert first == later


@pytest.mark.parametrize("seconds", [1, 7, 301, 313])
def test_no_bin_lies_outside_the_chart(tmp_path: Path, seconds: int) -> None:
    write_lecture(tmp_path / "a.db", students=2, seconds=seconds, odd=False)
    with StoreReader(tmp_path / "a.db") as reader:
        chart = room_view(reader, "algebra")["chart"]
    assert all(chart["from_s"] < at_s < chart["until_s"] for at_s in chart["times"])
    assert chart["times"] == sorted(chart["times"])


def test_a_gap_stays_a_gap(tmp_path: Path) -> None:
    with Store.open(tmp_path / "a.db", durable=False) as store:
        store.begin_lecture(lecture())
        for index, (at_s, presence) in enumerate(
            [(0.0, Presence.VISIBLE), (30.0, Presence.CAMERA_OFF), (60.0, Presence.VISIBLE)]
        ):
            store.commit(moment(index, [observation("s01", at_s, presence=presence)], pts_s=at_s))
    with StoreReader(tmp_path / "a.db") as reader:
        chart = room_view(reader, "algebra")["chart"]
    assert chart["series"][0]["shares"] == [1.0, None, 1.0]


def test_ages_after_the_end_are_not_of_today(tmp_path: Path) -> None:
    start = datetime.now(UTC) - timedelta(hours=3)
    write_lecture(tmp_path / "a.db", students=3, seconds=10, ended=True, odd=False, start=start)
    with StoreReader(tmp_path / "a.db") as reader:
        view = room_view(reader, "algebra")
    assert view["status"]["state"] == "ended"
    assert view["aside"].startswith("As it stood at the end.")
    assert [tile["stale"] for tile in view["students"]] == [False] * 3
    assert {tile["age"] for tile in view["students"]} == {""}


@pytest.mark.parametrize(
    ("heard_s_ago", "status", "state"),
    [(1, "running", "live"), (1, "paused", "paused"), (60, "running", "stalled"), (60, "paused", "stalled")],
)
def test_what_the_monitor_is_doing(tmp_path: Path, heard_s_ago: int, status: str, state: str) -> None:
    with Store.open(tmp_path / "a.db", durable=False) as store:
        store.begin_lecture(lecture())
        store.commit(moment(0))
        store.heartbeat("algebra", running(1, status))
    with StoreReader(tmp_path / "a.db") as reader:
        record, heartbeat = reader.lecture("algebra"), reader.status("algebra")
        assert record is not None
        now = record.active_at + timedelta(seconds=heard_s_ago)
        assert monitor_state(record, heartbeat, now) == state
        assert room_view(reader, "algebra", now)["status"]["state"] == state


def test_before_the_first_picture(tmp_path: Path) -> None:
    with Store.open(tmp_path / "a.db", durable=False) as store:
        store.begin_lecture(lecture())
        store.heartbeat("algebra", MonitorStatus("running"))
    with StoreReader(tmp_path / "a.db") as reader:
        view = room_view(reader, "algebra")
    assert view["status"]["word"] == "Starting"
    assert view["students"] == []


def test_no_store_is_not_an_error_but_a_foreign_file_is(tmp_path: Path) -> None:
    assert open_reader(str(tmp_path / "none.db")) is None
    (tmp_path / "text.db").write_text("not a database, though long enough to be read as one" * 40)
    with pytest.raises(StoreError):
        open_reader(str(tmp_path / "text.db"))


def test_an_erased_lecture_is_named(path: Path) -> None:
    with StoreReader(path) as reader, pytest.raises(StoreError, match="geometry is no longer here"):
        room_view(reader, "geometry")


def test_looking_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    write_lecture(path, students=3, seconds=10)
    before = path.read_bytes()
    with StoreReader(path) as reader:
        room_view(reader, "algebra")
    assert path.read_bytes() == before
