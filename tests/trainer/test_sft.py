"""The trainer from configuration to checkpoint: it learns, resumes, repeats itself, and refuses what it should."""

import json
from pathlib import Path

import pytest
import torch

from monitor.errors import BadInputError
from monitor.rubric import load_rubric
from monitor.vlm import prompt
from tests.trainer.configs import CONFIGS, with_changes
from tests.trainer.shards import write_shard
from trainer.corpora.synthetic import read_shard
from trainer.evaluation.held_out import ask, evaluate
from trainer.feed import Batch
from trainer.model import load_checkpoint
from trainer.settings import OPTIMIZERS, read_settings
from trainer.sft import train_sft
from trainer.student import Student

RUBRIC = load_rubric("attention")


def _config(folder: Path, **changes: str) -> Path:
    """tiny.toml on shards of our own, with some lines changed."""
    shards = folder / "shards"
    if not shards.is_dir():
        for number in range(4):
            write_shard(shards, number)
    return with_changes(folder / "config.toml", "tiny.toml", {"runs/renders/tiny": shards.as_posix(), **changes})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sft")
    return train_sft(_config(folder), out=folder / "run")


def test_it_learns_to_answer_about_other_people(trained: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(trained)
    others = read_shard(write_shard(tmp_path, 77), RUBRIC.names)
    figures = evaluate(checkpoint, others, RUBRIC, draws=50)
    assert figures["macro_f1"] > 0.8
    assert figures["macro_f1_interval"][0] <= figures["macro_f1"] <= figures["macro_f1_interval"][1]
    assert figures["majority_macro_f1"] < 0.3
    named = others.labels >= 0
    paper = ask(checkpoint, others.images_rgb[named], prompt.probe_question("at paper"), [prompt.YES, prompt.NO])
    said = paper[:, 0] > 0.5
    assert (said == (others.labels[named] == 1)).mean() > 0.7


def test_the_folder_tells_its_story(trained: Path) -> None:
    card = load_checkpoint(trained).card
    assert card.data["shards"] == 4
    assert str(trained.parent) not in (trained / "classroom.json").read_text(encoding="utf-8")
    assert card.training["progress"] == 1.0
    assert card.metrics["held_out"]["persons"] > 5
    log = [json.loads(line) for line in (trained / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {"teacher", "student", "final"} <= {entry["phase"] for entry in log}


def test_a_second_run_does_not_overwrite_the_first(trained: Path) -> None:
    with pytest.raises(BadInputError, match="--resume"):
        train_sft(trained.parent / "config.toml", out=trained)
    with pytest.raises(BadInputError, match="no run to resume"):
        train_sft(trained.parent / "config.toml", out=trained.parent / "other", resume=True)


def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    config = _config(tmp_path, **{"steps = 30": "steps = 2", "steps = 260": "steps = 4"})
    one, two = (train_sft(config, out=tmp_path / name) for name in ("one", "two"))
    assert (one / "model.safetensors").read_bytes() == (two / "model.safetensors").read_bytes()


def test_before_its_words_a_run_is_watched_by_its_heads(tmp_path: Path) -> None:
    short = {"steps = 30": "steps = 2", "steps = 260": "steps = 6"}
    late = {"evaluate_every_s = 20.0": "evaluate_every_s = 0.0\ntext_from = 0.5\nlead = 0.5"}
    run = train_sft(_config(tmp_path, **short, **late), out=tmp_path / "run")
    log = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    watched = [entry["phase"] for entry in log if entry["phase"] in ("glance", "evaluation")]
    assert watched == ["glance"] * 2 + ["evaluation"] * 4


def test_the_end_of_a_run_may_see_other_crops(tmp_path: Path) -> None:
    short = {"steps = 30": "steps = 2", "steps = 260": "steps = 4\nlate_from = 0.5"}
    late = {"face_scale_high = 1.8": "face_scale_high = 1.8\n\n[late_augmentation]\nface_scale_low = {}\n"}
    configs = {}
    for low in ("1.0", "1.4"):
        (tmp_path / low).mkdir()
        text = {key: value.format(low) for key, value in late.items()}
        configs[low] = _config(tmp_path / low, **short, **text)
    settings = read_settings(configs["1.0"])
    assert [settings.augmentation_at(done)["face_scale_low"] for done in (0.0, 0.49, 0.5, 1.0)] == [1.4, 1.4, 1.0, 1.0]
    assert settings.augmentation_at(1.0)["face_scale_high"] == 1.8
    tight, wide = (
        (train_sft(configs[low], out=tmp_path / low / "run") / "model.safetensors").read_bytes() for low in configs
    )
    assert tight != wide, "the second half of the run saw the same crops whatever [late_augmentation] says"


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_interrupted_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str) -> None:
    changes = {"steps = 30": "steps = 2", "steps = 260": f'steps = 8\noptimizer = "{optimizer}"'}
    config = _config(tmp_path, **changes)
    whole = Student.step
    calls = []

    def interrupted(self: Student, batch: Batch, rate: float, progress: float) -> dict[str, float]:
        calls.append(rate)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return whole(self, batch, rate, progress)

    monkeypatch.setattr(Student, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_sft(config, out=tmp_path / "run")
    before = torch.load(tmp_path / "run" / "state.pt", weights_only=False)
    other = config.with_name("other.toml")
    swapped = {"adamw": "muon", "muon": "adamw"}[optimizer]
    other.write_text(config.read_text(encoding="utf-8").replace(f'"{optimizer}"', f'"{swapped}"'), encoding="utf-8")
    with pytest.raises(BadInputError, match=rf"state\.pt: not the state of optimizer '{swapped}'"):
        train_sft(other, out=tmp_path / "run", resume=True)
    train_sft(config, out=tmp_path / "run", resume=True)
    after = torch.load(tmp_path / "run" / "state.pt", weights_only=False)
    assert 0 < before["progress"] < 1.0 == after["progress"]
    assert after["steps"] > before["steps"]
    assert calls[5] < calls[3], "the learning rate goes on where it was, it does not rise again"


@pytest.mark.parametrize("name", ["tiny.toml", "coarse.toml", "embedded.toml"])
def test_shipped_configurations_read(name: str) -> None:
    text = (CONFIGS / name).read_text(encoding="utf-8")
    assert text.startswith(f"# classroom train sft --config trainer/configs/{name}\n")
    assert read_settings(CONFIGS / name).name == name.removesuffix(".toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = 'x'\n[training]\nstepz = 3", "unknown key 'stepz'"),
        ("name = 'x'\ncolour = 3", "unknown key 'colour'"),
        ("name = 'x'\n[training]\nsteps = 'many'", "'steps' must be int"),
        ("name = 'x'", "give steps or minutes"),
        ("name = 'x'\n[training]\nsteps = 3\noptimizer = 'sgd'", "one of adamw, muon, found 'sgd'"),
        ("[training]\nsteps = 3", "'name' must be a text"),
        ("name = ", "not valid TOML"),
    ],
)
def test_bad_configurations_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError, match=message):
        read_settings(path)
