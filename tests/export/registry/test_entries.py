"""Entries: whole, checked, never changed; marked where they learned from somebody who was erased."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from export.registry.entries import add_entry, mark_tainted
from export.registry.verify import verify
from monitor.errors import BadInputError, BundleError
from monitor.registry import SHIPPED, Registry
from monitor.registry_history import read_marks
from monitor.registry_list import list_models
from tests.export.registry.models import PARITY, add_colors
from tests.monitor.bundles import color_graph, write_bundle


def test_an_entry_is_a_checked_copy_with_a_card(registry: Registry, tmp_path: Path) -> None:
    source = write_bundle(tmp_path / "source", model_id="one", figures={**PARITY, "heldout": {"macro_f1": 0.9}})
    assert add_entry(registry, source) == "one"
    entry = registry.entry("one")
    assert entry.bundle.read("label_graph.onnx") == color_graph()
    assert "# Model card: one" in (entry.folder / "README.md").read_text(encoding="utf-8")
    assert set(entry.manifest["files"]) == {"label_graph.onnx", "tokenizer.json", "README.md"}
    row = next(row for row in list_models(registry) if row.model_id == "one")
    assert (row.kind, row.macro_f1, row.aliases, row.verdict) == ("bundle", 0.9, (), None)
    assert all(not finding.problem for finding in verify(registry))


def test_the_same_model_again_changes_nothing(registry: Registry, tmp_path: Path) -> None:
    source = write_bundle(tmp_path / "source", model_id="one")
    add_entry(registry, source)
    before = (registry.folder / "one" / "manifest.json").stat().st_mtime_ns
    assert add_entry(registry, source) == "one"
    assert (registry.folder / "one" / "manifest.json").stat().st_mtime_ns == before
    with pytest.raises(BadInputError, match="another model of this name"):
        add_entry(registry, write_bundle(tmp_path / "other", model_id="one", image_size=32))


@pytest.mark.parametrize("name", ["shipped", "verdicts", "../up", ".hidden", "", "a b", "x" * 81])
def test_a_name_that_is_none_is_refused(registry: Registry, tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInputError, match="begins with a letter or digit"):
        add_entry(registry, write_bundle(tmp_path / "source", model_id=name))
    assert registry.model_ids() == [SHIPPED]


def test_what_is_damaged_or_foreign_never_becomes_an_entry(registry: Registry, tmp_path: Path) -> None:
    source = write_bundle(tmp_path / "source", model_id="one")
    (source / "label_graph.onnx").write_bytes(b"spoilt")
    with pytest.raises(BundleError, match="changed or damaged"):
        add_entry(registry, source)
    with pytest.raises(BundleError, match=r"expected a folder with manifest\.json"):
        add_entry(registry, tmp_path / "nowhere")
    outside = write_bundle(tmp_path / "outside", model_id="two", files={"../x": {"sha256": "0", "bytes": 1}})
    with pytest.raises(BundleError, match="in the model's own folder"):
        add_entry(registry, outside)
    newer = write_bundle(tmp_path / "newer", model_id="three", format=99)
    with pytest.raises(BundleError, match="newer version"):
        add_entry(registry, newer)
    assert registry.model_ids() == [SHIPPED]
    assert not list(registry.folder.glob(".unfinished-*"))


def test_a_tampered_entry_is_found(registry: Registry) -> None:
    add_colors(registry, "one")
    add_colors(registry, "two")
    add_colors(registry, "three")
    (registry.folder / "one" / "tokenizer.json").write_bytes(b"other")
    (registry.folder / "three" / "README.md").write_text("The best model there is.", encoding="utf-8")
    (registry.folder / "two" / "extra.bin").write_bytes(b"?")
    problems = {finding.name: finding.problem for finding in verify(registry)}
    assert "tokenizer.json: changed or damaged" in problems["one"]
    assert "README.md: changed or damaged" in problems["three"]
    assert "does not know: extra.bin" in problems["two"]
    assert not problems[SHIPPED]


def test_half_an_entry_is_no_entry(registry: Registry) -> None:
    add_colors(registry, "one")
    (registry.folder / "half").mkdir()
    (registry.folder / "half" / "label_graph.onnx").write_bytes(b"the beginning")
    assert registry.model_ids() == [SHIPPED, "one"]


def test_who_learned_from_an_erased_student_is_marked_and_so_are_its_children(registry: Registry) -> None:
    add_colors(registry, "one", lineage={"students": ["s01", "s02"]})
    add_colors(registry, "two", lineage={"students": ["s09"], "parent": "one"})
    add_colors(registry, "three", lineage={"students": ["s09"], "parent": "two"})
    add_colors(registry, "four", lineage={"students": ["s09"]})
    assert mark_tainted(registry, ["s02"]) == ("one", "three", "two")
    assert mark_tainted(registry, ["s77"]) == ()
    assert read_marks(registry.folder) == {"one": ("s02",), "two": ("s02",), "three": ("s02",)}
    assert {row.model_id: row.tainted_by for row in list_models(registry)}["three"] == ("s02",)


def test_a_damaged_manifest_is_listed_as_damaged(registry: Registry) -> None:
    add_colors(registry, "one")
    (registry.folder / "one" / "manifest.json").write_text(json.dumps([]), encoding="utf-8")
    assert [(row.model_id, row.kind) for row in list_models(registry)] == [(SHIPPED, "bundle"), ("one", "damaged")]
