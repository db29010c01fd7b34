"""What the page of models reads: the real files of a run, and files that are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dashboard.law import notice_text
from dashboard.rounds_view import run_folders, run_view
from trainer.round_manifest import RoundManifest, round_folder, write_json, write_manifest

FIGURES = {
    "pictures": 6,
    "macro_f1": 0.5,
    "accuracy": 0.5,
    "f1": {"screen": 1.0, "paper": 0.0},
    "confusion": [[3, 0], [3, 0]],
}


def manifest(number: int, *, accepted: bool) -> RoundManifest:
    selection = {"champion": FIGURES, "challenger": FIGURES, "macro_f1_points": [2.0, -1.0, 4.5]}
    return RoundManifest(
        round=number, accepted=accepted, reasons=() if accepted else ("paper lost 3 points",), base_sha256="a",
        data_sha256="b", pairs_sha256="c", parent="start", reference="start", adapter="x", method="hadpo", seed=1,
        counts={"pairs": 12}, metrics={"selection": selection},
    )  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "first"
    for number in (1, 2):
        write_manifest(round_folder(folder, number), manifest(number, accepted=number == 1))
    final = {"start": FIGURES, "champion": FIGURES | {"macro_f1": 0.75}, "macro_f1_points": [25.0, 20.0, 30.0]}
    write_json(
        folder / "summary.json", {"champion": "round_01/x", "stopped": "2 rounds, as configured", "final": final}
    )
    return folder


def test_a_run_as_the_trainer_writes_it(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path.parent)
    assert run_folders(tmp_path / "class.db") == [run.resolve()]
    found = run_view(run)
    assert [(one.number, one.accepted, one.pairs, one.method) for one in found.rounds] == [
        (1, True, 12, "hadpo"),
        (2, False, 12, "hadpo"),
    ]
    assert found.rounds[1].reasons == ("paper lost 3 points",)
    assert found.rounds[0].challenger is not None
    assert found.rounds[0].challenger.confusion == ((3, 0), (3, 0))
    assert found.rounds[0].points == (2.0, -1.0, 4.5)
    assert found.final is not None
    assert (found.champion, found.final.macro_f1, found.final_points) == ("round_01/x", 0.75, (25.0, 20.0, 30.0))


@pytest.mark.parametrize(
    "told", ["", "[]", "{", '{"round": "x", "metrics": {"selection": {"champion": {"f1": {"a": 1}}}}}']
)
def test_a_damaged_manifest_is_left_out_or_empty(run: Path, told: str) -> None:
    (run / "round_02" / "manifest.json").write_text(told, encoding="utf-8")
    (run / "summary.json").write_text(told, encoding="utf-8")
    found = run_view(run)
    assert all(one.champion is None for one in found.rounds if one.number != 1)
    assert found.final is None


def test_confusion_of_another_shape_is_not_drawn(run: Path) -> None:
    broken = json.loads((run / "round_01" / "manifest.json").read_text(encoding="utf-8"))
    broken["metrics"]["selection"]["challenger"]["confusion"] = [[1, 2, 3], [1]]
    write_json(run / "round_01" / "manifest.json", broken)
    assert run_view(run).rounds[0].challenger is None


def test_the_notice_says_what_the_settings_say() -> None:
    text = notice_text(room_only=False, pictures_days=7, training_days=180, may_train=True, contact="ada@uni.example")
    assert "deleted after 7 days" in text
    assert "180 days" in text
    assert "ada@uni.example" in text
    quiet = notice_text(room_only=True, pictures_days=7, training_days=180, may_train=True, contact=" ")
    assert "none are kept" in quiet
    assert "180" not in quiet
    assert "your lecturer" in quiet
