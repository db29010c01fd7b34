"""Commands that run a checkpoint by torch: label as a person calls it, score and live over a short recording."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from monitor.config import MonitorSettings
from monitor.live import LiveMonitor
from monitor.rubric import load_rubric
from monitor.score import score_recordings
from monitor.store.reader import StoreReader
from monitor.vlm.sentences import labels_of
from tests.galleries import name_of, portrait
from tests.trainer.policies import write_base
from trainer.synthetic.gallery_video import Attendee, Recording, Schedule, write_gallery_video


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("model") / "tiny", seed=1)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("class") / "class.mp4"
    people = [Attendee(f"p{number}", name_of(number), portrait(number)) for number in range(2)]
    write_gallery_video(path, Schedule(people, 2), Recording((320, 180), fps=5))
    return path


def label(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "classroom", "label", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


def test_label_explains_in_json_and_in_text(picture: Path) -> None:
    done = label(picture, "--whole", "--model", "embedded", "--explain", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    best = max(answer["probabilities"], key=answer["probabilities"].__getitem__)
    assert labels_of(answer["explanation"], load_rubric("attention")) == [best]
    done = label(picture, "--whole", "--text")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{picture} s01: ")
    assert "(screen 0." in done.stdout
    assert "embedded-" in done.stdout


def test_label_with_a_bundle_alone_says_what_explains(picture: Path) -> None:
    done = label(picture, "--explain")
    assert done.returncode == 2
    assert "Add --model embedded" in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_score_runs_a_checkpoint_and_gives_the_same_bytes(recording: Path, checkpoint: Path, tmp_path: Path) -> None:
    settings = MonitorSettings(rate=2, model=str(checkpoint))
    results = [score_recordings([recording], tmp_path / name, settings) for name in ("one", "two")]
    assert [result.errors for result in results] == [[], []]
    one, two = ((tmp_path / name / "labels.parquet").read_bytes() for name in ("one", "two"))
    assert one == two
    told = json.loads((tmp_path / "one" / "lecture.json").read_text(encoding="utf-8"))
    assert told["model_id"].startswith("test-1@")
    assert {"torch", "transformers"} <= set(told["libraries"])
    assert set(pq.read_table(tmp_path / "one" / "labels.parquet")["model_id"].to_pylist()) <= {told["model_id"], None}


def test_live_runs_a_quantised_checkpoint(recording: Path, checkpoint: Path, tmp_path: Path) -> None:
    settings = MonitorSettings(rate=2, model=str(checkpoint), quantize="nf4")
    monitor = LiveMonitor(str(recording), settings, store=str(tmp_path / "live.db"))
    try:
        monitor.run()
    finally:
        monitor.close()
    with StoreReader(tmp_path / "live.db") as reader:
        rows = [row for row in reader.observations(monitor.lecture_id) if row.label is not None]
    assert rows
    assert {row.model_id for row in rows} == {rows[0].model_id}
    assert str(rows[0].model_id).startswith("test-1@")
    assert str(rows[0].model_id).endswith("+nf4")
