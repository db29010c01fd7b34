"""Adapters on checkpoints run by torch: as PEFT and the trainer answer with them, over a base that stays as it is."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import Idefics3ForConditionalGeneration

from monitor.config import MonitorSettings
from monitor.errors import BadInputError, BundleError, RubricError
from monitor.rubric import load_rubric
from monitor.vlm.checkpoint.classifier import CheckpointClassifier, open_classifier
from monitor.vlm.choice import choose_classifier
from tests.galleries import person_picture
from tests.monitor.checkpoints import as_crops, random_pictures
from tests.smolvlm_hub import write_smolvlm
from tests.trainer.policies import write_base
from trainer.policy import LoraSettings, load_policy

RUBRIC = load_rubric("attention")
PICTURES = random_pictures(3)
PHRASES = [label.phrase for label in RUBRIC.labels]
TEXT = r"model\.text_model\..*\.(q_proj|v_proj|down_proj)"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_smolvlm(tmp_path_factory.mktemp("hub") / "SmolVLM-Tiny", seed=7)


@pytest.fixture(scope="module")
def peft(hub: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_peft(hub, tmp_path_factory.mktemp("adapters") / "peft")


def write_peft(base: Path, folder: Path, **options: Any) -> Path:
    """An adapter as PEFT writes it; it names its base by its folder."""
    torch.manual_seed(0)
    model = Idefics3ForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
    wearing = get_peft_model(model, LoraConfig(**{"r": 2, "target_modules": TEXT, **options}))
    with torch.no_grad():
        for name, parameter in wearing.named_parameters():
            if "lora_" in name:
                parameter.normal_(0, 0.3)
    wearing.save_pretrained(folder)
    return folder


def write_trained(base: Path, folder: Path, **story: Any) -> Path:
    """An adapter as the trainer writes it."""
    policy = load_policy(base, trainable="lora", lora=LoraSettings(rank=2))
    with torch.no_grad():
        for parameter in policy.trained().values():
            parameter.normal_(0, 0.3)
    return policy.save_adapter(folder, story)


def renamed(adapter: Path, to: Path, **changes: Any) -> Path:
    """A copy whose adapter_config.json tells something else."""
    shutil.copytree(adapter, to)
    path = to / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")
    return to


@torch.no_grad()
def peft_scores(classifier: CheckpointClassifier, base: Path, adapter: Path) -> np.ndarray:
    """Each picture with each label in a pass of its own, by PEFT over a model that transformers opened."""
    model = Idefics3ForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
    wearing = PeftModel.from_pretrained(model, str(adapter)).eval()
    talk = classifier.opened.talk
    before = talk.prompt_ids(RUBRIC.question)
    rows = []
    for picture in PICTURES:
        values, row = classifier.prepare([picture]).values, []
        for phrase in PHRASES:
            after = talk.answer_ids(phrase)
            logits = wearing(input_ids=torch.tensor([before + after]), pixel_values=values).logits
            steps = logits[0, len(before) - 1 : -1].log_softmax(-1)
            row.append(float(steps.gather(-1, torch.tensor(after)[:, None]).sum()))
        rows.append(row)
    return np.array(rows)


def test_an_adapter_of_peft_answers_as_peft_does(hub: Path, peft: Path) -> None:
    plain = open_classifier(str(hub), RUBRIC)
    wearing = open_classifier(str(hub), RUBRIC, adapter=peft)
    found = wearing.log_probabilities(PICTURES)
    assert np.allclose(found, peft_scores(wearing, hub, peft), atol=1e-4)
    assert np.abs(found - plain.log_probabilities(PICTURES)).max() > 0.5, "the adapter matters"
    assert wearing.model_id == plain.model_id
    assert plain.adapter_id is None
    assert str(wearing.adapter_id).startswith("peft@")
    assert {one.adapter_id for one in wearing.predict(as_crops(PICTURES))} == {wearing.adapter_id}


@pytest.mark.parametrize("quantize", [None, "nf4", "int8"])
def test_an_adapter_lies_over_a_base_that_stays_as_it_is(hub: Path, tmp_path: Path, quantize: str | None) -> None:
    folder = write_trained(hub, tmp_path / "trained")
    plain = open_classifier(str(hub), RUBRIC, quantize=quantize)
    wearing = open_classifier(str(hub), RUBRIC, adapter=folder, quantize=quantize)
    policy = load_policy(hub, adapter=folder, quantize=quantize)
    expected = policy.score([one[:, :, ::-1] for one in PICTURES], RUBRIC.question, PHRASES)
    assert np.allclose(np.log(wearing.probabilities(PICTURES)), expected, atol=1e-4)
    own = dict(plain.opened.core.named_parameters())
    for name, one in wearing.opened.core.named_parameters():
        if "lora_" not in name:
            assert torch.equal(one, own[name.replace(".base_layer.", ".")]), name
    layers = [one for one in wearing.opened.core.modules() if hasattr(one, "lora_A")]
    assert layers
    assert not any(one.merged for one in layers)
    kinds = {type(one.base_layer).__name__ for one in layers}
    assert kinds == {{None: "Linear", "nf4": "Linear4bit", "int8": "Linear8bitLt"}[quantize]}


def test_the_folder_of_an_adapter_alone_finds_its_base(hub: Path, peft: Path, tmp_path: Path) -> None:
    named = open_classifier(str(peft), RUBRIC)
    given = open_classifier(str(hub), RUBRIC, adapter=peft)
    assert (named.model_id, named.adapter_id) == (given.model_id, given.adapter_id)
    assert np.array_equal(named.log_probabilities(PICTURES), given.log_probabilities(PICTURES))
    lost = renamed(peft, tmp_path / "lost", base_model_name_or_path="SmolVLM-Tiny")
    with pytest.raises(BundleError, match=r"base 'SmolVLM-Tiny' is not to be found.*--model, and --adapter"):
        open_classifier(str(lost), RUBRIC)
    away = renamed(peft, tmp_path / "away", base_model_name_or_path="someone/SmolVLM-Tiny")
    with pytest.raises(BundleError, match=r"someone/SmolVLM-Tiny: no such folder, and not on this machine"):
        open_classifier(str(away), RUBRIC)


def test_an_adapter_of_the_shipped_weights_finds_them_and_is_not_calibrated(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "monitor" / "assets" / "trainable"
    folder = write_trained(shipped, tmp_path / "class-1", rubric_id="attention")
    wearing = choose_classifier(MonitorSettings(model=str(folder)), RUBRIC)
    plain = choose_classifier(MonitorSettings(model="embedded"), RUBRIC)
    assert isinstance(wearing, CheckpointClassifier)
    assert isinstance(plain, CheckpointClassifier)
    assert wearing.model_id == plain.model_id
    assert str(wearing.adapter_id).startswith("class-1@")
    assert (wearing.temperature, wearing.abstain_threshold) == (1.0, 0.0)
    assert plain.abstain_threshold > 0


def test_an_adapter_for_another_base_is_refused(hub: Path, peft: Path, tmp_path: Path) -> None:
    other = write_smolvlm(tmp_path / "other", seed=8)
    wider = write_smolvlm(tmp_path / "wider", "2.2b", seed=8)
    trained = write_trained(hub, tmp_path / "trained")
    with pytest.raises(BundleError, match=r"this adapter belongs to the base 'SmolVLM-Tiny' .*not to the one given"):
        open_classifier(str(other), RUBRIC, adapter=trained)
    with pytest.raises(BundleError, match=r"peft: does not fit this model .*size mismatch"):
        open_classifier(str(wider), RUBRIC, adapter=peft)
    more = write_peft(hub, tmp_path / "more", target_modules=TEXT.replace("q_proj", "q_proj|k_proj"))
    half = renamed(more, tmp_path / "half", target_modules=TEXT)
    with pytest.raises(BundleError, match=r"k_proj.*has no place in this model \(6 in all\)"):
        open_classifier(str(hub), RUBRIC, adapter=half)
    short = renamed(peft, tmp_path / "short", target_modules=TEXT.replace("q_proj", "q_proj|k_proj"))
    with pytest.raises(BundleError, match=r"k_proj.*is missing in it \(6 in all\)"):
        open_classifier(str(hub), RUBRIC, adapter=short)


def test_what_is_no_adapter_for_torch_is_named(hub: Path, peft: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no adapter: expected adapter_config\.json .* or manifest\.json"):
        open_classifier(str(hub), RUBRIC, adapter=tmp_path)
    with pytest.raises(BundleError, match="of the kind LORA, found 'PROMPT_TUNING'"):
        open_classifier(str(hub), RUBRIC, adapter=renamed(peft, tmp_path / "kind", peft_type="PROMPT_TUNING"))
    with pytest.raises(BundleError, match="init_lora_weights = 'pissa' changed the base itself"):
        open_classifier(str(hub), RUBRIC, adapter=renamed(peft, tmp_path / "start", init_lora_weights="pissa"))
    pickled = renamed(peft, tmp_path / "pickled")
    (pickled / "adapter_model.safetensors").rename(pickled / "adapter_model.bin")
    with pytest.raises(BundleError, match="other formats can run code"):
        open_classifier(str(hub), RUBRIC, adapter=pickled)
    cut = renamed(peft, tmp_path / "cut")
    data = (cut / "adapter_model.safetensors").read_bytes()
    (cut / "adapter_model.safetensors").write_bytes(data[:-100])
    with pytest.raises(BundleError, match="damaged or cut short"):
        open_classifier(str(hub), RUBRIC, adapter=cut)
    exported = tmp_path / "exported"
    exported.mkdir()
    (exported / "adapter.onnx_adapter").write_bytes(b"")
    with pytest.raises(BundleError, match="exported for a bundle"):
        open_classifier(str(hub), RUBRIC, adapter=exported)
    with pytest.raises(BadInputError, match="--adapter needs a checkpoint: add --model"):
        MonitorSettings(adapter=peft)


def test_an_adapter_for_another_rubric_is_refused(tmp_path: Path) -> None:
    base = write_base(tmp_path / "tiny")
    folder = write_trained(base, tmp_path / "a", rubric_id="engagenet")
    with pytest.raises(RubricError, match="trained for the rubric 'engagenet', not for 'attention'"):
        open_classifier(str(base), RUBRIC, adapter=folder)


def test_the_label_command_takes_an_adapter(hub: Path, peft: Path, tmp_path: Path) -> None:
    picture = tmp_path / "student.png"
    cv2.imwrite(str(picture), person_picture(3))
    answers = []
    for options in ((), ("--adapter", peft, "--quantize", "nf4")):
        command = [sys.executable, "-m", "classroom", "label", picture, "--whole", "--json", "--model", hub, *options]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, encoding="utf-8", check=False)
        assert done.returncode == 0, done.stderr
        answers.append(json.loads(done.stdout)["probabilities"])
    assert max(abs(answers[0][name] - answers[1][name]) for name in answers[0]) > 0.01
