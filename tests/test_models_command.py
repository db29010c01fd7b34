"""`classroom models` as a person uses it: through the front door, its exit code, what it prints."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import pytest

from classroom import main
from export.registry.aliases import set_champion, writing
from monitor.registry import CHAMPION, SHIPPED, Registry
from monitor.registry_history import alias_now, read_history, read_verdict
from monitor.rubric import load_rubric
from monitor.store.annotations import annotate, keep_crop
from monitor.store.database import Store
from monitor.store.held_aside import held_aside, make_key
from monitor.store.records import Answer
from tests.export.registry.models import DIM, INVERTED, add_colors, color_picture, write_pictures
from tests.monitor.builders import lecture, moment
from tests.test_classroom import classroom

STUDENTS = [f"s{number:02d}" for number in range(1, 21)]


@pytest.fixture(scope="module")
def judging(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A store in which about half of 20 students are set aside, all labelled; and a folder of pictures."""
    folder = tmp_path_factory.mktemp("judging")
    path = folder / "class.db"
    make_key(path, b"k" * 32, 0.5)
    rubric = load_rubric("attention")
    with Store.open(path, durable=False) as store:
        store.begin_lecture(lecture())
        store.commit(moment(0, students=STUDENTS))
        for number, student in enumerate(STUDENTS):
            for label in range(3):
                crop_id = f"{student}-{label}"
                png = cv2.imencode(".png", color_picture(label, 7 * number + label))[1].tobytes()
                keep_crop(store, crop_id, png, ("algebra", student, float(label)))
                annotate(store, Answer(crop_id, rubric.names[label], "ada"), rubric)
    return path, write_pictures(folder / "pictures")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A registry: "old" is the champion."""
    registry = Registry(tmp_path / "models")
    add_colors(registry, "old", 5.0)
    add_colors(registry, "new", 4.0, lineage={"parent": "old", "round": 2, "lectures": ["algebra"]})
    add_colors(registry, "bad", INVERTED)
    add_colors(registry, "dim", DIM)
    with writing(registry):
        set_champion(registry, registry.entry("old"), by="ada", reason="")
    return registry.folder


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


class Run(Protocol):
    def __call__(self, *arguments: str, judge: bool = False) -> Done: ...


@pytest.fixture
def run(
    models: Path, judging: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """The front door in this process: starting one for each command takes longer than the command."""

    def go(*arguments: str, judge: bool = False) -> Done:
        told = ["--heldout", str(judging[1])] if judge else []
        places = ["--models", str(models), "--store", str(judging[0])]
        monkeypatch.setattr(sys, "argv", ["classroom", "models", *arguments, *told, *places])
        with pytest.raises(SystemExit) as left:
            main()
        return Done(int(left.value.code or 0), *capsys.readouterr())

    return go


def test_the_door_is_a_process_too(models: Path, judging: tuple[Path, Path]) -> None:
    done = classroom("models", "promote", "nobody", "--models", models, "--store", judging[0])
    assert done.returncode == 3
    assert "`classroom models list`" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_good_model_passes_and_a_rollback_brings_the_old_one_back(
    models: Path, judging: tuple[Path, Path], run: Run
) -> None:
    done = run("promote", "new", "--by", "ada", "--json", judge=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    aside = [student for student in STUDENTS if held_aside(judging[0]).set_aside(student)]
    assert told["promoted"] is True
    assert told["verdict"]["figures"]["students"] == len(aside) + 8  # those of the folder are people too
    assert told["verdict"]["figures"]["pictures"] == 3 * len(aside) + 72
    assert alias_now(Registry(models), CHAMPION) == "new"
    assert run("rollback").stdout.startswith("back to old after new")
    assert run("rollback").returncode == 0
    assert alias_now(Registry(models), CHAMPION) == SHIPPED
    assert run("rollback").returncode == 2


def test_a_bad_model_is_refused_and_can_be_forced_with_a_reason(models: Path, run: Run) -> None:
    done = run("promote", "bad", judge=True)
    assert done.returncode == 6
    assert "The gate refuses bad against old" in done.stdout
    assert "screen: F1 changes by -" in done.stdout
    assert alias_now(Registry(models), CHAMPION) == "old"
    verdict = read_verdict(models, "bad")
    assert verdict is not None
    assert not verdict.passed
    assert run("promote", "bad", "--force", judge=True).returncode == 2
    done = run("promote", "bad", "--force", "--reason", "to see it fail", "--by", "ada", judge=True)
    assert done.returncode == 0, done.stderr
    change = read_history(models)[-1]
    assert (change.model_id, change.forced, change.reason, change.by) == ("bad", True, "to see it fail", "ada")
    assert change.objections == verdict.reasons
    history = run("history").stdout
    assert "bad became champion after old, by ada, forced against the gate: to see it fail" in history


def test_a_model_that_is_not_sure_of_itself_is_not_calibrated(models: Path, run: Run) -> None:
    told = json.loads(run("compare", "dim", "--json", judge=True).stdout)
    assert [reason.split(" ")[0] for reason in told["reasons"]] == ["calibration"]
    assert alias_now(Registry(models), CHAMPION) == "old"


def test_the_list_the_card_and_the_check_of_a_model(models: Path, run: Run) -> None:
    listed = json.loads(run("list", "--json").stdout)
    rows = {row["model_id"]: row for row in listed["models"]}
    assert list(rows) == [SHIPPED, "bad", "dim", "new", "old"]
    assert (rows["old"]["aliases"], rows["new"]["parent"], rows["new"]["round"]) == (["champion"], "old", 2)
    shown = run("show", "new").stdout
    assert "algebra" in shown
    assert "label_graph.onnx" in shown
    assert run("show", "champion").stdout.startswith("old ")
    assert run("verify").returncode == 0
    (models / "new" / "label_graph.onnx").write_bytes(b"tampered")
    done = run("verify")
    assert done.returncode == 3
    assert "changed or damaged" in done.stdout
    assert run("promote", "new", "--force", "--reason", "I insist").returncode == 3


def test_a_challenger_comes_and_goes(models: Path, run: Run) -> None:
    assert run("promote", "new", "--challenger").returncode == 0
    assert json.loads((models / "challenger.json").read_text(encoding="utf-8"))["model_id"] == "new"
    assert run("rollback", "--challenger").stdout.startswith("new is challenger no more")
    assert not (models / "challenger.json").exists()
    assert run("promote", "challenger").returncode == 2


def test_who_was_taught_cannot_judge(models: Path, judging: tuple[Path, Path], run: Run) -> None:
    student = next(student for student in STUDENTS if held_aside(judging[0]).set_aside(student))
    add_colors(Registry(models), "cheat", 4.0, lineage={"students": [student]})
    told = json.loads(run("compare", "cheat", "--json", judge=True).stdout)
    assert told["reasons"] == [
        f"it learned from 1 of the students who judge it ({student}): their answers prove nothing"
    ]
