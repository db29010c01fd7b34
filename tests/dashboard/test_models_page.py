"""The page of models, clicked: what the gate refuses, what is forced with a reason, and the way back."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.launch import dashboard_command
from dashboard.model_commands import run_models
from export.registry.aliases import set_champion, writing
from monitor.registry import CHALLENGER, CHAMPION, SHIPPED, Registry
from monitor.registry_history import alias_now, read_history
from monitor.store.database import Store
from monitor.store.wishes import acknowledge
from tests.export.registry.models import GOOD, INVERTED, add_colors

PATIENCE_S = 120


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """ "old" is the champion; "bad" answers the opposite."""
    found = Registry(tmp_path / "models")
    add_colors(found, "old", GOOD)
    add_colors(found, "bad", INVERTED, lineage={"parent": "old", "lectures": ["<algebra>"]})
    with writing(found):
        set_champion(found, found.entry("old"), by="ada", reason="")
    return found


@pytest.fixture
def page(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    with Store.open(tmp_path / "class.db", durable=False) as store:
        acknowledge(store, "Grace")
    command = dashboard_command(tmp_path / "class.db", 8501, models=registry.folder)
    monkeypatch.setattr(sys, "argv", ["app.py", *command[command.index("--") + 1 :]])
    monkeypatch.chdir(Path(__file__).parents[2])
    return AppTest.from_function(_script, default_timeout=PATIENCE_S).run()


def _script() -> None:
    from dashboard.page_models import models_page

    models_page()


def shown(page: AppTest) -> str:
    assert not page.exception
    return " ".join(element.proto.body for element in page.get("html"))


def test_the_gate_refuses_a_reason_forces_and_a_click_goes_back(page: AppTest, registry: Registry) -> None:
    text = shown(page)
    assert "<b>old</b>" in text
    assert "&lt;algebra&gt;" in text
    assert page.text_input(key="models_person").value == "Grace"
    assert page.selectbox(key="model").value == "bad"
    page.button(key="promote").click().run()
    assert "The gate refuses bad against old" in page.error[0].value
    assert alias_now(registry, CHAMPION) == "old"
    assert "0 students judge" in shown(page)
    force = next(button for button in page.button if button.label == "Promote all the same")
    force.click().run()
    assert "says why" in page.error[0].value
    assert alias_now(registry, CHAMPION) == "old"
    page.text_input(key="reason_bad").set_value("to see; it --fail")
    next(button for button in page.button if button.label == "Promote all the same").click().run()
    change = read_history(registry.folder)[-1]
    assert (change.model_id, change.by, change.forced, change.reason) == ("bad", "Grace", True, "to see; it --fail")
    assert "bad became champion after old, by Grace, forced against the gate" in page.success[0].value.replace("\\", "")
    page.button(key="rollback").click().run()
    assert alias_now(registry, CHAMPION) == "old"
    assert "back to old after bad" in shown(page)


def test_a_challenger_is_set_and_taken_away(page: AppTest, registry: Registry) -> None:
    page.selectbox(key="model").set_value("bad").run()
    page.button(key="challenge").click().run()
    assert alias_now(registry, CHALLENGER) == "bad"
    assert "<b>Beside it</b> bad" in shown(page)
    page.button(key="unchallenge").click().run()
    assert alias_now(registry, CHALLENGER) is None


def test_what_the_gate_would_say_is_shown_and_changes_nothing(page: AppTest, registry: Registry) -> None:
    before = read_history(registry.folder)
    page.button(key="ask").click().run()
    text = shown(page)
    assert "The gate refuses bad against old" in text
    assert "worst of" in text
    assert read_history(registry.folder) == before


def test_a_damaged_champion_is_told_on_the_page(page: AppTest, registry: Registry) -> None:
    (registry.folder / "old" / "label_graph.onnx").write_bytes(b"spoilt")
    page.run()
    assert "changed or damaged" in page.error[0].value
    assert page.button(key="rollback").label == f"Go back from old to {SHIPPED}"
    page.button(key="rollback").click().run()
    assert alias_now(registry, CHAMPION) == SHIPPED
    assert not page.error


def test_what_a_command_cannot_do_is_told_in_its_own_words(registry: Registry, tmp_path: Path) -> None:
    done = run_models(["promote", "nobody"], store=str(tmp_path / "class.db"), models=registry.folder)
    assert not done.ok
    assert "expected the manifest of a model" in done.error
