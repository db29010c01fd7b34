"""Exports: the columns as promised, the same bytes each time, nothing a spreadsheet would run, nothing by halves."""

from __future__ import annotations

import csv
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow import parquet

from monitor.errors import BadInputError, StoreError
from monitor.schema import Episode, Presence
from monitor.store.database import Store, StoreReader
from monitor.store.exchange import write_episodes_csv, write_labels_parquet, write_students_csv
from tests.monitor.builders import lecture, moment, observation

COLUMNS = [
    *("lecture_id", "recording", "time_s", "student_id", "x1", "y1", "x2", "y2", "presence", "label", "confidence"),
    *("p_screen", "p_paper", "p_wander", "state", "model_id", "adapter_id", "rubric_id"),
]


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[StoreReader]:
    path = tmp_path / "classroom.db"
    with Store.open(path, durable=False) as store:
        for lecture_id in ("algebra", "geometry"):
            store.begin_lecture(lecture(lecture_id, source=f"{lecture_id}.mp4"))
            here = [observation("s01", 0.0, "paper", confidence=0.75), observation("s02", presence=Presence.CAMERA_OFF)]
            episodes = [Episode("s01", "paper", 0.0, 1.0, 0.75), Episode("s02", "camera_off", 0.0, 1.0, None)]
            store.commit(moment(0, here, lecture_id=lecture_id, names={"s01": "Zoë, Müller"}, episodes=episodes))
            store.commit(moment(1, students=["s01"], lecture_id=lecture_id))
    with StoreReader(path) as opened:
        yield opened


def read_csv(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_labels_have_the_promised_columns_and_nulls_where_nobody_was_judged(
    reader: StoreReader, tmp_path: Path
) -> None:
    path = tmp_path / "out" / "labels.parquet"
    assert write_labels_parquet(reader, ["algebra"], path) == 3
    table = parquet.read_table(path)
    assert table.column_names == COLUMNS
    judged, camera_off, _ = table.to_pylist()
    assert judged == {
        **{"lecture_id": "algebra", "recording": "algebra.mp4", "time_s": 0.0, "student_id": "s01"},
        **{"x1": 160, "y1": 0, "x2": 320, "y2": 90, "presence": "visible", "label": "paper", "confidence": 0.75},
        **{"p_screen": 0.125, "p_paper": 0.75, "p_wander": 0.125, "state": "paper"},
        **{"model_id": "tiny-1", "adapter_id": None, "rubric_id": "attention"},
    }
    assert (camera_off["student_id"], camera_off["presence"]) == ("s02", "camera_off")
    nulls = ("label", "confidence", "p_screen", "p_paper", "p_wander", "state", "model_id")
    assert all(camera_off[name] is None for name in nulls)


def test_lectures_come_in_the_given_order_and_may_be_named_by_their_file(reader: StoreReader, tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    write_labels_parquet(reader, ["geometry", "algebra"], path, recordings={"algebra": "monday.mkv"})
    table = parquet.read_table(path, columns=["recording", "time_s"]).to_pydict()
    assert table["recording"] == ["geometry.mp4"] * 3 + ["monday.mkv"] * 3
    assert table["time_s"] == [0.0, 0.0, 1.0] * 2


def test_the_same_rows_give_the_same_bytes(reader: StoreReader, tmp_path: Path) -> None:
    written = []
    for name in ("one", "two"):
        folder = tmp_path / name
        write_labels_parquet(reader, ["algebra"], folder / "labels.parquet")
        write_episodes_csv(reader, ["algebra"], folder / "episodes.csv")
        write_students_csv(reader, ["algebra"], folder / "students.csv")
        written.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert sorted(written[0]) == ["episodes.csv", "labels.parquet", "students.csv"]
    assert written[0] == written[1]


def test_students_and_episodes(reader: StoreReader, tmp_path: Path) -> None:
    assert write_students_csv(reader, ["algebra", "geometry"], tmp_path / "students.csv") == 3
    assert read_csv(tmp_path / "students.csv") == [
        ["student_id", "name"],
        *[["s01", "Zoë, Müller"], ["s02", ""], ["s03", ""]],  # a bare s02 in two lectures may be two people
    ]
    assert write_episodes_csv(reader, ["algebra"], tmp_path / "episodes.csv") == 2
    assert read_csv(tmp_path / "episodes.csv") == [
        ["lecture_id", "recording", "student_id", "state", "started_s", "ended_s", "confidence"],
        ["algebra", "algebra.mp4", "s01", "paper", "0.0", "1.0", "0.75"],
        ["algebra", "algebra.mp4", "s02", "camera_off", "0.0", "1.0", ""],
    ]


@pytest.mark.parametrize(
    "name", ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\t=1", '=cmd|"/c calc"!A0', "<script>", "O'Neil"]
)
def test_a_name_never_runs_as_a_formula(tmp_path: Path, name: str) -> None:
    with Store.open(tmp_path / "a.db") as store:
        store.begin_lecture(lecture(source="=evil.mp4"))
        store.commit(moment(0, names={"s01": name}, episodes=[Episode("s01", "screen", 0.0, 1.0, 0.9)]))
    with StoreReader(tmp_path / "a.db") as reader:
        write_students_csv(reader, ["algebra"], tmp_path / "students.csv")
        write_episodes_csv(reader, ["algebra"], tmp_path / "episodes.csv")
    (cell,) = (row[1] for row in read_csv(tmp_path / "students.csv")[1:])
    assert cell[0] not in "=+-@\t\r"
    assert cell.removeprefix("'") == name
    assert read_csv(tmp_path / "episodes.csv")[1][1] == "'=evil.mp4"


def test_an_export_that_fails_leaves_the_last_one_alone(reader: StoreReader, tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    write_labels_parquet(reader, ["algebra"], path)
    before = path.read_bytes()
    reader.close()
    with pytest.raises(StoreError):
        write_labels_parquet(reader, ["algebra"], path)
    assert path.read_bytes() == before
    assert sorted(entry.name for entry in tmp_path.glob("*unfinished*")) == []


def test_a_place_that_cannot_be_written_is_said_so(reader: StoreReader, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        write_students_csv(reader, ["algebra"], tmp_path / "file" / "students.csv")
    (tmp_path / "labels.parquet").mkdir()
    with pytest.raises(StoreError, match="cannot be written"):
        write_labels_parquet(reader, ["algebra"], tmp_path / "labels.parquet")


def test_what_cannot_be_exported_is_refused(reader: StoreReader, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no lecture was chosen"):
        write_labels_parquet(reader, [], tmp_path / "labels.parquet")
    with pytest.raises(StoreError, match="no lecture 'history'"):
        write_episodes_csv(reader, ["history"], tmp_path / "episodes.csv")
    with Store.open(reader.path) as store:
        store.begin_lecture(lecture("moods", rubric_id="engagenet"))
    with pytest.raises(BadInputError, match="'attention' and moods under 'engagenet'"):
        write_labels_parquet(reader, ["algebra", "moods"], tmp_path / "labels.parquet")


def test_a_lecture_without_a_student_gives_empty_tables(tmp_path: Path) -> None:
    with Store.open(tmp_path / "a.db") as store:
        store.begin_lecture(lecture())
        store.commit(moment(0, []))
    with StoreReader(tmp_path / "a.db") as reader:
        assert write_labels_parquet(reader, ["algebra"], tmp_path / "labels.parquet") == 0
        assert write_students_csv(reader, ["algebra"], tmp_path / "students.csv") == 0
    assert parquet.read_table(tmp_path / "labels.parquet").column_names == COLUMNS


def test_memory_does_not_grow_with_the_lecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are held a group at a time: twice the lecture peaks no higher."""
    monkeypatch.setattr("monitor.store.exchange._ROWS_PER_GROUP", 1000)
    students = [f"s{i:02d}" for i in range(1, 26)]
    peaks = []
    for count in (128, 384):
        with Store.open(tmp_path / f"{count}.db", durable=False) as store:
            store.begin_lecture(lecture())
            for index in range(count):
                store.commit(moment(index, students=students))
        with StoreReader(tmp_path / f"{count}.db") as reader:
            tracemalloc.start()
            assert write_labels_parquet(reader, ["algebra"], tmp_path / "labels.parquet") == count * len(students)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < 1.15 * peaks[0]
