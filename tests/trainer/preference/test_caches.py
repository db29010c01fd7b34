"""Pictures are encoded once, the reference is asked once, and a change of what an answer depends on is noticed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.trainer.preference.conftest import PHRASES, PICTURES, QUESTIONS
from tests.trainer.preference.test_methods import sums
from trainer.pairs import PreferencePair
from trainer.policy import LoraSettings, Policy, load_policy
from trainer.preference.keys import policy_sha256
from trainer.preference.references import Asked, Question, ReferenceFile, References
from trainer.preference.settings import PreferenceSettings
from trainer.preference.train import train_preference

TWICE = PreferenceSettings(method="dpo", batch_size=4, epochs=2.0, learning_rate=1e-2, warmup=0.0, save_every=100)


def watched(policy: Policy) -> list[int]:
    """How many pictures went through the vision tower, pass by pass."""
    seen: list[int] = []
    tower = policy.core.model.vision_model
    tower.register_forward_hook(lambda module, inputs, output: seen.append(len(output.last_hidden_state)))
    return seen


def test_pictures_and_references_are_computed_once(
    base: Path, images: NDArray[np.uint8], pairs: list[PreferencePair], tmp_path: Path
) -> None:
    policy = load_policy(base, trainable="lora")
    seen = watched(policy)
    first = train_preference(policy, pairs, TWICE, tmp_path / "a", images_rgb=images, cache=tmp_path / "cache")
    assert sum(seen) == PICTURES
    assert first.references_computed == 2 * PICTURES

    policy = load_policy(base, trainable="lora")
    seen = watched(policy)
    again = train_preference(policy, pairs, TWICE, tmp_path / "b", images_rgb=images, cache=tmp_path / "cache")
    assert (sum(seen), again.references_computed) == (0, 0)
    assert [entry["loss"] for entry in again.history] == pytest.approx([entry["loss"] for entry in first.history])

    changed = images.copy()
    changed[3, 0, 0] ^= 255
    policy = load_policy(base, trainable="lora")
    other = train_preference(policy, pairs, TWICE, tmp_path / "c", images_rgb=changed, cache=tmp_path / "cache")
    assert other.references_computed == 2, "both answers to the one picture that changed"


def test_the_base_as_reference_has_the_margins_computed_beforehand(
    base: Path, images: NDArray[np.uint8], pairs: list[PreferencePair], tmp_path: Path
) -> None:
    same = [pair for pair in pairs if pair.prompt == QUESTIONS[0]]
    first = train_preference(load_policy(base, trainable="lora"), same, TWICE, tmp_path / "a", images_rgb=images)
    assert first.history[0]["rewards/margins"] == pytest.approx(0, abs=1e-6)

    policy = load_policy(base, adapter=first.adapter, trainable="lora")
    rows = images[[pair.image_row for pair in same]]
    moved = sums(policy, rows, QUESTIONS[0], PHRASES) - sums(load_policy(base), rows, QUESTIONS[0], PHRASES)
    margins = [
        float(moved[row, PHRASES.index(pair.chosen)] - moved[row, PHRASES.index(pair.rejected)])
        for row, pair in enumerate(same)
    ]
    settings = PreferenceSettings(method="dpo", batch_size=len(same), steps=1, reference="base")
    second = train_preference(policy, same, settings, tmp_path / "b", images_rgb=images)
    assert abs(np.mean(margins)) > 0.01
    assert second.history[0]["rewards/margins"] == pytest.approx(0.1 * np.mean(margins), abs=1e-5)
    assert "ref" not in policy.model.peft_config


@pytest.mark.parametrize("what", ["projector", "vision"])
def test_what_learns_before_the_text_still_learns(
    base: Path, images: NDArray[np.uint8], pairs: list[PreferencePair], tmp_path: Path, what: str
) -> None:
    policy = load_policy(base, trainable="lora", lora=LoraSettings(rank=4, vision=True)) if what == "vision" else None
    policy = policy or load_policy(base, trainable="projector")
    part = "vision_model" if what == "vision" else "connector"
    before = {name: weight.detach().clone() for name, weight in policy.trained().items() if part in name}
    seen = watched(policy)
    train_preference(policy, pairs, TWICE, tmp_path / "run", images_rgb=images)
    assert any(not torch.equal(before[name], policy.trained()[name]) for name in before)
    passes = sum(seen)
    # A projector learns on what a frozen tower saw once; a tower that learns looks once a pair and step.
    assert passes == PICTURES if what == "projector" else passes >= 3 * PICTURES


def test_a_policys_key_changes_with_all_it_depends_on(base: Path) -> None:
    policy = load_policy(base, trainable="lora")
    key, bare = policy_sha256(policy), policy_sha256(policy, lora=False)
    assert policy_sha256(load_policy(base, trainable="lora")) == key
    with torch.no_grad():
        next(iter(policy.trained().values())).add_(0.01)
    assert policy_sha256(policy) != key
    assert policy_sha256(policy, lora=False) == bare
    assert policy_sha256(load_policy(base, dtype="bfloat16"), lora=False) != bare


def test_a_file_that_was_cut_short_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "references.jsonl"
    asked = [Asked(row, (1, 2), (answer,)) for row in range(3) for answer in (7, 8)]
    calls: list[int] = []

    def compute(questions: list[Question] | object) -> torch.Tensor:
        assert isinstance(questions, list)
        calls.append(len(questions))
        return torch.tensor([[-float(one.image_row * 10 + answer[0]) for answer in one.answers] for one in questions])

    def look_up() -> list[float]:
        references = References("key", {row: str(row) for row in range(3)}, ReferenceFile(path))
        return references.look_up(asked, compute, 2)

    expected = [-float(one.image_row * 10 + one.answer_ids[0]) for one in asked]
    assert look_up() == expected
    assert calls == [2, 1]
    path.write_text(path.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    assert look_up() == expected
    assert calls == [2, 1, 1], "only the line that was cut is computed again"
