"""Adapters as entries: for the base that is here, promoted on what the base answers with them, refused when spoilt."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.registry.aliases import roll_back, set_champion, writing
from export.registry.entries import add_entry
from export.registry.promotion import promote
from export.trial import Jury, try_entries
from monitor.errors import BadInputError, BundleError
from monitor.registry import CHAMPION, SHIPPED, Registry
from monitor.registry_history import alias_now, read_history, read_verdict
from monitor.registry_list import list_models
from tests.export.registry.models import PARITY
from tests.monitor.models import spoil, write_adapter, write_swappable, write_turned

SWAPPABLE = "swappable-1"


@pytest.fixture
def filled(registry: Registry, tmp_path: Path) -> Registry:
    """A bundle that takes adapters, in use, and two adapters: one changes nothing, one turns every label."""
    base = write_swappable(tmp_path / "base", model_id=SWAPPABLE, figures=PARITY)
    add_entry(registry, base)
    for name, by in (("same", 0), ("turned", 1)):
        add_entry(registry, write_turned(tmp_path / name, base, by, figures=PARITY))
    with writing(registry):
        set_champion(registry, registry.entry(SWAPPABLE), by="ada", reason="")
    return registry


def test_an_adapter_is_judged_through_its_base(filled: Registry, pictures: Path) -> None:
    jury = Jury("nowhere.db", pictures)
    done = promote(filled, "same", jury, by="ada")
    assert done.verdict is not None
    assert done.verdict.passed, done.verdict.reasons
    assert done.verdict.figures["changed_answers"] == 0
    assert alias_now(filled, CHAMPION) == "same"
    refused = promote(filled, "turned", jury, by="ada")
    assert refused.change is None
    assert refused.verdict is not None
    assert refused.verdict.figures["changed_answers"] == refused.verdict.figures["pictures"]
    kept = read_verdict(filled.folder, "turned")
    assert kept is not None
    assert kept.champion == "same"
    assert alias_now(filled, CHAMPION) == "same"
    assert promote(filled, "same", jury).verdict is None


def test_forced_through_and_back_again(filled: Registry, pictures: Path) -> None:
    done = promote(filled, "turned", Jury("nowhere.db", pictures), by="ada", reason="a joke", force=True)
    assert done.change is not None
    assert done.change.forced
    assert filled.champion().adapter is not None
    with writing(filled):
        assert roll_back(filled, by="ada", reason="no joke").model_id == SWAPPABLE
    assert [change.action for change in read_history(filled.folder)] == ["promoted", "promoted", "rolled back"]


def test_a_forced_promotion_without_anything_to_judge_by_says_so(filled: Registry, tmp_path: Path) -> None:
    nothing = Jury("nowhere.db", tmp_path / "empty")
    with pytest.raises(BadInputError, match="no such folder"):
        promote(filled, "same", nothing, by="ada")
    done = promote(filled, "same", nothing, by="ada", reason="I know it", force=True)
    assert done.change is not None
    assert done.change.objections[0].startswith("the gate could not be asked:")


def test_spoilt_and_foreign_adapters_are_refused_even_by_force(
    filled: Registry, pictures: Path, tmp_path: Path
) -> None:
    spoil(filled.folder / "same" / "adapter.onnx_adapter")
    with pytest.raises(BundleError, match="changed or damaged"):
        promote(filled, "same", Jury("nowhere.db", pictures), by="ada", reason="please", force=True)
    other = write_swappable(tmp_path / "other", model_id="another-base")
    with pytest.raises(BundleError, match="an adapter for another model"):
        add_entry(filled, write_adapter(tmp_path / "foreign", other))
    changed = write_adapter(tmp_path / "changed", tmp_path / "base", base_files={"label_graph.onnx": "0" * 64})
    with pytest.raises(BundleError, match="for other files of swappable-1"):
        add_entry(filled, changed)
    assert alias_now(filled, CHAMPION) == SWAPPABLE
    assert filled.model_ids() == [SHIPPED, "same", SWAPPABLE, "turned"]


def test_a_challenger_that_learned_from_the_erased_is_objected_to(filled: Registry, pictures: Path) -> None:
    one = try_entries(filled.champion(), filled.entry("same"), Jury("x.db", pictures, tainted_by=("s03",)))
    assert one.reasons == ("it learned from students who were erased since: s03",)


def test_the_list_tells_an_adapter_from_its_base(filled: Registry) -> None:
    rows = {row.model_id: row for row in list_models(filled)}
    assert (rows["turned"].kind, rows["turned"].base, rows["turned"].round) == ("adapter", SWAPPABLE, 1)
    assert rows[SWAPPABLE].aliases == (CHAMPION,)
    assert 0 < rows["turned"].bytes < 300_000
