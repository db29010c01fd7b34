"""Answers and lectures as files of others: read back, they say what the store says; formulas do not run."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as Xml

import pyarrow.parquet
import pytest

from monitor.rubric import load_rubric
from monitor.schema import Episode, ReviewCrop
from monitor.store.annotation_files import COLUMNS, write_answers_csv, write_answers_parquet
from monitor.store.annotations import annotate
from monitor.store.boris import write_boris
from monitor.store.database import Store, StoreReader
from monitor.store.eaf import write_eaf
from monitor.store.keeping import commit_with_crops
from monitor.store.records import Answer
from tests.monitor.builders import lecture, moment, observation

CROP = "algebra.s01.000000000"


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[StoreReader]:
    with Store.open(tmp_path / "classroom.db", durable=False) as store:
        store.begin_lecture(lecture(source="/home/ada/class.mp4"))
        episodes = [Episode("s01", "screen", 0.0, 2.0, 0.9), Episode("s02", "camera_off", 0.0, 1.0, None)]
        first = moment(0, [observation("s01"), observation("s02")], episodes=episodes, names={"s01": "Ada"})
        crops = (ReviewCrop("s01", b"jpeg", "uncertain", 3.0),)
        commit_with_crops(store, replace(first, to_review=crops))
        annotate(store, Answer(CROP, "paper", "ada", blind=True), load_rubric("attention"))
        annotate(store, Answer(CROP, None, "=cmd"), load_rubric("attention"))
    with StoreReader(tmp_path / "classroom.db") as opened:
        yield opened


def test_each_answer_says_who_when_and_which_model(reader: StoreReader, tmp_path: Path) -> None:
    path = tmp_path / "annotations.parquet"
    assert write_answers_parquet(reader, "attention", path) == 2
    first, second = pyarrow.parquet.read_table(path).to_pylist()
    assert tuple(first) == COLUMNS
    assert (first["annotator_id"], first["label"], first["blind"], first["recording"]) == (
        "ada",
        "paper",
        True,
        "class.mp4",
    )
    assert (second["label"], second["cannot_tell"], second["model_id"]) == (None, True, None)
    assert first["created_at"].endswith("+00:00")


def test_a_formula_does_not_run(reader: StoreReader, tmp_path: Path) -> None:
    path = tmp_path / "annotations.csv"
    assert write_answers_csv(reader, "attention", path) == 2
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["annotator_id"] for row in rows] == ["ada", "'=cmd"]
    assert rows[1]["label"] == ""
    assert "Ada" not in path.read_text(encoding="utf-8"), "no names of students"


def test_elan_gets_a_tier_a_student_and_coder(reader: StoreReader, tmp_path: Path) -> None:
    path = tmp_path / "algebra.eaf"
    assert write_eaf(reader, "algebra", path) == 4
    document = Xml.parse(path).getroot()
    tiers = {tier.attrib["TIER_ID"]: tier for tier in document.iter("TIER")}
    assert list(tiers) == ["s01 model", "s01 =cmd", "s01 ada", "s02 model"]
    assert [child.tag for child in document][:2] == ["HEADER", "TIME_ORDER"]
    slots = {slot.attrib["TIME_SLOT_ID"]: int(slot.attrib["TIME_VALUE"]) for slot in document.iter("TIME_SLOT")}
    codes = {entry.attrib["CVE_ID"] for entry in document.iter("CV_ENTRY_ML")}
    for annotation in document.iter("ALIGNABLE_ANNOTATION"):
        assert slots[annotation.attrib["TIME_SLOT_REF1"]] < slots[annotation.attrib["TIME_SLOT_REF2"]]
        assert annotation.attrib["CVE_REF"] in codes
    assert tiers["s01 ada"].findtext(".//ANNOTATION_VALUE") == "paper"
    media = document.find(".//MEDIA_DESCRIPTOR")
    assert media is not None
    assert media.attrib["RELATIVE_MEDIA_URL"] == "./class.mp4"
    assert "home" not in path.read_text(encoding="utf-8"), "no folders of this machine"


def test_boris_gets_an_observation_a_coder(reader: StoreReader, tmp_path: Path) -> None:
    path = tmp_path / "algebra.boris"
    assert write_boris(reader, "algebra", path) == 4
    project = json.loads(path.read_text(encoding="utf-8"))
    assert list(project["observations"]) == ["algebra model", "algebra =cmd", "algebra ada"]
    codes = {row["code"] for row in project["behaviors_conf"].values()}
    for observed in project["observations"].values():
        events = observed["events"]
        assert [event[0] for event in events] == sorted(event[0] for event in events)
        for student in {event[1] for event in events}:
            mine = [event[2] for event in events if event[1] == student]
            assert mine[::2] == mine[1::2], "each state starts and stops"
            assert set(mine) <= codes
