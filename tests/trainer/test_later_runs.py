"""Runs that go on where others ended: with the last stage, which makes probes fit the label, or with more steps."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from monitor.errors import BadInputError
from monitor.rubric import load_rubric
from monitor.vlm import prompt
from tests.trainer.configs import with_changes
from tests.trainer.shards import write_shard
from trainer.corpora.synthetic import read_shard
from trainer.evaluation.held_out import ask
from trainer.feed import Batch
from trainer.model import Checkpoint, load_checkpoint
from trainer.settings import read_settings
from trainer.sft import train_sft
from trainer.student import Student

RUBRIC = load_rubric("attention")
NO_TEACHER = {"steps = 30\n": "steps = 0\n"}
PHRASES = [label.phrase for label in RUBRIC.labels]


def _config(folder: Path, name: str, **changes: str) -> Path:
    shards = folder / "shards"
    if not shards.is_dir():
        for number in range(4):
            write_shard(shards, number)
    return with_changes(folder / name, "tiny.toml", {"runs/renders/tiny": shards.as_posix(), **changes})


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that knows its labels, and whose probes contradict each other still."""
    folder = tmp_path_factory.mktemp("probes")
    return train_sft(_config(folder, "base.toml"), out=folder / "base")


def _probes_alone(base: Path, steps: int = 40) -> dict[str, str]:
    text = f'[training]\nstart = "{base.as_posix()}"\nsteps = 0'
    return {
        "[training]\nsteps = 260": text,
        **NO_TEACHER,
        "evaluate_every_s = 20.0": f"\n[probes]\nsteps = {steps}\nbatch_size = 32\nlearning_rate = 2e-3",
    }


def _answers(checkpoint: Checkpoint, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The label's number, and which probes say yes, of each picture."""
    direct = ask(checkpoint, images, RUBRIC.question, PHRASES).argmax(axis=1)
    probes = [ask(checkpoint, images, prompt.probe_question(phrase), [prompt.YES, prompt.NO]) for phrase in PHRASES]
    return direct, np.stack([probe[:, 0] > 0.5 for probe in probes], axis=1)


def test_probes_come_to_fit_the_label_and_the_rest_stays(base: Path, tmp_path: Path) -> None:
    taught = train_sft(_config(base.parent, "taught.toml", **_probes_alone(base)), out=tmp_path / "taught")
    images = np.concatenate([read_shard(write_shard(tmp_path, n), RUBRIC.names).images_rgb for n in (77, 78)])
    (label, before), (label_after, after) = (_answers(load_checkpoint(folder), images) for folder in (base, taught))
    once = [(yes.sum(axis=1) == 1).mean() for yes in (before, after)]
    assert once[1] > max(0.9, once[0] + 0.02), once
    assert (after[np.arange(len(images)), label_after]).mean() > 0.9, "yes is said to the label that is named"
    assert (label == label_after).mean() > 0.97
    old, new = (load_file(folder / "model.safetensors") for folder in (base, taught))
    frozen = [name for name in old if "vision_model" in name or "connector" in name]
    assert frozen and all(np.array_equal(old[name], new[name]) for name in frozen)
    assert any(not np.array_equal(old[name], new[name]) for name in old)


def test_the_card_tells_where_the_run_began(base: Path, tmp_path: Path) -> None:
    config = _config(base.parent, "card.toml", **_probes_alone(base, steps=1))
    card = load_checkpoint(train_sft(config, out=tmp_path / "taught")).card
    assert card.training["start"]["model_id"] == load_checkpoint(base).card.model_id
    assert card.training["start"]["settings"]["training"]["steps"] == 260
    assert card.training["settings"]["probes"]["steps"] == 1
    assert card.data["runs_before"] == [load_checkpoint(base).card.data["pictures"]]
    assert str(base.parent) not in (tmp_path / "taught" / "classroom.json").read_text(encoding="utf-8")
    log = [json.loads(line) for line in (tmp_path / "taught" / "log.jsonl").read_text("utf-8").splitlines()]
    assert [entry["phase"] for entry in log] == ["probes", "final"]


def test_a_run_goes_on_from_a_checkpoint(base: Path, tmp_path: Path) -> None:
    steps = {"[training]\nsteps = 260": f'[training]\nstart = "{base.as_posix()}"\nsteps = 1'}
    config = _config(base.parent, "more.toml", **steps, **NO_TEACHER, **{"1.5e-3": "1e-9"})
    more = train_sft(config, out=tmp_path / "more")
    old, new = (load_file(folder / "model.safetensors") for folder in (base, more))
    assert max(float(np.abs(old[name] - new[name]).max()) for name in old) < 1e-6


def test_a_run_goes_on_with_finer_patches_and_more_layers(base: Path, tmp_path: Path) -> None:
    finer = {"image_size = 64": "image_size = 96", "scale_factor = 2": "scale_factor = 3",
             "vision_layers = 2": "vision_layers = 3"}  # fmt: skip
    config = _config(base.parent, "finer.toml", **_probes_alone(base, steps=1), **finer)
    checkpoint = load_checkpoint(train_sft(config, out=tmp_path / "finer"))
    assert (checkpoint.card.image_size, checkpoint.card.image_tokens) == (96, 4)
    assert checkpoint.model.model.vision_model.embeddings.position_embedding.weight.shape[0] == 36
    assert len(checkpoint.model.model.vision_model.encoder.layers) == 3
    pictures = read_shard(write_shard(tmp_path, 77), RUBRIC.names)
    named = pictures.labels >= 0
    label = ask(checkpoint, pictures.images_rgb[named], RUBRIC.question, PHRASES).argmax(axis=1)
    assert (label == pictures.labels[named]).mean() > 0.5, "before a step at its size it knows much of what it knew"


def test_a_start_of_another_size_or_none_at_all_is_refused(base: Path, tmp_path: Path) -> None:
    for change in ({"image_size = 64": "image_size = 96"}, {"text_layers = 1": "text_layers = 2"}):
        other = _config(base.parent, "size.toml", **{**_probes_alone(base), **change})
        with pytest.raises(BadInputError, match=r"has (image_tokens 4|text_layers 1), \[model\] says (9|2)"):
            train_sft(other, out=tmp_path / "run")
    nothing = _config(base.parent, "nothing.toml", **{"steps = 260": "steps = 0\n\n[probes]\nsteps = 3\n[training2]"})
    nothing.write_text(nothing.read_text(encoding="utf-8").split("[training2]")[0], encoding="utf-8")
    with pytest.raises(BadInputError, match="only a run that has a `start`"):
        read_settings(nothing)


def test_what_a_run_started_from_has_its_share_in_the_end(base: Path, tmp_path: Path) -> None:
    weights = {}
    for share in ("0.0", "0.75", "1.0"):
        start = f'[training]\nstart = "{base.as_posix()}"\nstart_share = {share}\nsteps = 3'
        config = _config(base.parent, f"share{share}.toml", **{"[training]\nsteps = 260": start, **NO_TEACHER})
        weights[share] = load_file(train_sft(config, out=tmp_path / share) / "model.safetensors")
    old = load_file(base / "model.safetensors")
    for name, value in old.items():
        assert np.allclose(weights["1.0"][name], value, atol=1e-6)
        mixed = 0.75 * value + 0.25 * weights["0.0"][name]
        assert np.allclose(weights["0.75"][name], mixed, atol=1e-6)


def test_the_run_before_comes_first_and_only_once(tmp_path: Path) -> None:
    short = {"steps = 30": "steps = 2", "steps = 260": "steps = 3", '"runs/tiny"': f'"{tmp_path.as_posix()}/first"'}
    _config(tmp_path, "first.toml", **short)
    then = {"[training]\nsteps = 260": '[training]\nstart = "first.toml"\nsteps = 2', **NO_TEACHER}
    config = _config(tmp_path, "second.toml", **then, **{'"runs/tiny"': f'"{tmp_path.as_posix()}/second"'})
    card = load_checkpoint(train_sft(config)).card
    assert card.training["start"]["settings"]["training"]["steps"] == 3
    made_at = (tmp_path / "first" / "model.safetensors").stat().st_mtime_ns
    train_sft(config, out=tmp_path / "again")
    assert (tmp_path / "first" / "model.safetensors").stat().st_mtime_ns == made_at
    with pytest.raises(BadInputError, match="add --resume"):
        train_sft(config)


def test_an_interrupted_run_before_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = {"steps = 30": "steps = 2", "steps = 260": "steps = 6", '"runs/tiny"': f'"{tmp_path.as_posix()}/first"'}
    _config(tmp_path, "first.toml", **first)
    then = {"[training]\nsteps = 260": '[training]\nstart = "first.toml"\nsteps = 2', **NO_TEACHER}
    config = _config(tmp_path, "second.toml", **then)
    whole, calls = Student.step, []

    def interrupted(self: Student, batch: Batch, rate: float, progress: float) -> dict[str, float]:
        calls.append(progress)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return whole(self, batch, rate, progress)

    monkeypatch.setattr(Student, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_sft(config, out=tmp_path / "second")
    train_sft(config, out=tmp_path / "second", resume=True)
    assert len(calls) < 4 + 6 + 2, "the steps that were done before are not done again"
    assert load_checkpoint(tmp_path / "second").card.training["progress"] == 1.0


def test_a_row_of_runs_that_bites_its_tail_is_refused(tmp_path: Path) -> None:
    for name, other in (("one", "two"), ("two", "one")):
        start = {"[training]\nsteps = 260": f'[training]\nstart = "{other}.toml"\nsteps = 2'}
        config = _config(tmp_path, f"{name}.toml", **start)
    with pytest.raises(BadInputError, match="would start from itself, by way of"):
        train_sft(config, out=tmp_path / "run")
