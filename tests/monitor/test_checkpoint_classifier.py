"""Checkpoints run by torch as classifiers: exact scores for each family, quantised or not, and what is refused."""

import importlib
import json
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from monitor.bundle import sha256_of
from monitor.config import MonitorSettings
from monitor.errors import BadInputError, BundleError, ClassroomError, RubricError
from monitor.rubric import load_rubric
from monitor.schema import UNSURE
from monitor.vlm.checkpoint.classifier import CheckpointClassifier, open_classifier
from monitor.vlm.choice import choose_classifier
from tests.monitor.checkpoints import FAMILIES, as_crops, random_pictures, write_checkpoint

RUBRIC = load_rubric("attention")
PICTURES = random_pictures(3)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("checkpoints")
    return {family: write_checkpoint(root / family, family) for family in FAMILIES}


def plain_scores(classifier: CheckpointClassifier) -> np.ndarray:
    """Each picture with each label in a pass of its own, by the model's own forward."""
    talk, core = classifier.opened.talk, classifier.opened.core
    before = talk.prompt_ids(RUBRIC.question)
    rows = []
    for picture in PICTURES:
        pixels, row = classifier.prepare([picture]), []
        for label in RUBRIC.labels:
            after = talk.answer_ids(label.phrase)
            ids = torch.tensor([before + after])
            more = {} if pixels.grid is None else {"mm_token_type_ids": (ids == talk.image_token_id).int()}
            with torch.no_grad():
                logits = core(input_ids=ids, **pixels.arguments(core), **more).logits
            steps = logits[0, len(before) - 1 : -1].log_softmax(-1)
            row.append(float(steps.gather(-1, torch.tensor(after)[:, None]).sum()))
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize("family", FAMILIES)
def test_labels_are_scored_exactly(folders: dict[str, Path], family: str) -> None:
    classifier = open_classifier(str(folders[family]), RUBRIC)
    expected = plain_scores(classifier)
    assert np.allclose(classifier.log_probabilities(PICTURES), expected, atol=1e-4)
    predictions = classifier.predict(as_crops(PICTURES))
    assert [one.crop_id for one in predictions] == ["crop0", "crop1", "crop2"]
    shares = np.exp(expected) / np.exp(expected).sum(1, keepdims=True)
    assert np.allclose([list(one.probabilities.values()) for one in predictions], shares, atol=1e-4)
    assert {one.model_id for one in predictions} == {classifier.model_id}
    assert classifier.model_id.startswith("test-1@" if family == "embedded" else f"{family}@")
    assert classifier.predict([]) == []


@pytest.mark.parametrize("quantize", ["nf4", "int8"])
@pytest.mark.parametrize("family", ["smolvlm", "embedded"])
def test_a_quantised_checkpoint_answers_nearly_the_same(folders: dict[str, Path], family: str, quantize: str) -> None:
    plain = open_classifier(str(folders[family]), RUBRIC)
    small = open_classifier(str(folders[family]), RUBRIC, quantize=quantize)
    kinds = {type(module).__name__ for module in small.opened.core.get_decoder().modules()}
    assert {"nf4": "Linear4bit", "int8": "Linear8bitLt"}[quantize] in kinds
    assert small.model_id == f"{plain.model_id}+{quantize}"
    assert np.allclose(small.probabilities(PICTURES), plain.probabilities(PICTURES), atol=0.05)
    assert np.allclose(small.log_probabilities(PICTURES), plain_scores(small), atol=1e-3)


def test_the_shipped_weights_answer_as_the_bundle_and_share_its_calibration() -> None:
    bundled = choose_classifier(MonitorSettings(), RUBRIC)
    classifier = choose_classifier(MonitorSettings(model="embedded"), RUBRIC)
    crops = as_crops(random_pictures(8, seed=4))
    for ours, theirs in zip(classifier.predict(crops), bundled.predict(crops), strict=True):
        assert np.allclose(list(ours.probabilities.values()), list(theirs.probabilities.values()), atol=0.1)
    assert isinstance(classifier, CheckpointClassifier)
    assert classifier.abstain_threshold > 0
    classifier.abstain_threshold = 1.1
    assert {one.label for one in classifier.predict(crops)} == {UNSURE}


def test_an_embedded_checkpoint_is_asked_only_what_it_learned(folders: dict[str, Path]) -> None:
    with pytest.raises(RubricError, match="was not trained for it, only for attention"):
        open_classifier(str(folders["embedded"]), load_rubric("engagenet", research=True))
    card = folders["embedded"] / "classroom.json"
    told = json.loads(card.read_text(encoding="utf-8"))
    try:
        told["rubrics"]["attention"]["phrases"][0] = "at the moon"
        card.write_text(json.dumps(told), encoding="utf-8")
        with pytest.raises(RubricError, match="its phrases changed since the model test-1@"):
            open_classifier(str(folders["embedded"]), RUBRIC)
    finally:
        told["rubrics"]["attention"]["phrases"][0] = "at the screen"
        card.write_text(json.dumps(told), encoding="utf-8")


def test_a_crop_that_is_no_picture_is_named(folders: dict[str, Path]) -> None:
    classifier = open_classifier(str(folders["embedded"]), RUBRIC)
    crops = as_crops([PICTURES[0], np.zeros((0, 4, 3), np.uint8)])
    with pytest.raises(BadInputError, match="crop1: a crop without pixels"):
        classifier.predict(crops)


@pytest.mark.parametrize(
    ("family", "missing", "message"),
    [
        ("embedded", "tokenizer.json", "its tokenizer is missing: expected tokenizer.json"),
        ("embedded", "config.json", "config.json is missing"),
        ("smolvlm", "tokenizer.json", "its tokenizer is missing: expected tokenizer.json"),
        ("idefics3", "processor_config.json", "its picture processor is missing: expected preprocessor_config.json"),
        ("llava", "chat_template.jinja", "has no chat template"),
        ("qwen2_5_vl", "preprocessor_config.json", "its picture processor is missing"),
    ],
)
def test_a_missing_file_is_told(
    folders: dict[str, Path], tmp_path: Path, family: str, missing: str, message: str
) -> None:
    folder = tmp_path / family
    shutil.copytree(folders[family], folder)
    (folder / missing).unlink()
    with pytest.raises((BundleError, BadInputError), match=message):
        open_classifier(str(folder), RUBRIC)


def test_a_tokenizer_cut_short_is_told(folders: dict[str, Path], tmp_path: Path) -> None:
    for family, message in (("embedded", "cannot be read as a tokenizer"), ("llava", "its processor cannot be opened")):
        folder = tmp_path / family
        shutil.copytree(folders[family], folder)
        path = folder / "tokenizer.json"
        path.write_bytes(path.read_bytes()[:500])
        with pytest.raises(BundleError, match=message):
            open_classifier(str(folder), RUBRIC)


def test_code_of_a_checkpoint_is_never_run(folders: dict[str, Path], tmp_path: Path) -> None:
    folder, trace = tmp_path / "trap", tmp_path / "was-run"
    shutil.copytree(folders["llava"], folder)
    told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    told.update(model_type="trap", auto_map={"AutoConfig": "trap.C", "AutoModelForImageTextToText": "trap.M"})
    (folder / "config.json").write_text(json.dumps(told), encoding="utf-8")
    (folder / "trap.py").write_text(f"open({str(trace)!r}, 'w')\nC = M = object\n", encoding="utf-8")
    with pytest.raises(BundleError, match="not an image-text-to-text model that can be opened"):
        open_classifier(str(folder), RUBRIC)
    assert not trace.exists()


def test_weights_that_could_run_code_are_not_read(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(folders["llava"], folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(BundleError, match="other formats can run code"):
        open_classifier(str(folder), RUBRIC)


def test_what_was_fetched_before_is_found_offline_and_checked(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub's cache: snapshots link to blobs, a large file's blob named by its sha256."""
    constants = importlib.import_module("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(socket.socket, "connect", _refuse_connection)
    cache = tmp_path / "models--someone--tiny"
    commit = "a" * 40
    snapshot, blobs = cache / "snapshots" / commit, cache / "blobs"
    for folder in (snapshot, blobs, cache / "refs"):
        folder.mkdir(parents=True)
    (cache / "refs" / "main").write_text(commit, encoding="utf-8")
    for path in folders["llava"].iterdir():
        blob = blobs / sha256_of(path.read_bytes())
        shutil.copy(path, blob)
        (snapshot / path.name).symlink_to(blob)
    classifier = open_classifier("someone/tiny", RUBRIC)
    assert classifier.model_id.startswith("tiny@")
    assert open_classifier(f"someone/tiny@{commit}", RUBRIC).model_id == classifier.model_id
    with pytest.raises(BundleError, match=r"someone/other: no such folder, and not on this machine\. Add --download"):
        open_classifier("someone/other", RUBRIC)
    weights = (snapshot / "model.safetensors").resolve()
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\1\0")
    with pytest.raises(BundleError, match=f"changed or damaged: expected sha256 {weights.name[:12]}"):
        open_classifier("someone/tiny", RUBRIC)


def _refuse_connection(*_: object) -> None:
    raise AssertionError("nothing may be fetched unless asked")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantize": "nf4"}, "--quantize needs a checkpoint: add --model"),
        ({"download": True}, "--download needs a checkpoint"),
        ({"model": "x", "quantize": "int3"}, "--quantize must be one of nf4, int8, found 'int3'"),
        ({"model": "x", "bundle": Path("y")}, "--model and --bundle: give one of them"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        MonitorSettings(**options)


@pytest.mark.parametrize("library", ["torch", "transformers"])
def test_without_torch_it_is_said_what_to_install(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ClassroomError, match=rf"--model needs {library}.*pip install 'classroom-monitor\[train\]'"):
        choose_classifier(MonitorSettings(model="embedded"), RUBRIC)
