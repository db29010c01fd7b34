"""Aliases: whatever is done, and wherever it is cut short, there is one champion and the history tells how it came."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from export.registry.aliases import roll_back, set_challenger, set_champion, writing
from monitor.errors import BadInputError, BundleError, BusyError
from monitor.registry import CHALLENGER, CHAMPION, SHIPPED, Registry
from monitor.registry_history import HISTORY, alias_now, champions, read_history
from tests.export.registry.models import add_colors

NAMES = ("one", "two", "three")
WHO = {"by": "ada", "reason": "a test"}

Step = tuple[str, str]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["promote", "promote", "back", "back to", "challenge", "clear", "tear", "forget", "lose"]),
        st.sampled_from([*NAMES, SHIPPED]),
    ),
    max_size=14,
)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filled") / "models"
    for name in NAMES:
        add_colors(Registry(folder), name)
    return folder


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_whatever_is_done_the_history_explains_the_champion(filled: Path, steps: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        registry = Registry(Path(scratch) / "models")
        registry.folder.mkdir()
        for name in NAMES:
            (registry.folder / name).symlink_to(filled / name)
        standing = [SHIPPED]
        challenger: str | None = None
        for what, name in steps:
            standing, challenger = take(registry, what, name, standing, challenger)
            with writing(registry):
                pass  # tidies
            assert alias_now(registry, CHAMPION) == standing[-1]
            assert registry.champion().model_id == standing[-1]
            assert champions(read_history(registry.folder)) == standing
            assert alias_now(registry, CHALLENGER) == challenger != standing[-1]
            newest = [one for one in read_history(registry.folder) if one.alias == CHALLENGER][-1:]
            assert [one.model_id for one in newest] in ([], [challenger])


def take(
    registry: Registry, what: str, name: str, standing: list[str], challenger: str | None
) -> tuple[list[str], str | None]:
    """Do a step; returns what must hold after it."""
    history = registry.folder / HISTORY
    with writing(registry):
        if what == "promote":
            set_champion(registry, registry.entry(name), **WHO)
            standing = standing if standing[-1] == name else [*standing, name]
        elif what == "back" and len(standing) > 1:
            roll_back(registry, **WHO)
            standing = standing[:-1]
        elif what == "back to" and name in standing and name != standing[-1]:
            roll_back(registry, **WHO, to=name)
            while standing[-1] != name:
                standing = standing[:-1]
        elif what in ("back", "back to"):
            with pytest.raises(BadInputError):
                roll_back(registry, **WHO, to=name if what == "back to" else None)
        elif what == "challenge" and name != standing[-1]:
            set_challenger(registry, registry.entry(name), **WHO)
            challenger = name
        elif what == "clear":
            set_challenger(registry, None, **WHO)
            challenger = None
        elif history.exists() and (registry.folder / f"{CHAMPION}.json").exists():
            lines = history.read_bytes().splitlines(keepends=True)
            last = json.loads(lines[-1])["alias"]
            if what == "tear" and (registry.folder / f"{last}.json").exists():  # a crash within the line
                history.write_bytes(b"".join(lines)[: -len(lines[-1]) // 2])
            elif what == "forget" and (registry.folder / f"{last}.json").exists():  # a crash before the line
                history.write_bytes(b"".join(lines[:-1]))
            elif what == "lose" and challenger is not None:  # somebody deletes the file by hand
                (registry.folder / f"{CHALLENGER}.json").unlink()
                challenger = None
    return standing, None if challenger == standing[-1] else challenger


def test_a_promotion_is_written_down_with_who_and_why(registry: Registry) -> None:
    add_colors(registry, "one")
    with writing(registry):
        set_champion(registry, registry.entry("one"), by="ada", reason="exam week", objections=["paper loses"])
    told = json.loads((registry.folder / "champion.json").read_text(encoding="utf-8"))
    assert (told["model_id"], told["by"], told["reason"], told["forced"], told["previous"]) == (
        *("one", "ada", "exam week", True, SHIPPED),
    )
    (line,) = read_history(registry.folder)
    assert line.objections == ("paper loses",)
    assert line.at == told["at"]


def test_a_forced_promotion_without_a_reason_is_refused(registry: Registry) -> None:
    add_colors(registry, "one")
    with writing(registry), pytest.raises(BadInputError, match="add --reason"):
        set_champion(registry, registry.entry("one"), by="ada", reason="  ", objections=["paper loses"])
    assert alias_now(registry, CHAMPION) == SHIPPED


def test_the_champion_of_the_comparison_must_still_be_it(registry: Registry) -> None:
    for name in NAMES:
        add_colors(registry, name)
    with writing(registry):
        set_champion(registry, registry.entry("one"), **WHO)
        with pytest.raises(BusyError, match="compared with the champion shipped, and somebody made one"):
            set_champion(registry, registry.entry("two"), **WHO, expected=SHIPPED)
    assert alias_now(registry, CHAMPION) == "one"


def test_going_back_to_a_damaged_model_is_refused_and_past_it_is_not(registry: Registry) -> None:
    for name in NAMES:
        add_colors(registry, name)
    with writing(registry):
        for name in NAMES:
            set_champion(registry, registry.entry(name), **WHO)
    (registry.folder / "two" / "label_graph.onnx").write_bytes(b"spoilt")
    with writing(registry):
        with pytest.raises(BundleError, match="changed or damaged"):
            roll_back(registry, **WHO)
        assert alias_now(registry, CHAMPION) == "three"
        assert roll_back(registry, **WHO, to="one").model_id == "one"
        assert roll_back(registry, **WHO).model_id == SHIPPED


@pytest.mark.parametrize("told", ["", "{", "[]", '{"model_id": 3}'])
def test_a_damaged_alias_is_mended_by_going_back(registry: Registry, told: str) -> None:
    for name in NAMES[:2]:
        add_colors(registry, name)
    with writing(registry):
        for name in NAMES[:2]:
            set_champion(registry, registry.entry(name), **WHO)
    (registry.folder / "champion.json").write_text(told, encoding="utf-8")
    with pytest.raises(BundleError, match="models rollback"):
        registry.champion()
    with writing(registry):
        assert roll_back(registry, **WHO).model_id == "one"
    assert registry.champion().model_id == "one"


def test_the_champion_is_no_challenger(registry: Registry) -> None:
    add_colors(registry, "one")
    with writing(registry):
        set_challenger(registry, registry.entry("one"), **WHO)
        set_champion(registry, registry.entry("one"), **WHO)
        assert alias_now(registry, CHALLENGER) is None
        with pytest.raises(BadInputError, match="beside itself"):
            set_challenger(registry, registry.entry("one"), **WHO)
