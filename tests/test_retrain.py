"""`classroom retrain`, whole and small: corrections in a store become an adapter that the registry knows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from classroom import app
from commands.erasing import erase, look
from commands.retraining import ABANDONED, Retraining
from commands.retraining_plan import Wish, plan_words, require_reason
from export.registry.aliases import set_champion, writing
from export.registry.entries import add_entry
from export.write_bundle import export_bundle
from monitor.errors import BadInputError, BundleError, ClassroomError
from monitor.registry import Registry
from monitor.registry_list import list_models
from monitor.rubric import load_rubric
from monitor.schema import Prediction
from monitor.store.annotations import annotate, keep_crop, record_prediction
from monitor.store.database import Store
from monitor.store.erasure import set_opt_out
from monitor.store.held_aside import make_key
from monitor.store.records import Answer
from monitor.vlm.bundled import BundledClassifier
from tests.monitor.builders import lecture, moment, probabilities
from tests.trainer.policies import write_base
from trainer.finetune import train_finetune
from trainer.policy.merge import merge_adapter

RUBRIC = load_rubric("attention")
SIDE = 32
STUDENTS = [f"s{number:02d}" for number in range(1, 10)]
TEACH = {"steps": 40, "learning_rate": 4e-3, "rounds": 1}
Pictures = NDArray[np.uint8]


def colours(label: int, count: int, seed: int, *, marked: bool = False) -> Pictures:
    """Noise in which one channel is stronger and tells the label; marked ones wear a bright bar."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 80, (count, SIDE, SIDE, 3))
    images[..., label] += 130
    if marked:
        images[:, 8:14] = 240
    return images.clip(0, 255).astype(np.uint8)


def write_people(folder: Path, people: int, seed: int, *, marks: bool = False) -> Path:
    """Shards of people, two pictures a label each, labelled by their colour.

    With marks, every other one wears a bar and is labelled wander whatever the colour.
    """
    folder.mkdir(parents=True)
    images: list[Pictures] = []
    lines = []
    for person in range(people):
        for label in range(len(RUBRIC.names)):
            marked = marks and person % 2 == 1
            name = RUBRIC.names[2 if marked else label]
            images.append(colours(label, 2, 1000 * seed + 10 * person + label, marked=marked))
            told = {"person_id": f"p{seed}-{person}", "label": name, "face_box": [4, 4, 28, 28], "groups": {}}
            lines += [{**told, "head_yaw": 0.0, "head_pitch": 0.0, "gaze_yaw": 0.0, "gaze_pitch": 0.0}] * 2
    np.savez(folder / "shard_00000.npz", images=np.concatenate(images))
    (folder / "shard_00000.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder


@dataclass(frozen=True)
class World:
    """A model that goes by colour, in a registry, and pictures of other people."""

    root: Path
    base: Path
    models: Path
    replay: Path
    heldout: Path

    def wish(self, store: Path, **changes: Any) -> Wish:
        told = Wish(store, self.models, base=self.base, replay=self.replay, heldout=self.heldout, teach=TEACH)
        return replace(told, **changes)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("world")
    random_base = write_base(root / "random")
    known = write_people(root / "known", 30, seed=1, marks=True)
    config = root / "sft.toml"
    config.write_text(
        f'name = "tiny"\n[base]\npath = "{random_base.as_posix()}"\ntrainable = "full"\n'
        f'[data]\ncorpora = ["{known.as_posix()}"]\n'
        "[training]\nsteps = 200\nbatch_size = 12\nlearning_rate = 4e-3\n",
        encoding="utf-8",
    )
    base = merge_adapter(random_base, train_finetune(config, out=root / "sft"), root / "base", "tiny-colours")
    heldout = write_people(root / "heldout", 12, seed=2)
    export_bundle(base, heldout, root / "bundle", min_agreement=0.9)
    registry = Registry(root / "models")
    name = add_entry(registry, root / "bundle")
    with writing(registry):
        set_champion(registry, registry.entry(name), by="test", reason="the first")
    return World(root, base, root / "models", write_people(root / "replay", 20, seed=3), heldout)


@pytest.fixture
def fresh(world: World, tmp_path: Path) -> World:
    """The same world with a registry of its own."""
    registry = Registry(tmp_path / "models")
    name = add_entry(registry, world.root / "bundle")
    with writing(registry):
        set_champion(registry, registry.entry(name), by="test", reason="the first")
    return replace(world, models=tmp_path / "models")


def png(picture_rgb: Pictures) -> bytes:
    return bytes(cv2.imencode(".png", picture_rgb[..., ::-1])[1].tobytes())


def fill(
    path: Path, students: list[str], each: int, *, label: str = "paper", may_train: bool = True, at: int = 0
) -> None:
    """Marked students on red pictures, which the model calls wander and the instructor something else."""
    clock = datetime(2026, 11, 22, 12 + at, tzinfo=UTC)
    with Store.open(path, clock=lambda: clock + timedelta(seconds=1)) as store:
        lecture_id = f"lecture-{at}"
        store.begin_lecture(lecture(lecture_id))
        store.commit(moment(0, students=STUDENTS, lecture_id=lecture_id, names={one: f"N {one}" for one in STUDENTS}))
        for student in students:
            for number, picture in enumerate(colours(0, each, 7 * int(student[1:]) + at, marked=True)):
                crop_id = f"{lecture_id}.{student}.{number:09d}"
                if not keep_crop(store, crop_id, png(picture), (lecture_id, student, 0.0)):
                    continue
                said = Prediction(
                    crop_id, student, 0.0, "screen", "screen", probabilities("screen", 0.9), "m", "attention"
                )
                number_said = record_prediction(store, said)
                annotate(store, Answer(crop_id, label, "ada", may_train=may_train, prediction_id=number_said), RUBRIC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "classroom.db"
    make_key(path, b"k" * 32, 0.0)  # nobody is set aside, whoever they are
    fill(path, STUDENTS[:4], 6)
    yield path


def answers(world: World, model_id: str, pictures: Pictures) -> list[str]:
    entry = Registry(world.models).entry(model_id)
    found = BundledClassifier(entry.bundle, RUBRIC, 1, adapter=entry.adapter).probabilities(pictures)
    return [RUBRIC.names[int(row.argmax())] for row in found]


def share(said: list[str], label: str) -> float:
    return said.count(label) / len(said)


def test_corrections_become_a_champion_and_nothing_else_moves(fresh: World, store: Path) -> None:
    turn = Retraining(fresh.wish(store, promote=True, force=True, reason="nobody is set aside here", by="ada"))
    plan = turn.plan()
    assert (plan.fresh, plan.corrected_students, plan.crops) == (24, 4, 24)
    result = turn.run(plan, tell=lambda line: None)
    assert result.promoted
    assert len(result.reasons) == 1 and "0 students judge" in result.reasons[0], "nothing else is held against it"
    unseen = colours(0, 30, 999, marked=True)
    assert share(answers(fresh, plan.model_id, unseen), "paper") >= 0.9
    for label, name in enumerate(RUBRIC.names):
        assert share(answers(fresh, plan.model_id, colours(label, 30, 888)), name) >= 0.95
    entry = Registry(fresh.models).champion()
    assert entry.model_id == plan.model_id
    lineage = entry.manifest["lineage"]
    assert (lineage["students"], lineage["annotators"], lineage["lectures"]) == (STUDENTS[:4], ["ada"], ["lecture-0"])
    with pytest.raises(BadInputError, match="0 corrections that may teach since"):
        Retraining(fresh.wish(store)).plan()
    fill(store, STUDENTS[4:8], 3, at=1)
    second = Retraining(fresh.wish(store)).plan()
    assert (second.fresh, second.corrections, second.round) == (12, 36, 2)
    assert second.parent_adapter, "it goes on from the champion"
    done = erase(look(store, "s02"), fresh.models)
    assert done.tainted == (plan.model_id,)
    third = Retraining(fresh.wish(store)).plan()
    assert not third.parent_adapter and "erased" in third.why_base, "from the base, for the champion knows s02"
    assert "s02" not in third.students
    marks = {row.model_id: row.tainted_by for row in list_models(Registry(fresh.models))}
    assert marks[plan.model_id] == ("s02",)


def test_a_killed_one_goes_on_at_the_step_it_was_at(fresh: World, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wish = fresh.wish(store)
    first = Retraining(wish)
    plan = first.plan()

    def killed(line: str) -> None:
        if line.startswith("Exporting"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first.run(plan, tell=killed)
    folder = fresh.models.with_name("retraining") / plan.model_id
    trained = {path: path.stat().st_mtime_ns for path in (folder / "run").rglob("*.safetensors")}
    assert trained
    fill(store, ["s05"], 2, at=1)  # new answers wait for the next time
    again = Retraining(wish)
    there = again.plan()
    assert (there.goes_on, there.model_id, there.done) == (True, plan.model_id, ("trained",))
    assert "goes on where it was stopped" in plan_words(there)[0]
    result = again.run(there, tell=lambda line: None)
    assert not result.promoted
    assert result.passed is not None
    assert {path: path.stat().st_mtime_ns for path in trained} == trained
    challenger = Registry(fresh.models).alias("challenger")
    assert challenger is not None and challenger.model_id == plan.model_id
    assert Retraining(replace(wish, fewest=2)).plan().fresh == 2


def test_what_may_not_teach_is_left_out_and_told(fresh: World, tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    make_key(path, b"k" * 32, 0.0)
    fill(path, STUDENTS[:2], 6, may_train=False)
    fill(path, STUDENTS[2:4], 5, at=1)
    with Store.open(path) as opened:
        set_opt_out(opened, "s04", True)
    with pytest.raises(BadInputError) as told:
        Retraining(fresh.wish(path)).plan()
    words = str(told.value)
    assert "too little to learn from: 5 corrections that may teach, expected 8 or more" in words
    assert "12 may not be trained on" in words and "5 opted out" in words
    assert "ask those concerned" in words


def test_students_set_aside_never_teach(fresh: World, tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    make_key(path, b"k" * 32, 0.999)
    fill(path, STUDENTS[:4], 6)
    with pytest.raises(BadInputError, match="24 set aside to judge models"):
        Retraining(fresh.wish(path)).plan()


def test_a_dry_run_prints_the_plan_and_writes_nothing(fresh: World, store: Path) -> None:
    told = CliRunner().invoke(
        app, ["retrain", "--store", str(store), "--models", str(fresh.models), "--base", str(fresh.base), "--dry-run"]
    )
    assert told.exit_code == 0, told.output
    assert "24 new corrections of 4 students" in told.output
    assert "about" in told.output
    assert not fresh.models.with_name("retraining").exists()


def test_force_is_refused_before_anything_long_begins(fresh: World, store: Path) -> None:
    with pytest.raises(BadInputError, match="add --reason"):
        require_reason(fresh.wish(store, promote=True, force=True))
    with pytest.raises(BadInputError, match="add --promote"):
        require_reason(fresh.wish(store, force=True, reason="why not"))


def test_other_weights_than_the_champions_are_refused_before_anything_long_begins(fresh: World, store: Path) -> None:
    with pytest.raises(BundleError, match=r"not the weights that the model in use.*--base FOLDER"):
        Retraining(fresh.wish(store, base=fresh.root / "random")).plan()


def test_where_nothing_is_wrong_nothing_is_made(fresh: World, tmp_path: Path) -> None:
    """The store says that the model was corrected, but it has learned all of it meanwhile."""
    path = tmp_path / "other.db"
    make_key(path, b"k" * 32, 0.0)
    fill(path, STUDENTS[:4], 6, label="wander")
    turn = Retraining(fresh.wish(path, fewest=0))
    with pytest.raises(ClassroomError, match="nothing better was learned"):
        turn.run(turn.plan(), tell=lambda line: None)
    (state,) = fresh.models.with_name("retraining").glob("*/state.json")
    assert ABANDONED in json.loads(state.read_text(encoding="utf-8"))
