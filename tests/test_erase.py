"""`classroom erase`: of a student nothing is left, in no file that this machine holds."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from classroom import app
from commands.erasing import erase, look
from monitor.errors import BadInputError, StoreError
from monitor.registry import Registry
from monitor.registry_list import list_models
from monitor.rubric import load_rubric
from monitor.store.annotations import annotate, keep_crop, keep_still, record_prediction
from monitor.store.control import add_note
from monitor.store.database import Store, StoreReader
from monitor.store.exports import DOWNLOAD, TRAINING, note_export
from monitor.store.people import merge, rename
from monitor.store.records import Answer
from tests.monitor.builders import lecture, moment, prediction
from tests.monitor.models import write_adapter, write_swappable
from trainer.erasure import Wanted, scrub_run

NAME = "Zebediah Quux"
RUBRIC = load_rubric("attention")


def picture(seed: int) -> bytes:
    """A PNG that is found again when its bytes lie anywhere."""
    noise = np.random.default_rng(seed).integers(0, 255, (24, 24, 3)).astype(np.uint8)
    return bytes(cv2.imencode(".png", noise)[1].tobytes())


GONE, STAYS = picture(1), picture(2)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A store with two students, a training run on both, and a registry with an adapter that learned from them."""
    path = tmp_path / "classroom.db"
    with Store.open(path) as store:
        store.begin_lecture(lecture())
        names = {"s01": NAME, "s02": "Ada Lovelace"}
        store.commit(moment(0, students=["s01", "s02"], names=names, thumbnails={"s01": GONE[:-4] + b"tiny"}))
        for student, shown in (("s01", GONE), ("s02", STAYS)):
            crop_id = f"algebra.{student}.000000000"
            assert keep_crop(store, crop_id, shown, ("algebra", student, 0.0))
            said = record_prediction(store, prediction(student))
            annotate(store, Answer(crop_id, "paper", "ada", may_train=True, prediction_id=said), RUBRIC)
        add_note(store, "algebra", "n1", "zebediah quux asked, Ada did not", 0.0)
        note_export(store, DOWNLOAD, "answers-attention, annotations.csv")
        note_export(store, TRAINING, str(tmp_path / "run"))
    write_run(tmp_path / "run")
    models = tmp_path / "models"
    base = write_swappable(models / "colors-1")
    lineage = {"parent": None, "round": 1, "lectures": ["algebra"], "annotators": ["ada"], "students": ["s01", "s02"]}
    write_adapter(models / "learned", base, lineage=lineage)
    write_adapter(models / "child", base, b"w2", lineage={**lineage, "parent": "learned", "students": ["s02"]})
    write_adapter(models / "other", base, b"w3", lineage={**lineage, "students": ["s02"]})
    return path


def write_run(run: Path) -> None:
    """What rounds leave behind, with both students in it."""
    (run / "round_01" / "training" / "state").mkdir(parents=True)
    (run / "round_01" / "training" / "state" / "optimizer.pt").write_bytes(b"momentum")
    (run / "cache").mkdir()
    (run / "cache" / "features-1.safetensors").write_bytes(b"features")
    (run / "people.json").write_text(json.dumps({"s01": "train", "s02": "final"}), encoding="utf-8")
    pairs = [{"item_id": f"1:algebra.{student}.000000000", "chosen": "at paper"} for student in ("s01", "s02")]
    text = "".join(json.dumps(pair) + "\n" for pair in pairs)
    (run / "round_01" / "pairs.jsonl").write_text(text, encoding="utf-8")
    (run / "predictions.csv").write_text("item,person\na,s01\nb,s02\n", encoding="utf-8")
    (run / "report.html").write_text("<p>worst: algebra.s01.000000000</p>", encoding="utf-8")
    (run / "figures.html").write_text("<p>macro-F1</p>", encoding="utf-8")
    (run / "sheet.bin").write_bytes(b"head" + GONE + b"tail")
    (run / "adapter").mkdir()
    (run / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")


def everything(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_no_byte_of_the_student_is_left_in_any_file(place: Path) -> None:
    done = erase(look(place, NAME))
    assert (done.erased.lectures, done.erased.observations, done.erased.crops) == (("algebra",), 1, 1)
    assert done.log_emptied
    files = everything(place.parent)
    for name, data in files.items():
        folded = data.lower()
        for what in (NAME.lower().encode(), b"zebediah", b"quux", b"algebra.s01", GONE, GONE[:-4] + b"tiny"):
            assert what.lower() not in folded if what.isascii() else what not in data, f"{what[:20]!r} in {name}"
    assert STAYS in files["classroom.db"]
    assert json.loads(files["run/people.json"]) == {"s02": "final"}
    assert files["run/predictions.csv"] == b"item,person\nb,s02\n"
    assert b"algebra.s02" in files["run/round_01/pairs.jsonl"]
    assert {"run/figures.html", "run/adapter/adapter_model.safetensors"} <= set(files)
    gone = ("run/cache", "run/round_01/training/state", "run/report.html", "run/sheet.bin")
    assert not [name for name in files if name.startswith(gone)]


def test_models_that_learned_from_the_student_are_marked_and_copies_listed(place: Path) -> None:
    done = erase(look(place, "s01"))
    assert sorted(done.tainted) == ["child", "learned"]
    marks = {row.model_id: row.tainted_by for row in list_models(Registry(place.parent / "models"))}
    assert marks["learned"] == marks["child"] == ("s01",) and marks["other"] == ()
    assert [one.place for one in done.left] == ["answers-attention, annotations.csv"]
    with StoreReader(place) as reader:
        assert reader.names() == {"s02": "Ada Lovelace"}


def test_a_reader_that_holds_the_log_is_told_of(place: Path) -> None:
    with StoreReader(place) as reader:
        held = reader._connection
        held.execute("BEGIN")
        held.execute("SELECT count(*) FROM names").fetchone()
        found = look(place, "s01")
        done = erase(found)
        assert not done.log_emptied
        held.execute("COMMIT")
    Store.open(place).close()
    assert NAME.encode() not in b"".join(everything(place.parent).values())


def test_who_was_merged_goes_along(place: Path) -> None:
    with Store.open(place) as store:
        store.commit(moment(1, students=["s03"], names={"s03": NAME + " II"}))
        merge(store, "s01", "s03")
    assert look(place, "s01").traces.pseudonyms == {"s01", "s03"}
    erase(look(place, "s01"))
    assert b"Quux" not in b"".join(everything(place.parent).values())


def test_a_person_of_a_corpus_is_erased_too(place: Path) -> None:
    with Store.open(place) as store:
        keep_still(store, "daisee.1", picture(3), ("daisee", "1", "p77", "v1"))
    found = look(place, "p77")
    assert found.traces.from_corpus
    assert erase(found).erased.crops == 1
    assert picture(3) not in b"".join(everything(place.parent).values())
    with StoreReader(place) as reader:
        assert sorted(reader.names()) == ["s01", "s02"]


def test_a_name_of_two_is_refused_and_nobody_is_nobody(place: Path) -> None:
    with Store.open(place) as store:
        rename(store, "s02", NAME)
    with pytest.raises(BadInputError, match="the name of s01, s02"):
        look(place, NAME)
    with pytest.raises(StoreError, match="no student 'nobody' here to erase"):
        look(place, "nobody")


def test_scrubbing_twice_finds_nothing_the_second_time(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    wanted = Wanted(frozenset({"s01"}), frozenset({"algebra.s01.000000000"}), pictures=(GONE,))
    first = scrub_run(tmp_path / "run", wanted)
    assert first.lines == 3 and first.touched
    assert not scrub_run(tmp_path / "run", wanted).touched
    assert not scrub_run(tmp_path / "gone", wanted).touched


def test_the_command_asks_first_and_can_only_look(place: Path) -> None:
    run = CliRunner()
    told = run.invoke(app, ["erase", "s01", "--store", str(place), "--dry-run"])
    assert told.exit_code == 0 and NAME in told.output
    assert run.invoke(app, ["erase", "s01", "--store", str(place)], input="n\n").exit_code == 1
    with StoreReader(place) as reader:
        assert "s01" in reader.names()
    done = run.invoke(app, ["erase", "s01", "--store", str(place), "--yes"])
    assert done.exit_code == 0, done.output
    assert "Model learned learned from this student" in done.output
    assert "Left the store, delete it by hand: answers-attention, annotations.csv" in done.output
