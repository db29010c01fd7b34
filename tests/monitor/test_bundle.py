from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.bundle import open_bundle
from monitor.errors import BundleError, RubricError
from monitor.rubric import load_rubric
from tests.monitor.bundles import write_bundle


def test_whole_bundle_opens(tmp_path: Path) -> None:
    bundle = open_bundle(write_bundle(tmp_path))
    assert bundle.model_id == "colors-1"
    assert bundle.image_size == 16
    assert bundle.trained_for(load_rubric("attention")).labels == ("screen", "paper", "wander")
    assert bundle.read("tokenizer.json") == b"{}"


@pytest.mark.parametrize("name", ["label_graph.onnx", "tokenizer.json"])
def test_one_changed_byte_is_found_and_named(name: str, tmp_path: Path) -> None:
    write_bundle(tmp_path)
    data = bytearray((tmp_path / name).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BundleError, match=rf"{name}.*changed.*expected.*found.*export the bundle again") as caught:
        open_bundle(tmp_path)
    assert caught.value.exit_code == 3


def test_file_changed_after_opening_is_not_used(tmp_path: Path) -> None:
    bundle = open_bundle(write_bundle(tmp_path))
    (tmp_path / "label_graph.onnx").write_bytes(b"something else")
    with pytest.raises(BundleError, match="changed"):
        bundle.read("label_graph.onnx")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "label_graph.onnx").unlink(), r"label_graph\.onnx.*none readable"),
        (lambda folder: (folder / "manifest.json").unlink(), "expected a folder with manifest.json"),
        (lambda folder: (folder / "manifest.json").write_bytes(b"{"), "cannot be read as a manifest"),
        (lambda folder: (folder / "manifest.json").write_bytes(b"\xff\xfe"), "cannot be read as a manifest"),
        (lambda folder: (folder / "manifest.json").write_bytes(b"[]"), "format number"),
        (lambda folder: write_bundle(folder, format=3), r"newer version.*at most, found 3.*Update"),
        (lambda folder: write_bundle(folder, format=2), "missing: vision"),
        (lambda folder: write_bundle(folder, format=2, vision="eyes.onnx"), "'eyes.onnx' is not among its files"),
        (lambda folder: write_bundle(folder, rubrics={}), "any rubric"),
        (lambda folder: write_bundle(folder, rubrics={"attention": {"graph": "x"}}), "lacks question"),
        (lambda folder: write_bundle(folder, files={}), "not among its files"),
        (lambda folder: write_bundle(folder, files={"../x": {"sha256": "0"}}), "must lie in the bundle itself"),
    ],
)
def test_spoilt_bundle_is_refused_with_the_reason(
    spoil: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    spoil(write_bundle(tmp_path))
    with pytest.raises(BundleError, match=message):
        open_bundle(tmp_path)


def test_manifest_without_a_key_names_it(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    del manifest["image_size"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(BundleError, match="missing: image_size"):
        open_bundle(tmp_path)


def test_rubric_it_was_not_trained_for_is_refused_with_the_way_to_train(tmp_path: Path) -> None:
    bundle = open_bundle(write_bundle(tmp_path))
    with pytest.raises(RubricError, match=r"engagenet.*only for attention.*classroom train sft"):
        bundle.trained_for(load_rubric("engagenet", research=True))


def test_same_rubric_in_other_words_is_refused(tmp_path: Path) -> None:
    bundle = open_bundle(write_bundle(tmp_path))
    rubric = load_rubric("attention")
    with pytest.raises(RubricError, match="question changed"):
        bundle.trained_for(replace(rubric, question="Who is there?"))
    with pytest.raises(RubricError, match="labels changed"):
        bundle.trained_for(replace(rubric, labels=rubric.labels[::-1]))
    changed = (replace(rubric.labels[0], phrase="to the front"), *rubric.labels[1:])
    with pytest.raises(RubricError, match="phrases changed"):
        bundle.trained_for(replace(rubric, labels=changed))
