"""A run resumes to the same losses, stops at NaN with its last good weights, and says what it cannot do."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from monitor.errors import BadInputError
from tests.trainer.preference.conftest import PHRASES, QUESTIONS
from trainer.memory import advising
from trainer.pairs import PreferencePair
from trainer.policy import load_policy
from trainer.preference.engine import NotANumberError
from trainer.preference.examples import SftItem
from trainer.preference.memory import next_settings
from trainer.preference.settings import PreferenceSettings
from trainer.preference.train import train_preference

SIX = {"steps": 6, "batch_size": 4, "learning_rate": 5e-3, "save_every": 2, "sft_batch_size": 5}


@pytest.mark.parametrize("changes", [{"method": "hadpo", "gradient_accumulation": 2}, {"method": "grpo"}], ids=str)
def test_a_killed_run_goes_on_to_the_same_losses(
    base: Path,
    images: NDArray[np.uint8],
    pairs: list[PreferencePair],
    items: list[SftItem],
    tmp_path: Path,
    changes: dict[str, Any],
) -> None:
    settings = PreferenceSettings(**{**SIX, **changes})

    def train(out: Path, **how: Any) -> Any:
        policy = load_policy(base, trainable="lora")
        return train_preference(policy, pairs, settings, out, images_rgb=images, sft_items=items, **how)

    def killed(figures: dict[str, float]) -> None:
        if figures["step"] == 5:
            raise KeyboardInterrupt

    straight = train(tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", report=killed)
    resumed = train(tmp_path / "killed", resume=True)
    for name in ("loss", "learning_rate", "grad_norm"):
        wanted = [entry[name] for entry in straight.history]
        assert [entry[name] for entry in resumed.history] == pytest.approx(wanted, abs=1e-5)
    assert [entry["step"] for entry in resumed.history] == [1, 2, 3, 4, 5, 6]
    told = (tmp_path / "killed" / "history.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in told] == [1, 2, 3, 4, 5, 6]
    one, two = (
        load_policy(base, adapter=run.adapter).score(images, QUESTIONS[0], PHRASES) for run in (straight, resumed)
    )
    assert np.allclose(one, two, atol=1e-5)


def test_nan_stops_a_run_and_keeps_the_last_good_weights(
    base: Path, images: NDArray[np.uint8], pairs: list[PreferencePair], tmp_path: Path
) -> None:
    policy = load_policy(base, trainable="lora")
    start = {name: weight.detach().clone() for name, weight in policy.trained().items()}
    settings = PreferenceSettings(method="dpo", steps=6, batch_size=4, learning_rate=1e30, warmup=0.0)
    with pytest.raises(NotANumberError, match="step 2 is nan"):
        train_preference(policy, pairs, settings, tmp_path / "run", images_rgb=images)
    assert all(torch.equal(start[name], weight) for name, weight in policy.trained().items())
    kept = load_policy(base, adapter=tmp_path / "run" / "adapter").score(images, QUESTIONS[0], PHRASES)
    assert np.allclose(kept, load_policy(base).score(images, QUESTIONS[0], PHRASES), atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 16}, "batch_size = 8 with gradient_accumulation = 2"),
        ({"batch_size": 1}, "gradient_checkpointing"),
        ({"method": "grpo", "batch_size": 12, "generations": 4}, "batch_size = 4 "),
    ],
)
def test_out_of_memory_names_the_next_batch_size(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message), advising(next_settings(PreferenceSettings(**changes))):
        torch.empty(2**55)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "ppo"}, "must be one of hadpo"),
        ({"method": "robust", "epsilon": 0.4}, "'epsilon' must lie from 0 to below 0.4"),
        ({"epsilon": -0.1}, "'epsilon'"),
        ({"method": "kto", "batch_size": 1}, "2 or more"),
        ({"method": "grpo", "batch_size": 6, "generations": 4}, "multiple"),
        ({"beta": 0.0}, "'beta' must be above 0"),
        ({"epochs": 0.0}, "give epochs or steps"),
        ({"learning_rate": 0.0}, "'learning_rate' must be above 0"),
        ({"reference": "last"}, "must be one of start, base"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        PreferenceSettings(**changes)


def test_what_cannot_be_trained_is_refused(
    base: Path, images: NDArray[np.uint8], pairs: list[PreferencePair], tmp_path: Path
) -> None:
    dpo, out = PreferenceSettings(method="dpo"), tmp_path / "run"
    learning = load_policy(base, trainable="lora")
    for policy, chosen, settings, message in (
        (learning, [], dpo, "no preference pairs"),
        (load_policy(base), pairs, dpo, "nothing of this policy learns"),
        (learning, pairs, PreferenceSettings(method="hadpo"), "anchor = 'chosen'"),
        (learning, [PreferencePair("x", 99, "?", "a", "b")], dpo, "picture 99"),
        (load_policy(base, trainable="projector"), pairs, PreferenceSettings(reference="base", method="dpo"), "LoRA"),
        (learning, [PreferencePair("x", 0, "where " * 300, "a", "b")], dpo, "nothing is cut off"),
    ):
        with pytest.raises(BadInputError, match=message):
            train_preference(policy, chosen, settings, out, images_rgb=images)
        (out / "run.json").unlink(missing_ok=True)


def test_a_folder_holds_one_run(
    base: Path, images: NDArray[np.uint8], pairs: list[PreferencePair], tmp_path: Path
) -> None:
    settings = PreferenceSettings(method="dpo", steps=1, batch_size=4)
    policy, out = load_policy(base, trainable="lora"), tmp_path / "run"
    with pytest.raises(BadInputError, match="no run to resume"):
        train_preference(policy, pairs, settings, out, images_rgb=images, resume=True)
    train_preference(policy, pairs, settings, out, images_rgb=images)
    with pytest.raises(BadInputError, match="holds a run already"):
        train_preference(policy, pairs, settings, out, images_rgb=images)
    with pytest.raises(BadInputError, match="another data"):
        train_preference(load_policy(base, trainable="lora"), pairs[:5], settings, out, images_rgb=images, resume=True)
