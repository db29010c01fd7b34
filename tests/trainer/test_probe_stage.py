"""The last stage: probes come to fit the label, everything else stays; and runs that go on from a checkpoint."""

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
from trainer.model import Checkpoint, load_checkpoint
from trainer.settings import read_settings
from trainer.sft import train_sft

RUBRIC = load_rubric("attention")
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
        "steps = 30\n": "steps = 0\n",
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
    assert str(base.parent) not in (tmp_path / "taught" / "classroom.json").read_text(encoding="utf-8")
    log = [json.loads(line) for line in (tmp_path / "taught" / "log.jsonl").read_text("utf-8").splitlines()]
    assert [entry["phase"] for entry in log] == ["probes", "final"]


def test_a_run_goes_on_from_a_checkpoint(base: Path, tmp_path: Path) -> None:
    steps = {"[training]\nsteps = 260": f'[training]\nstart = "{base.as_posix()}"\nsteps = 1'}
    config = _config(base.parent, "more.toml", **steps, **{"steps = 30\n": "steps = 0\n", "1.5e-3": "1e-9"})
    more = train_sft(config, out=tmp_path / "more")
    old, new = (load_file(folder / "model.safetensors") for folder in (base, more))
    assert max(float(np.abs(old[name] - new[name]).max()) for name in old) < 1e-6


def test_a_run_goes_on_with_finer_patches(base: Path, tmp_path: Path) -> None:
    finer = {"image_size = 64": "image_size = 96", "scale_factor = 2": "scale_factor = 3"}
    config = _config(base.parent, "finer.toml", **_probes_alone(base, steps=1), **finer)
    checkpoint = load_checkpoint(train_sft(config, out=tmp_path / "finer"))
    assert (checkpoint.card.image_size, checkpoint.card.image_tokens) == (96, 4)
    assert checkpoint.model.model.vision_model.embeddings.position_embedding.weight.shape[0] == 36
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
