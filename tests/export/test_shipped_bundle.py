"""The bundle in the package: whole, small, calibrated, and with a card that says what was measured."""

from __future__ import annotations

import json

import numpy as np
import pytest

from export.model_card import render_card
from monitor.bundle import Bundle, open_bundle, sha256_of
from monitor.rubric import load_rubric
from monitor.schema import Box, Crop
from monitor.vlm.bundled import BundledClassifier


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return open_bundle()


def test_it_answers_the_shipped_attention_rubric(shipped: Bundle) -> None:
    classifier = BundledClassifier(shipped, load_rubric("attention"))
    pixels = np.random.default_rng(0).integers(0, 256, (3, shipped.image_size, shipped.image_size, 3), dtype=np.uint8)
    probabilities = classifier.probabilities(pixels)
    assert probabilities.shape == (3, 3)
    np.testing.assert_allclose(probabilities.sum(1), 1.0)


def test_a_crop_gets_the_same_answer_alone_and_in_a_batch(shipped: Bundle) -> None:
    classifier = BundledClassifier(shipped, load_rubric("attention"))
    pixels = np.random.default_rng(1).integers(0, 256, (5, shipped.image_size, shipped.image_size, 3), dtype=np.uint8)
    alone = np.concatenate([classifier.probabilities(one[None]) for one in pixels])
    np.testing.assert_allclose(classifier.probabilities(pixels), alone, atol=1e-6)


def test_it_keeps_its_bars(shipped: Bundle) -> None:
    figures = shipped.manifest["figures"]
    assert sum(entry["bytes"] for entry in shipped.manifest["files"].values()) <= 10e6
    assert figures["quantizations"][shipped.manifest["quantization"]]["agreement"] >= 0.99
    assert figures["fp32"]["worst_log_prob_gap_to_transformers"] <= 1e-4
    assert figures["heldout"]["calibration_error"] <= 0.05
    assert figures["calibration"]["coverage"] >= 0.9


def test_nothing_in_it_names_a_place_on_the_makers_machine(shipped: Bundle) -> None:
    told = json.dumps(shipped.manifest)
    assert '"/' not in told
    assert ":\\\\" not in told


def test_its_card_is_the_one_its_manifest_gives(shipped: Bundle) -> None:
    assert (shipped.path / "README.md").read_text(encoding="utf-8") == render_card(shipped.manifest)


def test_what_ships_is_small(shipped: Bundle) -> None:
    sizes = {path: path.stat().st_size for path in shipped.path.parent.rglob("*") if path.is_file()}
    assert max(sizes.values()) <= 12e6, "no file over 12 MB"
    models = [size for path, size in sizes.items() if path.parent.name in ("bundle", "trainable")]
    assert 0 < sum(models) <= 25e6, "bundle and trainable weights together"


def test_trainable_weights_are_those_of_the_bundle(shipped: Bundle) -> None:
    folder = shipped.path.parent / "trainable"
    assert folder.is_dir(), "the trainable weights ship beside the bundle"
    card = json.loads((folder / "classroom.json").read_text(encoding="utf-8"))
    told = shipped.manifest["figures"]["trainable"]
    assert card["weights"]["sha256"] == told["sha256"] == sha256_of((folder / "model.safetensors").read_bytes())
    assert told["agreement"] >= 0.995
    assert {path.name for path in folder.iterdir()} >= {"config.json", "tokenizer.json"}


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((64, 64, 3), np.uint8),
        np.full((1, 1, 3), 7, np.uint8),
        np.full((4000, 4000, 3), 90, np.uint8),
        np.full((80, 60), 90, np.uint8),
        np.full((64, 64, 3), 40_000, np.uint16),
        np.full((64, 64, 4), 90, np.uint8),
    ],
    ids=["all black", "1x1", "4000x4000", "grey", "16 bits", "alpha"],
)
def test_it_answers_odd_crops_with_probabilities(shipped: Bundle, pixels: np.ndarray) -> None:
    classifier = BundledClassifier(shipped, load_rubric("attention"))
    (prediction,) = classifier.predict([Crop("c1", "s01", 0.0, Box(0, 0, 10, 10), pixels)])
    assert sum(prediction.probabilities.values()) == pytest.approx(1.0)
    assert all(0 < share < 1 for share in prediction.probabilities.values())
