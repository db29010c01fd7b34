"""What the page of past lectures is fed."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard.charts import heat_chart, shares_chart, students_chart
from dashboard.history import LectureDetail, detail, summarize
from monitor.schema import UNSURE, Episode, Presence
from monitor.store.database import Store, StoreReader
from tests.dashboard.lectures import write_lecture
from tests.monitor.builders import lecture, moment, observation

SECONDS = 40


@pytest.fixture
def reader(tmp_path: Path) -> StoreReader:
    """s01 at the screen, then at paper; s02's camera off; both called Ada."""
    with Store.open(tmp_path / "a.db", durable=False) as store:
        store.begin_lecture(lecture(source="C:\\lectures\\algebra.mp4"))
        for at in range(SECONDS):
            label = "screen" if at < 30 else "paper"
            rows = [observation("s01", at, label), observation("s02", at, presence=Presence.CAMERA_OFF)]
            episodes = [
                Episode("s01", label, 0.0 if at < 30 else 30.0, at + 1.0, 0.9),
                Episode("s02", "camera_off", 0.0, at + 1.0, None),
            ]
            names = {"s01": "Ada", "s02": "Ada "} if at == 0 else {}
            store.commit(moment(at, rows, episodes=episodes, names=names))
        store.end_lecture("algebra")
    return StoreReader(tmp_path / "a.db")


def _detail(reader: StoreReader) -> LectureDetail:
    record = reader.lecture("algebra")
    assert record is not None
    return detail(reader, record)


def test_a_line_of_the_list(reader: StoreReader) -> None:
    record = reader.lecture("algebra")
    assert record is not None
    summary = summarize(reader, record)
    assert summary.title == "algebra.mp4"
    assert "0:40 long · 2 students" in summary.facts
    assert [(phrase, round(share, 2)) for phrase, _, share in summary.parts] == [
        ("at the screen", 0.75),
        ("at paper", 0.25),
        ("elsewhere", 0.0),
        (UNSURE, 0.0),
    ]


def test_shares_sum_to_one_in_each_bin(reader: StoreReader) -> None:
    rows = _detail(reader).shares
    for at_s in {row["at_s"] for row in rows}:
        assert sum(float(str(row["share"])) for row in rows if row["at_s"] == at_s) == pytest.approx(1.0)


@pytest.mark.parametrize("seconds", [1, 3, 6, 61])
def test_the_chart_reaches_from_the_start_to_the_end(tmp_path: Path, seconds: int) -> None:
    write_lecture(tmp_path / "b.db", students=2, seconds=seconds, odd=False)
    with StoreReader(tmp_path / "b.db") as reader:
        places = sorted({float(str(row["at_s"])) for row in _detail(reader).shares})
    assert (places[0], places[-1]) == (0.0, seconds)


def test_a_stretch_without_anybody_is_empty(tmp_path: Path) -> None:
    with Store.open(tmp_path / "b.db", durable=False) as store:
        store.begin_lecture(lecture())
        for index, at_s in enumerate((0.0, 1.0, 60.0, 61.0)):
            store.commit(moment(index, pts_s=at_s))
    with StoreReader(tmp_path / "b.db") as reader:
        rows = _detail(reader).shares
    assert {row["share"] for row in rows if 10 < float(str(row["at_s"])) < 50} == {0.0}


def test_episodes_are_rows_with_words_and_colours(reader: StoreReader) -> None:
    found = _detail(reader)
    assert [(row["state"], row["kind"], row["from_s"], row["to_s"]) for row in found.episodes] == [
        ("at the screen", "at the screen", 0.0, 30.0),
        ("at paper", "at paper", 30.0, 40.0),
        ("camera off", "not visible", 0.0, 40.0),
    ]
    assert {row["kind"] for row in found.episodes} <= set(found.colors)


def test_charts_take_the_rows(reader: StoreReader) -> None:
    found = _detail(reader)
    shares = shares_chart(found.shares, found.label_colors, found.until_s).to_dict()
    students = students_chart(found.episodes, found.colors, found.students, found.until_s).to_dict()
    assert shares["encoding"]["color"]["scale"]["range"][:3] == ["#0072B2", "#E69F00", "#CC79A7"]
    assert students["encoding"]["y"]["sort"] == found.students
    assert [len(rows) for rows in students["datasets"].values()] == [3]


def test_a_cell_says_what_was_seen_most_and_how_much(reader: StoreReader) -> None:
    found = _detail(reader)
    mine = [cell for cell in found.cells if cell["student_id"] == "s01"]
    assert [(cell["state"], cell["share"]) for cell in mine] == [("at the screen", 1.0)] * 6 + [("at paper", 1.0)] * 2
    assert {cell["state"] for cell in found.cells if cell["student_id"] == "s02"} == {"not visible"}
    assert set(found.titles) == {"s01", "s02"}
    drawn = heat_chart(found.cells, found.colors, found.students, found.until_s).to_dict()
    assert drawn["params"][0]["name"] == "cell"
