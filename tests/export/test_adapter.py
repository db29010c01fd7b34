"""Adapters: PEFT's own answers over a bundle that stays as it is, and refusals that name what does not fit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from export.adapter import export_adapter, prefix_tensors, write_plain, write_tensors
from export.adapter_tensors import read_lora
from export.checkpoint import open_checkpoint
from export.figures import softmax
from export.graph_files import GraphFiles
from export.graph_runs import score
from export.label_graph import build
from export.write_bundle import export_bundle
from monitor.adapter import AdapterFile, open_adapter
from monitor.bundle import Bundle, open_bundle, sha256_of
from monitor.errors import BundleError
from monitor.rubric import load_rubric
from monitor.vlm.bundled import BundledClassifier
from monitor.vlm.checkpoint.files import hash_base
from tests.export.adapters import TEXT, VISION, peft_scores, write_adapter
from tests.export.checkpoints import SIDE, random_pixels, write_checkpoint, write_shards
from tests.monitor.bundles import write_bundle
from tests.monitor.test_bundled import crop

RUBRIC = load_rubric("attention")
LARGEST_GAP = 0.05
"""Of a probability, to answers in fp32: what int8 costs a model with random weights."""


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shards(tmp_path_factory.mktemp("few"), 40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("adapters")


@pytest.fixture(scope="module")
def exported(checkpoint: Path, bundle_folder: Path, few: Path, folder: Path) -> AdapterFile:
    """An adapter on all products of the language model, exported."""
    peft = write_adapter(checkpoint, folder / "peft", strength=0.3)
    export_adapter(peft, checkpoint, bundle_folder, few, folder / "a1", min_agreement=0.0)
    return open_adapter(folder / "a1", open_bundle(bundle_folder))


@pytest.fixture(scope="module")
def base(bundle_folder: Path) -> BundledClassifier:
    return BundledClassifier(open_bundle(bundle_folder), RUBRIC)


@pytest.fixture(scope="module")
def exact(checkpoint: Path, folder: Path) -> GraphFiles:
    """The fp32 graphs with inputs that round nothing."""
    return write_plain(build(open_checkpoint(checkpoint), "attention"), SIDE, folder / "exact")


def as_written(tensors: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Rounded as in the file, in the type that the fp32 graph reads."""
    return {name: one.astype(np.float16).astype(np.float32) for name, one in tensors.items()}


def calibrated(scores: NDArray[np.float32], adapter: AdapterFile) -> NDArray[np.float64]:
    return softmax(scores, adapter.rubrics["attention"].temperature)


def test_the_monitor_answers_as_peft_does_in_torch(
    exported: AdapterFile, base: BundledClassifier, checkpoint: Path, folder: Path
) -> None:
    pixels = random_pixels(24, SIDE, seed=9)
    expected = calibrated(peft_scores(checkpoint, folder / "peft", pixels), exported)
    wearing = base.swapped(exported)
    np.testing.assert_allclose(wearing.probabilities(pixels), expected, atol=LARGEST_GAP)
    assert np.abs(base.probabilities(pixels) - expected).max() > 2 * LARGEST_GAP, "the adapter matters"
    assert exported.manifest["figures"]["parity"]["worst_log_prob_gap_to_peft"] < 1e-3


def test_swapping_leaves_the_base_and_comes_back(exported: AdapterFile, base: BundledClassifier) -> None:
    pixels = random_pixels(5, SIDE, seed=3)
    before = base.probabilities(pixels)
    wearing = base.swapped(exported)
    assert (base.adapter_id, wearing.adapter_id, wearing.swapped(None).adapter_id) == (None, "a1", None)
    assert np.abs(wearing.probabilities(pixels) - before).max() > 0.01
    np.testing.assert_array_equal(base.probabilities(pixels), before)
    np.testing.assert_array_equal(wearing.swapped(None).probabilities(pixels), before)
    same = BundledClassifier(open_bundle(base._bundle.path), RUBRIC, adapter=exported)
    np.testing.assert_array_equal(same.probabilities(pixels), wearing.probabilities(pixels))


def test_what_one_saw_the_other_can_answer(exported: AdapterFile, base: BundledClassifier) -> None:
    crops = [crop(one[:, :, ::-1], f"c{number}") for number, one in enumerate(random_pixels(40, SIDE, seed=4))]
    wearing = base.swapped(exported)
    assert not wearing.changes_vision
    shared = wearing.answer(crops, base.see(crops))
    for ours, own in zip(shared, wearing.predict(crops), strict=True):
        assert ours.adapter_id == "a1"
        assert ours.probabilities == pytest.approx(own.probabilities, abs=1e-6)


def test_an_adapter_goes_over_a_bundle_of_dynamic_int8(checkpoint: Path, few: Path, folder: Path) -> None:
    """There a crop's answer depends on the others in its batch: what proves the file must ask the same batch."""
    bundle = folder / "dynamic"
    export_bundle(checkpoint, few, bundle, methods=("int8-dynamic",), min_agreement=0.0)
    peft = write_adapter(checkpoint, folder / "peft-dynamic", strength=0.3)
    export_adapter(peft, checkpoint, bundle, few, folder / "d1", min_agreement=0.0)
    opened, pixels = open_bundle(bundle), random_pixels(8, SIDE, seed=9)
    adapter = open_adapter(folder / "d1", opened)
    expected = calibrated(peft_scores(checkpoint, peft, pixels), adapter)
    found = BundledClassifier(opened, RUBRIC, adapter=adapter).probabilities(pixels)
    np.testing.assert_allclose(found, expected, atol=LARGEST_GAP)


def test_manifest_tells_base_tensors_and_where_it_comes_from(
    exported: AdapterFile, bundle_folder: Path, folder: Path
) -> None:
    manifest, base = exported.manifest, open_bundle(bundle_folder)
    assert (manifest["format"], manifest["kind"], manifest["adapter_id"], manifest["rank"]) == (1, "adapter", "a1", 4)
    assert manifest["base_model_id"] == base.model_id
    assert manifest["base_files"] == {
        name: base.manifest["files"][name]["sha256"] for name in ("vision.onnx", "label_graph.onnx")
    }
    assert manifest["tensors"]["text.1.down_proj.lora_A"] == [96, 4]
    assert sum(name.startswith("prefix.") for name in manifest["tensors"]) == 4
    assert set(manifest["lineage"]) >= {"parent", "round", "data_sha256", "lectures", "annotators", "students"}
    assert sorted(path.name for path in (folder / "a1").iterdir()) == ["adapter.onnx_adapter", "manifest.json"]


@pytest.mark.parametrize(
    "options",
    [
        {"r": 8, "lora_alpha": 3, "use_rslora": True},
        {"target_modules": r"model\.text_model\..*\.(q_proj|v_proj)"},
        {"rank_pattern": {"up_proj": 2}, "alpha_pattern": {"up_proj": 32}},
        {"target_modules": r"model\.text_model\.layers\.1\.mlp\.down_proj", "r": 1},
    ],
    ids=["rslora", "queries and values", "ranks of their own", "one matrix"],
)
def test_ranks_scales_and_targets_of_all_kinds(
    options: dict[str, Any], exact: GraphFiles, checkpoint: Path, tmp_path: Path
) -> None:
    peft = write_adapter(checkpoint, tmp_path, seed=2, **options)
    opened = open_checkpoint(checkpoint)
    lora = read_lora(peft, opened.model, hash_base(checkpoint))
    wearing = replace(opened, model=lora.model)
    tensors = {**lora.tensors, **prefix_tensors(wearing, opened.asked("attention"))}
    pixels = random_pixels(3, SIDE, seed=9)
    expected = peft_scores(checkpoint, peft, pixels)
    assert np.abs(score(exact, pixels) - expected).max() > 0.1, "the adapter matters"
    np.testing.assert_allclose(score(exact, pixels, tensors), expected, atol=1e-3)
    np.testing.assert_allclose(score(exact, pixels, as_written(tensors)), expected, atol=1e-2)


def test_adapters_of_the_eye_need_a_bundle_with_inputs_for_them(
    checkpoint: Path, bundle_folder: Path, few: Path, tmp_path: Path
) -> None:
    peft = write_adapter(checkpoint, tmp_path / "peft", strength=0.08, target_modules=f"(?:{TEXT}|{VISION})")
    with pytest.raises(BundleError, match=r"vision\.0\.\w+\.lora_A has no place .*--vision-adapters"):
        export_adapter(peft, checkpoint, bundle_folder, few, tmp_path / "out", min_agreement=0.0)
    open_eyed = tmp_path / "bundle"
    export_bundle(checkpoint, few, open_eyed, methods=("int8-static",), vision_adapters=True, min_agreement=0.0)
    export_adapter(peft, checkpoint, open_eyed, few, tmp_path / "out", min_agreement=0.0)
    adapter = open_adapter(tmp_path / "out", open_bundle(open_eyed))
    wearing = BundledClassifier(adapter.base, RUBRIC, adapter=adapter)
    pixels = random_pixels(16, SIDE, seed=9)
    expected = calibrated(peft_scores(checkpoint, peft, pixels), adapter)
    assert adapter.changes_vision and wearing.changes_vision
    np.testing.assert_allclose(wearing.probabilities(pixels), expected, atol=LARGEST_GAP)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"use_dora": True}, r"use_dora = True: DoRA.*Merge it"),
        ({"bias": "all"}, r"bias = 'all': biases that learned.*Merge it"),
        (
            {"modules_to_save": ["o_proj"], "target_modules": ["q_proj"]},
            r"modules_to_save = \['o_proj'\]: whole modules.*Merge it",
        ),
        ({"init_lora_weights": "pissa"}, r"init_lora_weights = 'pissa' changed the base.*Merge it"),
        (
            {"target_modules": r".*patch_embedding"},
            r"LoRA on 'model\.vision_model\.embeddings\.patch_embedding'.*Merge",
        ),
        ({"target_modules": "model.connector.modality_projection.proj"}, r"LoRA on 'model\.connector"),
    ],
    ids=["dora", "biases", "modules", "pissa", "patches", "projector"],
)
def test_what_cannot_become_inputs_of_a_graph_is_refused(
    options: dict[str, Any], message: str, checkpoint: Path, bundle_folder: Path, few: Path, tmp_path: Path
) -> None:
    peft = write_adapter(checkpoint, tmp_path / "peft", **options)
    with pytest.raises(BundleError, match=message):
        export_adapter(peft, checkpoint, bundle_folder, few, tmp_path / "out", min_agreement=0.0)
    assert [path.name for path in tmp_path.iterdir()] == ["peft"]


def spoil_config(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"peft_type": "IA3"}', encoding="utf-8")


def drop_weights(folder: Path) -> None:
    (folder / "adapter_model.safetensors").unlink()


def cut_weights(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:500])


def add_projector(folder: Path) -> None:
    shutil.copy(folder / "adapter_model.safetensors", folder / "weights.safetensors")


def add_stray(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    name = next(iter(tensors))
    save_file({**tensors, name.replace("layers.0", "layers.7"): tensors[name].clone()}, path, metadata={"format": "pt"})


def name_another_base(folder: Path) -> None:
    story = {"base": "other", "base_sha256": "0" * 64, "files": {}}
    (folder / "manifest.json").write_text(json.dumps(story), encoding="utf-8")


@pytest.mark.filterwarnings("ignore:Found missing adapter keys", "ignore:.*unexpected keys")
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_config, "expected an adapter of the kind LORA, found 'IA3'"),
        (drop_weights, r"missing: adapter_model\.safetensors"),
        (cut_weights, "damaged or cut short at 500 bytes"),
        (add_projector, r"weights\.safetensors: weights outside of LoRA learned"),
        (add_stray, r"no place for '.*layers\.7.*\(1 in all\)"),
        (name_another_base, r"belongs to the base 'other' \(000000000000…\), not to the checkpoint"),
    ],
)
def test_a_spoilt_adapter_is_refused_with_the_reason(
    spoil: Callable[[Path], None], message: str, checkpoint: Path, bundle_folder: Path, few: Path, tmp_path: Path
) -> None:
    peft = write_adapter(checkpoint, tmp_path / "peft")
    spoil(peft)
    with pytest.raises(BundleError, match=message):
        export_adapter(peft, checkpoint, bundle_folder, few, tmp_path / "out", min_agreement=0.0)
    assert [path.name for path in tmp_path.iterdir()] == ["peft"]


def test_another_checkpoint_changed_rubric_and_old_bundle_are_refused(
    checkpoint: Path, bundle_folder: Path, few: Path, folder: Path, tmp_path: Path
) -> None:
    other = write_checkpoint(tmp_path / "other", seed=5)
    with pytest.raises(BundleError, match="not the checkpoint of the bundle tiny-random"):
        export_adapter(folder / "peft", other, bundle_folder, few, tmp_path / "out")
    changed = tmp_path / "changed"
    shutil.copytree(checkpoint, changed)
    card = json.loads((changed / "classroom.json").read_text(encoding="utf-8"))
    card["rubrics"]["attention"]["phrases"][0] = "forward"
    (changed / "classroom.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(BundleError, match=r"rubric 'attention' changed .*forward"):
        export_adapter(folder / "peft", changed, bundle_folder, few, tmp_path / "out")
    with pytest.raises(BundleError, match="format 1, without inputs for adapters"):
        export_adapter(folder / "peft", checkpoint, write_bundle(tmp_path / "old"), few, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_below_the_bar_nothing_is_written_and_the_old_one_stays(
    exported: AdapterFile, checkpoint: Path, bundle_folder: Path, few: Path, folder: Path
) -> None:
    before = {path.name: path.read_bytes() for path in exported.path.iterdir()}
    names = sorted(path.name for path in folder.iterdir())
    with pytest.raises(BundleError, match=r"expected the label of the fp32 graph in 101\.0%.*Nothing was written"):
        export_adapter(folder / "peft", checkpoint, bundle_folder, few, exported.path, min_agreement=1.01)
    assert {path.name: path.read_bytes() for path in exported.path.iterdir()} == before
    assert sorted(path.name for path in folder.iterdir()) == names


def other_bundle(bundle: Bundle, folder: Path) -> Bundle:
    """The same graphs under another name."""
    shutil.copytree(bundle.path, folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (folder / "manifest.json").write_text(json.dumps({**manifest, "model_id": "other"}), encoding="utf-8")
    return open_bundle(folder)


def test_the_monitor_refuses_an_adapter_of_another_bundle(exported: AdapterFile, tmp_path: Path) -> None:
    other = other_bundle(exported.base, tmp_path / "other")
    classifier = BundledClassifier(other, RUBRIC)
    with pytest.raises(BundleError, match="an adapter for another model: expected other, found tiny-random"):
        classifier.swapped(exported)


def test_the_monitor_refuses_tensors_the_graphs_do_not_take(exported: AdapterFile, tmp_path: Path) -> None:
    def written(name: str, **tensors: NDArray[np.float16]) -> AdapterFile:
        folder = tmp_path / name
        folder.mkdir()
        write_tensors(tensors, folder / "adapter.onnx_adapter")
        data = (folder / "adapter.onnx_adapter").read_bytes()
        files = {"adapter.onnx_adapter": {"sha256": sha256_of(data), "bytes": len(data)}}
        shapes = {key: one.shape for key, one in tensors.items()}
        return replace(exported, path=folder, manifest={**exported.manifest, "files": files}, tensors=shapes)

    classifier = BundledClassifier(exported.base, RUBRIC)
    pair = {"text.0.q_proj.lora_A": np.ones((48, 2), np.float16), "text.0.q_proj.lora_B": np.ones((2, 48), np.float16)}
    classifier.swapped(written("fits", **pair))
    with pytest.raises(BundleError, match=r"takes no tensor 'text\.9\.q_proj\.lora_A'"):
        classifier.swapped(written("layer", **{"text.9.q_proj.lora_A": pair["text.0.q_proj.lora_A"]}))
    narrow = {**pair, "text.0.q_proj.lora_B": np.ones((3, 48), np.float16)}
    with pytest.raises(BundleError, match="cannot take it up"):
        classifier.swapped(written("rank", **narrow))
    nothing = {**pair, "text.0.q_proj.lora_B": np.full((2, 48), np.nan, np.float16)}
    with pytest.raises(BundleError, match="lora_B holds what is no number"):
        classifier.swapped(written("nan", **nothing))
    with pytest.raises(BundleError, match="not as its manifest says"):
        classifier.swapped(replace(written("told", **pair), tensors=exported.tensors))
