"""`classroom score` end to end: a real recording, the shipped model, a real store, real files."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from monitor.config import MonitorSettings
from monitor.errors import BadInputError, RubricError
from monitor.score import score_recordings
from tests.galleries import name_of, portrait
from trainer.synthetic.gallery_video import Attendee, Event, Recording, Schedule, write_gallery_video

SECONDS = 12


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five students; one has the camera off, one leaves half-way."""
    path = tmp_path_factory.mktemp("score") / "class.mp4"
    people = [Attendee(f"p{number}", name_of(number), portrait(number)) for number in range(5)]
    events = [Event(0, "off", "p1"), Event(SECONDS // 2, "leave", "p3")]
    write_gallery_video(path, Schedule(people, SECONDS, events), Recording((1280, 720)))
    return path


@pytest.fixture(scope="module")
def scored(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scored")
    result = score_recordings([recording], out, MonitorSettings())
    assert not result.errors
    assert not result.warnings
    return out


def test_one_row_per_student_and_sample_for_every_tile_in_view(scored: Path) -> None:
    table = pyarrow.parquet.read_table(scored / "labels.parquet")
    assert table.column_names == [
        *("lecture_id", "recording", "time_s", "student_id", "x1", "y1", "x2", "y2", "presence", "label"),
        *("confidence", "p_screen", "p_paper", "p_wander", "state", "model_id", "adapter_id", "rubric_id"),
    ]
    rows = table.to_pylist()
    by_second = [sum(row["time_s"] == second for row in rows) for second in range(SECONDS)]
    assert by_second == [5] * (SECONDS // 2) + [4] * (SECONDS // 2)
    for row in rows:
        judged = row["presence"] in ("visible", "unidentified")
        assert (row["label"] is not None) == judged == (row["state"] is not None)
        if judged:
            assert sum(row[f"p_{name}"] for name in ("screen", "paper", "wander")) == pytest.approx(1, abs=1e-4)


def test_the_camera_that_is_off_has_its_rows_and_no_label(scored: Path) -> None:
    with (scored / "students.csv").open(encoding="utf-8") as file:
        ids = {row["name"]: row["student_id"] for row in csv.DictReader(file)}
    assert sorted(ids) == sorted(name_of(number) for number in range(5))
    rows = pyarrow.parquet.read_table(scored / "labels.parquet").to_pylist()
    off = [row["presence"] for row in rows if row["student_id"] == ids[name_of(1)]]
    assert off == ["camera_off"] * SECONDS


def test_the_summary_counts_what_the_table_holds(scored: Path) -> None:
    rows = pyarrow.parquet.read_table(scored / "labels.parquet").to_pylist()
    summary = json.loads((scored / "lecture.json").read_text(encoding="utf-8"))["recordings"][0]
    assert summary["rows"] == len(rows)
    assert summary["samples"] == SECONDS
    assert summary["students"] == 5
    assert sum(summary["labels"].values()) == sum(row["label"] is not None for row in rows)
    assert sum(summary["label_shares"].values()) == pytest.approx(1, abs=0.001)


def test_names_stand_in_one_file_only(scored: Path) -> None:
    for name in ("labels.parquet", "episodes.csv", "lecture.json", "report.html"):
        content = (scored / name).read_bytes()
        assert name_of(0).encode() not in content, name


def test_the_same_input_gives_the_same_bytes(recording: Path, scored: Path, tmp_path: Path) -> None:
    score_recordings([recording], tmp_path, MonitorSettings())
    for name in ("labels.parquet", "students.csv", "episodes.csv", "lecture.json", "report.html"):
        assert (tmp_path / name).read_bytes() == (scored / name).read_bytes(), name


def test_a_finished_recording_is_not_scored_again(recording: Path, scored: Path) -> None:
    seen: list[float] = []
    score_recordings(
        [recording], scored, MonitorSettings(), report=lambda name, done_s, duration_s: seen.append(done_s)
    )
    assert seen == []


def test_other_recordings_are_scored_although_one_cannot_be_opened(recording: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing.mp4"
    result = score_recordings([missing, recording], tmp_path / "out", MonitorSettings(rate=0.5))
    assert len(result.errors) == 1
    assert "missing.mp4" in result.errors[0]
    assert (tmp_path / "out" / "labels.parquet").exists()


def test_a_recording_without_students_says_so(tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    write_gallery_video(path, Schedule([], 3), Recording((640, 360)))
    result = score_recordings([path], tmp_path / "out", MonitorSettings())
    assert "no student was found in any of 3 samples" in result.errors[0]
    assert pyarrow.parquet.read_table(tmp_path / "out" / "labels.parquet").num_rows == 0


def test_an_affect_rubric_needs_research_and_then_a_model_trained_for_it(recording: Path, tmp_path: Path) -> None:
    with pytest.raises(RubricError, match="--research"):
        score_recordings([recording], tmp_path, MonitorSettings(rubric="engagenet"))
    with pytest.raises(RubricError, match="train"):
        score_recordings([recording], tmp_path, MonitorSettings(rubric="engagenet", research=True))


@pytest.mark.parametrize("settings", [{"rate": 0.0}, {"rate": 1000.0}, {"layout": "circle"}])
def test_settings_out_of_range_name_the_option(settings: dict[str, Any]) -> None:
    with pytest.raises(BadInputError, match=r"--(rate|layout) must"):
        MonitorSettings(**settings)
