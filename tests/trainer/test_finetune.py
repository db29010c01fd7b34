"""Fine-tuning of a base: it learns, a killed run ends with the losses of a straight one, and what it refuses."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from monitor.errors import BadInputError, BundleError
from monitor.rubric import load_rubric
from tests.trainer.configs import CONFIGS, with_changes
from tests.trainer.policies import write_base
from tests.trainer.shards import write_shard
from trainer.corpora.record import NO_LABEL, PictureSet
from trainer.finetune import LearningSettings, finetune, read_finetune_settings, train_finetune
from trainer.finetune.lessons import Deck, Teaching
from trainer.finetune.loop import LossNotFiniteError
from trainer.memory import advising, next_batch_size
from trainer.policy import LoraSettings, Policy, load_policy
from trainer.policy.lora import Trainable

ROOT = Path(__file__).parents[2]
RUBRIC = load_rubric("attention")
QUICK = LearningSettings(steps=6, batch_size=6, learning_rate=1e-2, save_every=4, paraphrased=0.4, probes=0.3)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base") / "embedded")


@pytest.fixture(scope="module")
def pictures() -> PictureSet:
    """Noise in which the brightest colour tells the label; every tenth picture has none."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    images = rng.integers(0, 120, (60, 32, 32, 3), dtype=np.uint8)
    images[np.arange(60), :, :, labels] += 130
    unknown = np.full((60, 4), np.nan, dtype=np.float32)
    labels[::10] = NO_LABEL
    return PictureSet(images, labels, tuple(f"p{row // 3}" for row in range(60)), unknown, unknown)


def policy_of(base: Path, trainable: Trainable = "lora") -> Policy:
    return load_policy(base, trainable=trainable, lora=LoraSettings(rank=4, dropout=0.1))


@pytest.mark.parametrize("objective", ["answer", "labels"])
def test_it_learns_what_it_is_shown(base: Path, pictures: PictureSet, tmp_path: Path, objective: str) -> None:
    policy = policy_of(base, "full")
    steps = {"labels": 40, "answer": 120}[objective]  # to speak is learned first, where nothing could before
    how = LearningSettings(steps=steps, batch_size=12, learning_rate=4e-3, objective=objective, paraphrased=0.0)
    run = finetune(policy, pictures, RUBRIC, how, tmp_path / "run")
    assert len(run.losses) == steps
    assert np.mean(run.losses[-5:]) < 0.6 * np.mean(run.losses[:5])
    known = pictures.take(np.flatnonzero(pictures.labels >= 0))
    phrases = [label.phrase for label in RUBRIC.labels]
    guess = load_policy(base, adapter=run.adapter).score(known.images_rgb, RUBRIC.question, phrases).argmax(1)
    assert (guess == known.labels).mean() > 0.9


@pytest.mark.parametrize("trainable", ["lora", "projector", "full"])
def test_a_run_that_was_stopped_ends_with_the_losses_of_a_straight_one(
    base: Path, pictures: PictureSet, tmp_path: Path, trainable: Trainable
) -> None:
    how = replace(QUICK, views=2)
    straight = finetune(policy_of(base, trainable), pictures, RUBRIC, how, tmp_path / "straight")

    def stop(step: int, loss: float) -> None:
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        finetune(policy_of(base, trainable), pictures, RUBRIC, how, tmp_path / "run", report=stop)
    resumed = finetune(policy_of(base, trainable), pictures, RUBRIC, how, tmp_path / "run", resume=True)
    assert np.allclose(resumed.losses, straight.losses, atol=1e-5)
    assert len(resumed.losses) == how.steps


def test_what_a_kill_leaves_on_disk_is_enough(base: Path, pictures: PictureSet, tmp_path: Path) -> None:
    """The folder as it lies after four steps: the state is of two, and the log ends with half a line."""
    how = replace(QUICK, save_every=2)

    def copied(step: int, loss: float) -> None:
        if step == 4:
            shutil.copytree(tmp_path / "straight", tmp_path / "killed")

    straight = finetune(policy_of(base), pictures, RUBRIC, how, tmp_path / "straight", report=copied)
    with (tmp_path / "killed" / "losses.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 4, "lo')
    resumed = finetune(policy_of(base), pictures, RUBRIC, how, tmp_path / "killed", resume=True)
    assert len(resumed.losses) == how.steps
    assert np.allclose(resumed.losses, straight.losses, atol=1e-5)


def _config(folder: Path, base: Path, **changes: str) -> Path:
    for number in range(2):
        write_shard(folder / "shards", number)
    small = {
        "runs/embedded": base.as_posix(),
        "runs/renders/domain": (folder / "shards").as_posix(),
        "steps = 400": "steps = 12",
        "batch_size = 48": "batch_size = 8",
        "views = 6": "views = 2\nsave_every = 5",
    }
    return with_changes(folder / "config.toml", "finetune-lora.toml", {**small, **changes})


KILLED = """
import os, signal, sys
from pathlib import Path

import trainer.finetune.loop as loop
from trainer.finetune import train_finetune

log = loop.log_loss

def killed(folder, step, *more):
    log(folder, step, *more)
    if step == 7:
        os.kill(os.getpid(), signal.SIGKILL)

loop.log_loss = killed
train_finetune(Path(sys.argv[1]), out=Path(sys.argv[2]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_killed_run_resumed_equals_a_straight_one(base: Path, tmp_path: Path) -> None:
    config = _config(tmp_path, base)
    straight = train_finetune(config, out=tmp_path / "straight")
    command = [sys.executable, "-c", KILLED, str(config), str(tmp_path / "run")]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    lines = (tmp_path / "run" / "losses.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 8, "steps after the saved one are done again"
    resumed = train_finetune(config, out=tmp_path / "run", resume=True)
    one, two = (
        [json.loads(line)["loss"] for line in (folder.parent / "losses.jsonl").read_text("utf-8").splitlines()]
        for folder in (straight, resumed)
    )
    assert len(one) == 12
    assert np.allclose(one, two, atol=1e-5)
    story = json.loads((resumed / "manifest.json").read_text(encoding="utf-8"))["story"]
    assert story["method"] == "sft"
    assert story["corpora"] == ["shards"]
    assert 0 <= story["held_out"]["macro_f1"] <= 1
    assert str(tmp_path) not in (resumed / "manifest.json").read_text(encoding="utf-8")


def test_the_command_takes_a_base(base: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from classroom import app

    config = _config(tmp_path, base, **{"steps = 400": "steps = 1"})
    done = CliRunner().invoke(app, ["train", "sft", "--config", str(config), "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "run" / "adapter" / "manifest.json").is_file()


def test_a_state_of_another_run_or_cut_short_is_refused(base: Path, pictures: PictureSet, tmp_path: Path) -> None:
    out = tmp_path / "run"
    finetune(policy_of(base), pictures, RUBRIC, QUICK, out)
    with pytest.raises(BadInputError, match="holds a run already"):
        finetune(policy_of(base), pictures, RUBRIC, QUICK, out)
    with pytest.raises(BadInputError, match="another base, other pictures or other settings"):
        finetune(policy_of(base), pictures, RUBRIC, replace(QUICK, seed=1), out, resume=True)
    with pytest.raises(BadInputError, match="no run to resume"):
        finetune(policy_of(base), pictures, RUBRIC, QUICK, tmp_path / "none", resume=True)
    state = out / "state.pt"
    state.write_bytes(state.read_bytes()[:-50])
    with pytest.raises(BundleError, match="cut short"):
        finetune(policy_of(base), pictures, RUBRIC, QUICK, out, resume=True)


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_state(
    base: Path, pictures: PictureSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights that become infinite at step 4 give a loss that is no number at step 5; the state of step 3 stays."""
    policy = policy_of(base)
    how = replace(QUICK, steps=8, save_every=1)
    weights = list(policy.trained().values())

    def spoil(step: int, loss: float) -> None:
        if step == 4:
            with torch.no_grad():
                weights[1].fill_(float("inf"))

    with pytest.raises(LossNotFiniteError, match=r"step 4 is .*last good state is kept.*learning_rate = 0\.0033"):
        finetune(policy, pictures, RUBRIC, how, tmp_path / "run", report=spoil)
    manifest = json.loads((tmp_path / "run" / "adapter" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["story"]["stopped"] == "NaN"
    assert manifest["story"]["steps"] == 3
    kept = load_policy(base, adapter=tmp_path / "run" / "adapter")
    scores = kept.score(pictures.images_rgb[:4], RUBRIC.question, ["yes", "no"])
    assert np.isfinite(scores).all()


def test_running_out_of_memory_names_the_next_batch_size() -> None:
    with pytest.raises(BadInputError, match=r"out of memory with batch_size = 12\. Try batch_size = 6"), \
            advising(next_batch_size(12)):  # fmt: skip
        torch.empty(2**60, dtype=torch.uint8)  # a real error of torch
    with pytest.raises(BadInputError, match="It is 1 already"), advising(next_batch_size(1)):
        np.empty(2**60, dtype=np.uint8)
    with (
        pytest.raises(RuntimeError, match=r"size mismatch|must match|cannot be multiplied"),
        advising(next_batch_size(4)),
    ):
        torch.ones(2, 3) @ torch.ones(2, 3)  # any other error stays what it is


def test_one_class_or_none_is_refused(base: Path, pictures: PictureSet, tmp_path: Path) -> None:
    policy = policy_of(base)
    screens = pictures.take(np.flatnonzero(pictures.labels == 0))
    with pytest.raises(BadInputError, match="every picture is 'screen'"):
        finetune(policy, screens, RUBRIC, QUICK, tmp_path / "run")
    with pytest.raises(BadInputError, match="no labelled pictures"):
        finetune(policy, pictures.take([]), RUBRIC, QUICK, tmp_path / "run")
    with pytest.raises(BadInputError, match="nothing of this policy learns"):
        finetune(load_policy(base), pictures, RUBRIC, QUICK, tmp_path / "run")
    beyond = replace(pictures, labels=np.full(len(pictures), 7) - (np.arange(len(pictures)) % 2))
    with pytest.raises(BadInputError, match="label number 7"):
        finetune(policy, beyond, RUBRIC, QUICK, tmp_path / "run")


def test_every_class_comes_equally_often_and_every_picture_before_any_again() -> None:
    labels = np.array([0] * 20 + [1] * 5 + [2])
    deck = Deck(labels, seed=3, balanced=True)
    rows = [row for step in range(20) for row in deck.rows(step, 6)]
    counts = np.bincount(labels[rows])
    assert counts.tolist() == [40, 40, 40]
    assert sorted(row for row in rows if row < 20)[::2] == list(range(20))
    assert rows == [row for step in range(20) for row in Deck(labels, seed=3, balanced=True).rows(step, 6)]
    plain = Deck(labels, seed=3, balanced=False)
    assert sorted(plain.rows(0, 26)) == list(range(26))


def test_generic_prompts_name_no_task_and_probes_are_half_yes() -> None:
    labels = np.arange(600) % 3
    generic = Teaching(RUBRIC, prompts="generic", paraphrased=0.5, probes=0.0, seed=0)
    asked = {lesson.question for lesson in generic.lessons(range(60), labels, 0)}
    assert RUBRIC.question not in asked
    assert len(asked) == 2
    probing = Teaching(RUBRIC, prompts="specific", paraphrased=0.0, probes=0.99, seed=0)
    lessons = [one for one in probing.lessons(range(600), labels, 1) if one.answers == ("yes", "no")]
    assert 0.4 < np.mean([one.right == 0 for one in lessons]) < 0.6
    for one in lessons:
        about = next(index for index, label in enumerate(RUBRIC.labels) if label.phrase in one.question)
        assert (about == labels[one.row]) == (one.right == 0)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("finetune*.toml")), ids=lambda path: path.stem)
def test_shipped_configurations_read(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# classroom train sft --config trainer/configs/{path.name}\n")
    assert read_finetune_settings(path).name == path.stem


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = 'x'\n[base]\npath = 'b'\ncolour = 1", "unknown key 'colour'"),
        ("name = 'x'\n[base]\ntrainable = 'lora'", "'path' is missing"),
        ("name = 'x'\n[base]\npath = 'b'", "'corpora' is missing"),
        ("name = 'x'\n[base]\npath = 'b'\ntrainable = 'half'\n[data]\ncorpora = ['c']", "'trainable' must be one of"),
        ("name = 'x'\n[base]\npath = 'b'\n[training]\nsteps = 0", "steps must be 1 or more"),
        ("name = 'x'\n[base]\npath = 'b'\n[training]\nobjective = 'fun'", "objective must be one of"),
        ("[base]\npath = 'b'", "'name' must be a text"),
    ],
)
def test_bad_configurations_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError, match=message):
        read_finetune_settings(path)
