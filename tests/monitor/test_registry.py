from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.errors import BundleError, RubricError
from monitor.registry import Registry, models_folder
from monitor.rubric import load_rubric
from tests.monitor.bundles import write_bundle
from tests.monitor.models import choose, spoil, write_adapter


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Two bundles and an adapter of the first; nobody has chosen one."""
    models = tmp_path / "models"
    write_bundle(models / "colors-1")
    write_bundle(models / "colors-2", model_id="colors-2")
    write_adapter(models / "glasses-1", models / "colors-1")
    return models


@pytest.fixture
def registry(models: Path) -> Registry:
    return Registry(models, shipped=write_bundle(models.parent / "package"))


def test_without_an_alias_the_model_is_the_one_that_ships(registry: Registry, models: Path) -> None:
    entry = registry.champion()
    assert (entry.model_id, entry.kind, entry.adapter) == ("shipped", "bundle", None)
    assert entry.folder == models.parent / "package"
    assert registry.challenger() is None


def test_no_folder_at_all_is_the_shipped_model_of_the_package(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "none")
    assert registry.model_ids() == ["shipped"]
    assert registry.champion().bundle.path.name == "bundle"


def test_models_lie_beside_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert models_folder(tmp_path / "class.db") == tmp_path / "models"
    monkeypatch.setenv("CLASSROOM_STORE", str(tmp_path / "other" / "class.db"))
    assert Registry().folder == tmp_path / "other" / "models"


def test_the_chosen_bundle_and_the_chosen_adapter_are_opened(registry: Registry, models: Path) -> None:
    choose(models, "colors-2")
    choose(models, "glasses-1", alias="challenger")
    champion, challenger = registry.champion(), registry.challenger()
    assert (champion.kind, champion.bundle.model_id) == ("bundle", "colors-2")
    assert challenger is not None
    assert challenger.adapter is not None
    assert (challenger.kind, challenger.adapter.adapter_id, challenger.bundle.model_id) == (
        "adapter",
        "glasses-1",
        "colors-1",
    )
    assert challenger.adapter.read() == b"weights"
    assert challenger.adapter.tensors == {"text.0.qkv.lora_A": (2, 8)}
    assert not challenger.adapter.changes_vision


def test_an_adapter_brings_its_own_temperature_and_threshold(registry: Registry) -> None:
    adapter = registry.entry("glasses-1").adapter
    assert adapter is not None
    trained = adapter.trained_for(load_rubric("attention"))
    assert (trained.temperature, trained.abstain_threshold, trained.graph) == (1.5, 0.4, "label_graph.onnx")


def test_a_rubric_that_changed_since_the_adapter_was_trained_is_refused(registry: Registry) -> None:
    adapter = registry.entry("glasses-1").adapter
    assert adapter is not None
    with pytest.raises(RubricError, match="question changed since the model colors-1 with glasses-1"):
        adapter.trained_for(replace(load_rubric("attention"), question="Who is there?"))


def test_all_entries_are_listed_and_half_written_ones_are_not(registry: Registry, models: Path) -> None:
    (models / ".part-x").mkdir()
    (models / ".part-x" / "manifest.json").write_text("{}")
    (models / "no-manifest").mkdir()
    assert registry.model_ids() == ["shipped", "colors-1", "colors-2", "glasses-1"]


def test_the_stamp_changes_with_each_choice_and_with_nothing_else(registry: Registry, models: Path) -> None:
    stamps = [registry.stamp()]
    choose(models, "colors-1")
    stamps.append(registry.stamp())
    old = (models / "champion.json").stat()
    choose(models, "colors-2")  # as long as the one before, and made to look as old
    os.utime(models / "champion.json", ns=(old.st_atime_ns, old.st_mtime_ns))
    stamps.append(registry.stamp())
    choose(models, "glasses-1", alias="challenger")
    stamps.append(registry.stamp())
    assert len(set(stamps)) == 4
    write_bundle(models / "colors-3", model_id="colors-3")
    assert registry.stamp() == stamps[-1]
    (models / "challenger.json").unlink()
    assert registry.stamp() == stamps[2]


def test_the_shipped_model_may_be_chosen_whatever_the_package_brings(registry: Registry, models: Path) -> None:
    choose(models, "shipped", sha256="of an older package")
    assert registry.champion().model_id == "shipped"


@pytest.mark.parametrize(
    ("make_wrong", "message"),
    [
        (lambda folder: spoil(folder / "adapter.onnx_adapter"), r"adapter\.onnx_adapter: changed.*expected 7 bytes"),
        (lambda folder: (folder / "adapter.onnx_adapter").write_bytes(b"wei"), r"expected 7 bytes.*found 3 bytes"),
        (lambda folder: (folder / "README.md").unlink(), r"README\.md: expected 13 bytes.*none readable"),
        (lambda folder: (folder / "manifest.json").unlink(), r"glasses-1.manifest\.json.*none readable.*models list"),
        (lambda folder: (folder / "manifest.json").write_bytes(b'{"kind'), r"manifest\.json.*cannot be read"),
        (lambda folder: rewritten(folder, format=9), r"newer version: expected format 1 at most, found 9.*Update"),
        (lambda folder: rewritten(folder, rank=0), "expected a rank of 1 or more, found 0"),
        (lambda folder: rewritten(folder, tensors={}), "for tensors, found none"),
        (lambda folder: rewritten(folder, files={"README.md": {}}), "expected adapter.onnx_adapter among its files"),
        (lambda folder: rewritten(folder, files={"adapter.onnx_adapter": {}}), "expected bytes and sha256"),
        (lambda folder: rewritten(folder, files=files_and(folder, "../x")), "must lie in the adapter's folder.*'../x'"),
        (lambda folder: rewritten(folder, rubrics={"attention": {"question": "?"}}), "lacks labels"),
        (lambda folder: rewritten(folder, rubrics={"engagenet": whole_rubric(folder)}), "no graph in .*only attention"),
        (lambda folder: rewritten(folder, base_model_id="other"), "another model: expected one of colors-1.*'other'"),
        (
            lambda folder: rewritten(folder, base_files={"label_graph.onnx": "0" * 64}),
            r"other files of colors-1: expected label_graph\.onnx with sha256 000000000000.*found",
        ),
        (lambda folder: rewritten(folder, base_files={"vision.onnx": "0" * 64}), "found no such file"),
    ],
)
def test_a_spoilt_adapter_is_refused_with_file_expected_found_and_next_step(
    make_wrong: Callable[[Path], object], message: str, registry: Registry, models: Path
) -> None:
    make_wrong(models / "glasses-1")
    with pytest.raises(BundleError, match=message):
        registry.entry("glasses-1")


def test_a_manifest_without_a_key_names_it(registry: Registry, models: Path) -> None:
    path = models / "glasses-1" / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["base_files"]
    path.write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"incomplete: .*missing: base_files"):
        registry.entry("glasses-1")


def test_an_entry_changed_since_its_promotion_is_refused_even_if_it_is_whole(registry: Registry, models: Path) -> None:
    choose(models, "glasses-1")
    assert registry.champion().model_id == "glasses-1"
    write_adapter(models / "glasses-1", models / "colors-1", b"other weights")
    with pytest.raises(BundleError, match=r"not the model that was promoted: expected sha256 .*found .*rollback"):
        registry.champion()
    assert registry.entry("glasses-1").adapter is not None, "by its name alone it is as good as any"


def test_a_bundle_is_read_anew_each_time_it_is_chosen(registry: Registry, models: Path) -> None:
    choose(models, "colors-2")
    registry.champion()
    spoil(models / "colors-2" / "label_graph.onnx")
    with pytest.raises(BundleError, match=r"label_graph\.onnx: changed or damaged"):
        registry.champion()


def test_an_adapter_whose_base_is_gone_is_refused(models: Path) -> None:
    registry = Registry(models, shipped=write_bundle(models.parent / "package", model_id="newer-package"))
    assert registry.entry("glasses-1").bundle.model_id == "colors-1"
    (models / "colors-1" / "manifest.json").unlink()
    with pytest.raises(BundleError, match=r"expected one of newer-package, colors-2, found 'colors-1'\. Put that"):
        registry.entry("glasses-1")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"champion\.json: expected the name of a model.*rollback"),
        (b'{"model_id": "colors', "cannot be read"),
        (b"[]", "cannot be read"),
        (b'{"model_id": "colors-2"}', "expected model_id and sha256"),
        (b'{"model_id": "../colors-2", "sha256": ""}', "is no name of a model"),
        (b'{"model_id": "colors-9", "sha256": ""}', r"colors-9.manifest\.json.*none readable.*rollback"),
    ],
)
def test_a_spoilt_alias_is_no_choice_of_the_shipped_model(
    content: bytes, message: str, registry: Registry, models: Path
) -> None:
    (models / "champion.json").write_bytes(content)
    with pytest.raises(BundleError, match=message):
        registry.champion()


def rewritten(folder: Path, **changes: object) -> None:
    """The manifest with some keys replaced."""
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def whole_rubric(folder: Path) -> object:
    return json.loads((folder / "manifest.json").read_text())["rubrics"]["attention"]


def files_and(folder: Path, name: str) -> object:
    """The files of a manifest, and one more of a name."""
    return json.loads((folder / "manifest.json").read_text())["files"] | {name: {"bytes": 1, "sha256": "0"}}
