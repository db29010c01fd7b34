"""Which model reads recordings and single pictures: what the user named, else what the registry names."""

from __future__ import annotations

from pathlib import Path

import cv2
import pyarrow.parquet
import pytest

from monitor.bundle import open_bundle
from monitor.config import MonitorSettings
from monitor.errors import BundleError
from monitor.rubric import load_rubric
from monitor.score import score_recordings
from monitor.still import label_pictures
from monitor.vlm.choice import choose_classifier
from tests.galleries import person_picture
from tests.monitor.models import choose, spoil, write_swappable

RUBRIC = load_rubric("attention")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A registry whose champion is another bundle."""
    models = tmp_path / "models"
    write_swappable(models / "colors-2", model_id="colors-2")
    choose(models, "colors-2")
    return models


def test_the_champion_reads_where_nothing_else_is_named(models: Path, tmp_path: Path) -> None:
    shipped = open_bundle(None).model_id
    other = write_swappable(tmp_path / "other", model_id="colors-3")
    named = {
        "colors-2": MonitorSettings(models=models),
        "colors-3": MonitorSettings(models=models, bundle=other),
        shipped: MonitorSettings(models=tmp_path / "empty"),
    }
    for model_id, settings in named.items():
        assert choose_classifier(settings, RUBRIC).model_id == model_id


def test_pictures_and_recordings_say_that_the_champion_read_them(models: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "student.png"), person_picture(3))
    (answer,) = label_pictures([tmp_path / "student.png"], MonitorSettings(models=models), whole=True)
    assert isinstance(answer, dict) and answer["model_id"] == "colors-2"
    lecture = tmp_path / "lecture"
    lecture.mkdir()
    for second in range(3):
        cv2.imwrite(str(lecture / f"{second}.png"), person_picture(3))
    result = score_recordings([lecture], tmp_path / "out", MonitorSettings(models=models, layout="single"))
    assert not result.errors
    table = pyarrow.parquet.read_table(tmp_path / "out" / "labels.parquet")
    assert set(table["model_id"].to_pylist()) == {"colors-2"}


def test_a_champion_that_was_changed_is_no_model(models: Path) -> None:
    spoil(models / "colors-2" / "vision.onnx")
    with pytest.raises(BundleError, match="colors-2"):
        choose_classifier(MonitorSettings(models=models), RUBRIC)
