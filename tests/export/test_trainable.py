"""Weights to go on training from: half as large, the same labels, and refused once they were changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from export.answers import answer
from export.checkpoint import open_checkpoint
from export.staging import staged_folder
from export.trainable import require_same_labels, write_trainable
from export.write_bundle import export_bundle
from monitor.bundle import sha256_of
from monitor.errors import BundleError
from monitor.rubric import load_rubric
from tests.export.checkpoints import SIDE, plain_scores, random_pixels
from trainer.evaluation.held_out import ask
from trainer.model import Card, Checkpoint, ModelShape, build_model, describe_rubric, load_checkpoint, save_checkpoint
from trainer.policy import load_policy
from trainer.tokenizer import train_tokenizer

RUBRIC = load_rubric("attention")
PHRASES = [label.phrase for label in RUBRIC.labels]
SHAPE = ModelShape(image_size=32, patch_size=8, vision_width=32, vision_layers=2, vision_heads=2, text_width=32,
                   text_layers=1, text_heads=1, scale_factor=2)  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as the trainer writes it."""
    tokenizer = train_tokenizer()
    card = Card(
        "small", SHAPE.image_size, SHAPE.image_tokens, rubrics={"attention": describe_rubric(RUBRIC)},
        data={"recipes": {"train": {"seed": 3}}, "folder": "/home/someone/train"},
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("trained")
    save_checkpoint(folder, Checkpoint(build_model(SHAPE, tokenizer, seed=3).eval(), tokenizer, card))
    return folder


@pytest.fixture
def halves(trained: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "trainable"
    folder.mkdir()
    write_trainable(trained, folder)
    return folder


def test_the_round_trip_keeps_the_labels(trained: Path, halves: Path) -> None:
    pixels = random_pixels(200, SHAPE.image_size)
    before, after = (ask(load_checkpoint(folder), pixels, RUBRIC.question, PHRASES) for folder in (trained, halves))
    assert (before.argmax(1) == after.argmax(1)).mean() >= 0.995
    assert 0 < np.abs(before - after).max() < 0.01, "rounded, and no more than rounded"
    assert next(load_checkpoint(halves).model.parameters()).dtype == torch.float32
    assert {one.dtype for one in load_file(halves / "model.safetensors").values()} == {torch.float16}
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (trained, halves)]
    assert sizes[1] < 0.55 * sizes[0]


def test_it_names_no_place_and_can_be_trained_on(halves: Path, tmp_path: Path) -> None:
    assert "/home" not in (halves / "classroom.json").read_text(encoding="utf-8")
    checkpoint = load_checkpoint(halves)
    assert checkpoint.card.weights["dtype"] == "float16"
    save_checkpoint(tmp_path / "next", checkpoint)
    assert load_checkpoint(tmp_path / "next").card.weights == {}, "other weights than those vouched for"


def test_changed_weights_are_refused_by_all_who_read_them(halves: Path) -> None:
    path = halves / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)
    told = json.loads((halves / "classroom.json").read_text(encoding="utf-8"))["weights"]["sha256"]
    expected, found = told[:12], sha256_of(bytes(data))[:12]
    message = rf"model\.safetensors: changed or damaged: expected sha256 {expected}…, found .* with {found}….*again"
    for read in (load_checkpoint, open_checkpoint, load_policy):
        with pytest.raises(BundleError, match=message):
            read(halves)


def test_weights_too_large_for_half_precision_are_refused(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "large"
    shutil.copytree(trained, folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"] = tensors["lm_head.weight"].clone()
    tensors["lm_head.weight"][0, 0] = 1e5
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "out").mkdir()
    with pytest.raises(BundleError, match=r"lm_head\.weight holds 100000\.0, float16 ends at 65504"):
        write_trainable(folder, tmp_path / "out")


def test_labels_that_change_are_refused(checkpoint: Path) -> None:
    asked = open_checkpoint(checkpoint).asked("attention")
    pixels = random_pixels(20, SIDE)
    other = np.roll(plain_scores(checkpoint, pixels, RUBRIC).numpy(), 1, axis=1)
    with pytest.raises(BundleError, match=r"expected float16 weights to keep the label in 99\.5%"):
        require_same_labels(checkpoint, asked, pixels, other)


def test_answers_are_what_plain_transformers_says(checkpoint: Path) -> None:
    pixels = random_pixels(70, SIDE)
    opened = open_checkpoint(checkpoint)
    (found, yes) = answer(opened, pixels, [(RUBRIC.question, PHRASES), ("Is it so?", ("yes", "no"))])
    plain = plain_scores(checkpoint, pixels, RUBRIC).log_softmax(1).numpy()
    np.testing.assert_allclose(found, plain, atol=1e-4)
    np.testing.assert_allclose(np.exp(yes).sum(1), 1.0, atol=1e-6)
    assert yes.shape == (70, 2)


def test_export_replaces_nothing_that_is_not_its_own(checkpoint: Path, heldout: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(BundleError, match=r"holds no classroom\.json"):
        export_bundle(checkpoint, heldout, tmp_path / "bundle", trainable=tmp_path / "mine", min_agreement=0.0)
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "thesis.txt"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def fill(*, fail: bool) -> None:
        with staged_folder(tmp_path / "out") as folder:
            (folder / "one").write_text(str(fail), encoding="utf-8")
            if fail:
                raise BundleError("no")

    with pytest.raises(BundleError, match="no"):
        fill(fail=True)
    assert list(tmp_path.iterdir()) == []
    fill(fail=False)
    with pytest.raises(BundleError, match="no"):
        fill(fail=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "one").read_text(encoding="utf-8") == "False"


def test_the_card_and_the_manifest_tell_of_both(bundle_folder: Path) -> None:
    figures = json.loads((bundle_folder / "manifest.json").read_text(encoding="utf-8"))["figures"]
    assert figures["trainable"]["agreement"] >= 0.995
    beside = bundle_folder.parent / "trainable"
    assert figures["trainable"]["bytes"] == (beside / "model.safetensors").stat().st_size
    assert set(figures["probes"]) == {"heldout", "hard", "stills"} and set(figures["measured"]) == {"hard", "stills"}
