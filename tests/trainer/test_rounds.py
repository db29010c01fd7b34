"""The loop of rounds: it improves the model, writes down how, refuses what is no improvement, and survives a kill."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.errors import BadInputError
from monitor.rubric import load_rubric
from tests.trainer.linear_engine import BrokenEngine, LinearEngine, UnlearningEngine, parts, squares
from trainer.acceptance import AcceptanceSettings
from trainer.corpora.record import NO_LABEL, PictureSet
from trainer.pairs import PairSettings, read_pairs
from trainer.preference.settings import PreferenceSettings
from trainer.round_manifest import closed_rounds, read_manifest, round_folder
from trainer.round_parts import Parts, balanced_examples
from trainer.round_settings import PolicyChoice, RoundData, RoundsSettings
from trainer.rounds import Outcome, run_rounds

RUBRIC = load_rubric("attention")
PARTS = parts()
LENIENT = AcceptanceSettings(least_points=-100.0, level=0.5, draws=200)
STRICT = AcceptanceSettings(least_points=-100.0, least_gain_points=30.0, level=0.5, draws=200)
"""So much can be had once, not twice."""


def settings(**changes: Any) -> RoundsSettings:
    plain = RoundsSettings(
        name="test", rounds=3, data=RoundData(("none",)), model=PolicyChoice(base="linear"), acceptance=LENIENT,
        pairs=PairSettings(gaze_share=0.0),
    )  # fmt: skip
    return replace(plain, **changes)


def run(out: Path, engine: LinearEngine, given: Parts = PARTS, resume: bool = False, **changes: Any) -> Outcome:
    lines: list[str] = []
    return run_rounds(settings(**changes), RUBRIC, given, engine, out, resume=resume, tell=lines.append)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    out = tmp_path_factory.mktemp("rounds") / "run"
    return out, run(out, LinearEngine())


def test_rounds_improve_the_model_on_students_it_has_not_seen(finished: tuple[Path, Outcome]) -> None:
    out, outcome = finished
    assert [one.accepted for one in outcome.rounds] == [True] * len(outcome.rounds)
    assert outcome.champion == out / outcome.rounds[-1].adapter
    assert outcome.final["start"]["macro_f1"] < 0.4
    assert outcome.final["champion"]["macro_f1"] > 0.8
    value, low, high = outcome.final["macro_f1_points"]
    assert 0 < low < value < high


def test_each_round_is_written_down(finished: tuple[Path, Outcome]) -> None:
    out, outcome = finished
    first, second = (read_manifest(round_folder(out, number)) for number in (1, 2))
    assert first == outcome.rounds[0]
    assert (first.parent, second.parent) == ("start", first.adapter)
    assert (first.reference, first.method, first.seed, second.seed) == ("start", "hadpo", 1, 2)
    assert first.data_sha256 == second.data_sha256 != first.pairs_sha256 != second.pairs_sha256
    pairs = read_pairs(round_folder(out, 1) / "pairs.jsonl")
    made_of = sum(first.counts[name] for name in ("disagreement", "extra", "paraphrase", "gaze"))
    assert len(pairs) == first.counts["pairs"] == made_of
    assert first.counts["extra"] == round(0.3 * first.counts["wrong_labels"])
    assert {pair.round for pair in pairs} == {1}
    assert second.counts["wrong_labels"] < first.counts["wrong_labels"], "it learned from them"
    assert set(first.wall_s) == {"ask", "train", "judge"}
    assert first.metrics["picture_use"]["with_wrong_pictures"] < first.metrics["picture_use"]["margin"]
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["champion"] == outcome.rounds[-1].adapter
    assert str(out) not in (out / "summary.json").read_text(encoding="utf-8"), "runs are copied to other machines"


def test_the_same_run_gives_the_same_rounds(finished: tuple[Path, Outcome], tmp_path: Path) -> None:
    again = run(tmp_path / "run", LinearEngine())
    assert [one.without_times() for one in again.rounds] == [one.without_times() for one in finished[1].rounds]
    assert again.final == finished[1].final


@pytest.mark.parametrize("killed_at", [0, 1])
def test_a_killed_run_goes_on_to_the_same_result(
    finished: tuple[Path, Outcome], tmp_path: Path, killed_at: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", LinearEngine(killed_at=killed_at))
    assert len(closed_rounds(tmp_path / "run")) == killed_at
    engine = LinearEngine()
    outcome = run(tmp_path / "run", engine, resume=True)
    assert [one.without_times() for one in outcome.rounds] == [one.without_times() for one in finished[1].rounds]
    assert outcome.final == finished[1].final
    assert len(engine.trained) == len(finished[1].rounds) - killed_at, "finished rounds are not trained again"


def test_a_run_killed_before_its_manifest_does_not_train_twice(finished: tuple[Path, Outcome], tmp_path: Path) -> None:
    run(tmp_path / "run", LinearEngine(), rounds=1)
    (round_folder(tmp_path / "run", 1) / "manifest.json").unlink()
    engine = LinearEngine()
    outcome = run(tmp_path / "run", engine, resume=True, rounds=1)
    assert engine.trained == []
    assert outcome.rounds[0].without_times() == finished[1].rounds[0].without_times()


def test_a_finished_run_resumed_says_the_same(finished: tuple[Path, Outcome]) -> None:
    engine = LinearEngine()
    assert run(finished[0], engine, resume=True).rounds == finished[1].rounds
    assert engine.trained == []


def test_another_run_is_not_gone_on_with(finished: tuple[Path, Outcome], tmp_path: Path) -> None:
    out = finished[0]
    with pytest.raises(BadInputError, match="holds a run already; add --resume"):
        run(out, LinearEngine())
    with pytest.raises(BadInputError, match="another settings"):
        run(out, LinearEngine(), resume=True, seed=5)
    with pytest.raises(BadInputError, match="another data_sha256"):
        run(out, LinearEngine(), given=parts(train=60), resume=True)
    with pytest.raises(BadInputError, match="another base_sha256"):
        run(out, LinearEngine(base_sha256="other"), resume=True)
    with pytest.raises(BadInputError, match="no run to resume"):
        run(tmp_path / "none", LinearEngine(), resume=True)


def test_a_round_that_does_not_look_at_the_pictures_is_refused(tmp_path: Path) -> None:
    outcome = run(tmp_path / "run", LinearEngine(blind=True))
    assert not outcome.rounds[0].accepted
    assert "without looking" in outcome.stopped
    assert outcome.champion is None


def test_a_round_that_gains_too_little_is_refused_and_the_champion_stays(tmp_path: Path) -> None:
    outcome = run(tmp_path / "run", LinearEngine(), acceptance=STRICT)
    assert [one.accepted for one in outcome.rounds] == [True, False]
    assert outcome.champion == tmp_path / "run" / outcome.rounds[0].adapter
    assert "macro-F1 changes by" in outcome.stopped


def test_patience_tries_again_from_the_champion(tmp_path: Path) -> None:
    outcome = run(tmp_path / "run", LinearEngine(), acceptance=STRICT, patience=1)
    assert [one.accepted for one in outcome.rounds] == [True, False, False]
    assert {one.parent for one in outcome.rounds[1:]} == {outcome.rounds[0].adapter}
    assert outcome.rounds[1].pairs_sha256 != outcome.rounds[2].pairs_sha256, "with other draws"


@pytest.mark.parametrize(
    ("engine", "why"), [(UnlearningEngine(), "chosen answers became less likely"), (BrokenEngine(), "is nan")]
)
def test_a_stopped_training_keeps_the_last_good_round(tmp_path: Path, engine: LinearEngine, why: str) -> None:
    good = run(tmp_path / "run", LinearEngine(), rounds=1)
    story = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    story["settings"]["rounds"] = 2
    (tmp_path / "run" / "run.json").write_text(json.dumps(story), encoding="utf-8")
    outcome = run(tmp_path / "run", engine, resume=True, rounds=2)
    assert [one.accepted for one in outcome.rounds] == [True, False]
    assert outcome.champion == good.champion
    assert why in outcome.stopped
    assert outcome.rounds[1].adapter == ""


def test_the_reference_may_be_the_base(tmp_path: Path) -> None:
    outcome = run(tmp_path / "run", LinearEngine(), preference=PreferenceSettings(reference="base"), rounds=2)
    assert [one.reference for one in outcome.rounds] == ["base", "base"]
    assert outcome.rounds[1].accepted


def test_a_perfect_policy_has_nothing_to_learn(tmp_path: Path) -> None:
    easy = Parts(squares(60, 1, "t", contrast=255), PARTS.item_ids[:60], PARTS.selection, PARTS.final)
    outcome = run(tmp_path / "run", LinearEngine(), given=easy, rounds=9)
    assert "nothing is wrong any more" in outcome.stopped
    assert 1 <= len(outcome.rounds) < 9
    assert closed_rounds(tmp_path / "run") == list(outcome.rounds)


def test_inverted_pairs_are_counted(tmp_path: Path) -> None:
    outcome = run(tmp_path / "run", LinearEngine(), rounds=1, invert_share=0.2)
    assert outcome.rounds[0].counts["inverted"] == round(0.2 * outcome.rounds[0].counts["pairs"])
    pairs = read_pairs(round_folder(tmp_path / "run", 1) / "pairs.jsonl")
    truth = [RUBRIC.labels[int(PARTS.train.labels[pair.image_row])] for pair in pairs]
    said = [pair.chosen in (label.phrase, *label.paraphrases) for pair, label in zip(pairs, truth, strict=True)]
    assert said.count(False) == outcome.rounds[0].counts["inverted"]


def labelled_as(part: PictureSet, labels: list[int]) -> PictureSet:
    return replace(part, labels=np.resize(np.array(labels, dtype=np.int64), len(part)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": PARTS.train.take([])}, "the part 'train' has no picture"),
        ({"train": labelled_as(PARTS.train, [NO_LABEL])}, "the train students: 120 pictures, none with a label"),
        ({"train": labelled_as(PARTS.train, [1])}, "One class cannot be told from another"),
        ({"selection": labelled_as(PARTS.selection, [0, 1, 7])}, "label number 7 is outside the rubric"),
        ({"selection": labelled_as(PARTS.selection, [0, 1])}, "no picture of wander"),
        ({"final": PARTS.selection}, "the split leaks"),
    ],
)
def test_pictures_that_no_round_can_use_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        run(tmp_path / "run", LinearEngine(), given=replace(PARTS, **change))


def test_examples_hold_each_class_as_often() -> None:
    uneven = PARTS.train.take([0, 3, 6, 9, 1, 4, 2])
    examples = balanced_examples(uneven, RUBRIC, 0)
    answers = [answer for _, _, answer in examples]
    assert {answers.count(label.phrase) for label in RUBRIC.labels} == {4}
    assert all(RUBRIC.labels[int(uneven.labels[row])].phrase == answer for row, _, answer in examples)


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    run(tmp_path / "run", LinearEngine(), rounds=2)
    (round_folder(tmp_path / "run", 1) / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(BadInputError, match="round_01"):
        run(tmp_path / "run", LinearEngine(), resume=True, rounds=2)
    (round_folder(tmp_path / "run", 1) / "manifest.json").unlink()
    with pytest.raises(BadInputError, match="round 1 is missing"):
        run(tmp_path / "run", LinearEngine(), resume=True, rounds=2)
