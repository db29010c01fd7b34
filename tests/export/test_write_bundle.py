from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from export.figures import softmax
from export.heldout import read_heldout
from export.write_bundle import export_bundle
from monitor.bundle import open_bundle, sha256_of
from monitor.errors import BadInputError, BundleError
from monitor.rubric import load_rubric
from monitor.schema import Box, Crop
from monitor.vlm.bundled import BundledClassifier
from tests.export.checkpoints import SIDE, plain_scores, random_pixels, write_shards


def test_manifest_vouches_for_each_file_and_tells_how_it_was_measured(bundle_folder: Path) -> None:
    manifest = json.loads((bundle_folder / "manifest.json").read_text(encoding="utf-8"))
    assert set(manifest["files"]) == {"vision.onnx", "label_graph.onnx", "tokenizer.json"}
    for name, entry in manifest["files"].items():
        assert entry["sha256"] == sha256_of((bundle_folder / name).read_bytes())
    rubric = load_rubric("attention")
    assert manifest["rubrics"]["attention"]["labels"] == list(rubric.names)
    assert manifest["model_id"].startswith("tiny-random-")
    digests = [manifest["files"][name]["sha256"] for name in ("vision.onnx", "label_graph.onnx")]
    assert manifest["model_id"].endswith(sha256_of("".join(digests).encode())[:8])
    assert manifest["figures"]["fp32"]["worst_log_prob_gap_to_transformers"] < 1e-4
    assert set(manifest["figures"]["quantizations"]) == {"int8-static", "int8-dynamic", "int4", "fp16"}
    assert manifest["figures"]["calibration"]["coverage"] >= 0.9
    assert manifest["training"]["training"] == {"seed": 0, "steps": 0}
    assert manifest["license"] == "Apache-2.0"


def test_card_tells_figures_groups_and_limits(bundle_folder: Path) -> None:
    card = (bundle_folder / "README.md").read_text(encoding="utf-8")
    manifest = json.loads((bundle_folder / "manifest.json").read_text(encoding="utf-8"))
    for part in ("macro-F1", "## Limits", "at the screen", manifest["model_id"], "seed: 0", "attendance"):
        assert part in card
    assert "| figure | held-out | hard | stills |" in card
    assert "Not measured" not in card
    for figures in (manifest["figures"]["heldout"], *manifest["figures"]["measured"].values()):
        for name in ("macro_f1", "majority_macro_f1", "calibration_error", "surest_80_macro_f1"):
            assert str(figures[name]) in card
        assert "–".join(map(str, figures["macro_f1_interval"])) in card
        for label, row in zip(figures["f1"], figures["confusion"], strict=True):
            assert f"| {label} | {' | '.join(map(str, row))} |" in card
        for values in figures["groups"].values():
            for entry in values.values():
                assert f"{entry['macro_f1'] - figures['macro_f1']:+.4f}" in card
    for figures in manifest["figures"]["probes"].values():
        assert str(figures["exactly_one_yes"]) in card and str(figures["agreement"]) in card


def test_graph_at_odds_with_the_checkpoint_leaves_no_bundle(checkpoint: Path, heldout: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="Nothing was written"):
        export_bundle(checkpoint, heldout, tmp_path / "out", methods=("int8-static",), min_agreement=1.01)
    assert list(tmp_path.iterdir()) == []


def test_new_bundle_replaces_the_old_whole(
    checkpoint: Path, heldout: Path, bundle_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "bundle"
    shutil.copytree(bundle_folder, out)
    (out / "leftover.txt").write_text("of the old one", encoding="utf-8")
    export_bundle(checkpoint, heldout, out, methods=("int8-dynamic",), min_agreement=0.0)
    assert open_bundle(out).manifest["quantization"] == "int8-dynamic"
    assert open_bundle(out).model_id != open_bundle(bundle_folder).model_id
    assert not (out / "leftover.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_folder_that_is_no_bundle_is_never_replaced(checkpoint: Path, heldout: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(BundleError, match=r"holds no manifest\.json"):
        export_bundle(checkpoint, heldout, tmp_path)
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "years of work"


def test_folder_without_a_checkpoint_is_named(heldout: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="none: no such folder"):
        export_bundle(tmp_path / "none", heldout, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_heldout_people_are_split_once_and_for_all(tmp_path: Path) -> None:
    labels = load_rubric("attention").names
    few = read_heldout(write_shards(tmp_path / "few", 30), labels, 56)
    many = read_heldout(write_shards(tmp_path / "many", 60), labels, 56)
    assert few.pixels.shape == (30, 56, 56, 3)
    assert 0 < few.in_first_half.sum() < 30
    assert not set(few.people[few.in_first_half]) & set(many.people[~many.in_first_half])
    assert (~few.clear).sum() == 3


def test_heldout_folder_without_shards_or_truth_is_named(tmp_path: Path) -> None:
    labels = load_rubric("attention").names
    with pytest.raises(BadInputError, match="no shard_"):
        read_heldout(tmp_path, labels, 56)
    shards = write_shards(tmp_path, 10)
    with pytest.raises(BadInputError, match="not in the rubric"):
        read_heldout(shards, ("screen", "other"), 56)
    (shards / "shard_00000.jsonl").unlink()
    with pytest.raises(BadInputError, match=r"shard_00000\.jsonl is missing"):
        read_heldout(shards, labels, 56)
    np.savez(shards / "shard_00000.npz", images=np.zeros((3, 8, 8, 3), np.uint8))
    (shards / "shard_00000.jsonl").write_text('{"label": "screen", "person_id": "p"}\n', encoding="utf-8")
    with pytest.raises(BadInputError, match="3 pictures but 1 lines"):
        read_heldout(shards, labels, 56)
    whole = (shards / "shard_00000.npz").read_bytes()
    (shards / "shard_00000.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInputError, match=r"shard_00000\.npz: not a shard of pictures"):
        read_heldout(shards, labels, 56)


def test_monitor_answers_as_plain_transformers_scores(checkpoint: Path, bundle_folder: Path) -> None:
    rubric = load_rubric("attention")
    pixels = random_pixels(40, SIDE, seed=5)
    classifier = BundledClassifier(open_bundle(bundle_folder), rubric)
    crops = [Crop(f"c{n}", "s01", 0.0, Box(0, 0, SIDE, SIDE), one[:, :, ::-1]) for n, one in enumerate(pixels)]
    found = np.array([list(prediction.probabilities.values()) for prediction in classifier.predict(crops)])
    plain = plain_scores(checkpoint, pixels, rubric).numpy()
    temperature = open_bundle(bundle_folder).rubrics["attention"].temperature
    np.testing.assert_allclose(found, softmax(plain, temperature), atol=0.05)
