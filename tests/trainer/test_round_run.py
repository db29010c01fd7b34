"""Rounds on the real engine, small: supervised training, two rounds, evaluation; far below two minutes of a core."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from monitor.errors import BadInputError, BundleError
from monitor.rubric import load_rubric
from tests.trainer.configs import with_changes
from tests.trainer.policies import write_base
from trainer.corpora.record import NO_LABEL
from trainer.evaluation.run import Extras, run_evaluation
from trainer.evaluation.settings import EvaluationSettings
from trainer.finetune import train_finetune
from trainer.round_data import load_parts
from trainer.round_engine import PolicyEngine
from trainer.round_manifest import read_manifest
from trainer.round_parts import Parts
from trainer.round_people import earlier_people, read_people
from trainer.round_run import train_rounds, with_epsilon
from trainer.round_settings import RoundData, read_rounds
from trainer.rounds import Outcome

RUBRIC = load_rubric("attention")


def write_colours(folder: Path, pictures: int, *, contrast: int, cast: int = 0, seed: int = 0) -> Path:
    """A shard of noise in which one colour is stronger and tells the label; `cast` makes all of it redder."""
    rng = np.random.default_rng(seed)
    labels = np.arange(pictures) % 3
    images = rng.integers(0, 80, (pictures, 32, 32, 3))
    images[np.arange(pictures), :, :, labels] += contrast
    images[..., 0] += cast
    folder.mkdir(parents=True)
    np.savez(folder / "shard_00000.npz", images=images.astype(np.uint8))
    angles = {"head_yaw": 0.0, "head_pitch": 0.0, "gaze_yaw": 0.0}
    lines = [
        {"person_id": f"p{seed}-{row // 6}", "label": RUBRIC.names[label], "gaze_pitch": 25.0 * label,
         "face_box": [4, 4, 28, 28], **angles}
        for row, label in enumerate(labels.tolist())
    ]  # fmt: skip
    (folder / "shard_00000.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder


def sft_config(folder: Path, base: Path) -> Path:
    text = f"""name = "tiny-sft"
[base]
path = "{base.as_posix()}"
trainable = "full"
[data]
corpora = ["{write_colours(folder / "known", 60, contrast=130).as_posix()}"]
[training]
steps = 120
batch_size = 12
learning_rate = 4e-3
paraphrased = 0.1
"""
    path = folder / "sft.toml"
    path.write_text(text, encoding="utf-8")
    return path


def rounds_config(folder: Path, base: Path, adapter: Path, corpus: Path) -> Path:
    changes = {
        'corpora = ["runs/renders/tiny-rounds"]': f'corpora = ["{corpus.as_posix()}"]',
        'base = "runs/tiny"': f'base = "{base.as_posix()}"\nadapter = "{adapter.as_posix()}"',
    }
    return with_changes(folder / "rounds.toml", "rounds-tiny.toml", changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """base/, sft/ (an adapter that knows strong colours), new/ (weak colours under a red light) and rounds.toml."""
    root = tmp_path_factory.mktemp("tiny")
    base = write_base(root / "base")
    adapter = train_finetune(sft_config(root, base), out=root / "sft")
    corpus = write_colours(root / "new", 240, contrast=8, cast=12, seed=1)
    rounds_config(root, base, adapter, corpus)
    return root


@pytest.fixture(scope="module")
def finished(folder: Path) -> Outcome:
    return train_rounds(folder / "rounds.toml", out=folder / "run", tell=lambda line: None)


def test_rounds_mend_what_supervised_training_did_not_know(folder: Path, finished: Outcome) -> None:
    assert len(finished.rounds) == 2
    first = finished.rounds[0]
    assert first.accepted, first.reasons
    assert first.metrics["training"]["first_rewards/margins"] == pytest.approx(0.0, abs=1e-4), (
        "it starts as its reference"
    )
    assert first.metrics["picture_use"]["with_wrong_pictures"] < first.metrics["picture_use"]["margin"]
    assert finished.final["champion"]["macro_f1"] > finished.final["start"]["macro_f1"] + 0.1
    assert read_manifest(folder / "run" / "round_01") == first


def test_the_champion_can_be_evaluated(folder: Path, finished: Outcome) -> None:
    settings = EvaluationSettings(draws=50, consistency=False, probes=False, free_answers=0)
    extras = Extras(adapter=finished.champion)
    run_evaluation(str(folder / "base"), folder / "new", folder / "report", RUBRIC, settings, extras)
    assert (folder / "report" / "report.html").is_file()


def test_a_killed_run_goes_on_to_the_same_rounds(folder: Path, finished: Outcome) -> None:
    def kill(line: str) -> None:
        if line.startswith("Round 1:") and line.endswith("pairs."):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_rounds(folder / "rounds.toml", out=folder / "killed", tell=kill)
    again = train_rounds(folder / "rounds.toml", out=folder / "killed", resume=True, tell=lambda line: None)
    assert [one.without_times() for one in again.rounds] == [one.without_times() for one in finished.rounds]
    assert again.final == finished.final


def test_a_second_run_does_not_overwrite_the_first(folder: Path, finished: Outcome) -> None:
    with pytest.raises(BadInputError, match="holds a run already"):
        train_rounds(folder / "rounds.toml", out=folder / "run")


def test_an_adapter_for_another_base_is_refused(folder: Path, tmp_path: Path) -> None:
    settings = read_rounds(folder / "rounds.toml")
    other = write_base(tmp_path / "other", seed=7)
    with pytest.raises(BundleError, match="belongs to the base"):
        PolicyEngine(replace(settings.model, base=str(other)), settings.preference, tmp_path / "cache")


def test_parts_are_of_different_people_and_a_split_that_leaks_is_refused(folder: Path, tmp_path: Path) -> None:
    parts = load_parts(RoundData((str(folder / "new"),), train_limit=60), RUBRIC, 32, 0)
    people = [set(part.persons) for part in (parts.train, parts.selection, parts.final)]
    assert sum(len(some) for some in people) == len(people[0] | people[1] | people[2])
    assert len(parts.train) == len(parts.item_ids) == 60
    assert NO_LABEL not in parts.train.labels
    twins = write_colours(tmp_path / "twins", 60, contrast=40, seed=1)
    table = (twins / "shard_00000.jsonl").read_text(encoding="utf-8").splitlines()
    with np.load(twins / "shard_00000.npz") as saved:
        images = np.repeat(saved["images"][:20], 3, axis=0)
    np.savez(twins / "shard_00000.npz", images=images)
    alone = [json.loads(line) | {"person_id": f"q{row}"} for row, line in enumerate(table)]
    (twins / "shard_00000.jsonl").write_text("".join(json.dumps(one) + "\n" for one in alone), encoding="utf-8")
    with pytest.raises(BadInputError, match="nearly the same picture"):
        load_parts(RoundData((str(twins),)), RUBRIC, 32, 0)


def test_people_keep_their_parts_when_a_corpus_grows(folder: Path, tmp_path: Path) -> None:
    def people(parts: Parts) -> dict[str, str]:
        named = {"train": parts.train, "selection": parts.selection, "final": parts.final}
        return {person: name for name, part in named.items() for person in part.persons}

    few = RoundData((str(write_colours(tmp_path / "few", 120, contrast=8, seed=1)),))
    many = RoundData((str(folder / "new"),))
    before = load_parts(few, RUBRIC, 32, 0)
    assert before.part_of == people(before)
    assert len(before.part_of) == 20
    forgetful = people(load_parts(many, RUBRIC, 32, 0))
    assert any(forgetful[person] != part for person, part in before.part_of.items()), "else this shows nothing"
    earlier = {**before.part_of, "who left": "final"}
    after = load_parts(many, RUBRIC, 32, 0, earlier=earlier)
    assert len(people(after)) == 40
    assert {person: part for person, part in people(after).items() if person in before.part_of} == before.part_of
    assert after.part_of == people(after) | {"who left": "final"}


def test_a_later_run_finds_the_people_of_the_run_its_adapter_is_from(
    folder: Path, finished: Outcome, tmp_path: Path
) -> None:
    settings = read_rounds(folder / "rounds.toml")
    dealt = read_people(folder / "run")
    assert set(dealt.values()) == {"train", "selection", "final"}
    assert len(dealt) == 40
    later = replace(settings, model=replace(settings.model, adapter=str(finished.champion)))
    named = replace(settings, data=replace(settings.data, parts_of=str(folder / "run")))
    assert earlier_people(later, tmp_path, resume=False) == earlier_people(named, tmp_path, resume=False) == dealt
    assert earlier_people(settings, folder / "run", resume=True) == dealt
    assert earlier_people(settings, tmp_path, resume=False) == {}
    with pytest.raises(BadInputError, match=r"expected a run with people\.json, found none.*leave out parts_of"):
        read_people(tmp_path)
    for text in ("{", "[]", '{"p1": 3}'):
        (tmp_path / "people.json").write_text(text, encoding="utf-8")
        with pytest.raises(BadInputError, match=r"people\.json: "):
            read_people(tmp_path)


def test_two_corpora_keep_their_pictures_apart(folder: Path) -> None:
    data = RoundData((str(folder / "new"), str(folder / "known")))
    parts = load_parts(data, RUBRIC, 32, 0)
    assert len(set(parts.item_ids)) == len(parts.item_ids)
    assert {name[:2] for name in parts.item_ids} == {"0:", "1:"}
    assert len(parts.train) + len(parts.selection) + len(parts.final) == 300


def test_without_doubly_annotated_crops_epsilon_stays_as_configured(folder: Path) -> None:
    settings = read_rounds(folder / "rounds.toml")
    assert with_epsilon(settings, print) is settings
