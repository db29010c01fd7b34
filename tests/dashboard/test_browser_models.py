"""The page of models in a real browser: beside the champion, refused, forced with a reason, and back, by clicks."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from export.registry.aliases import set_champion, writing
from monitor.registry import CHALLENGER, CHAMPION, Registry
from monitor.registry_history import alias_now, read_history
from monitor.store.database import Store
from monitor.store.wishes import acknowledge
from tests.dashboard.conftest import dashboard_of
from tests.export.registry.models import GOOD, INVERTED, add_colors


def test_all_of_it_by_clicks(page: Page, tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    add_colors(registry, "old", GOOD)
    add_colors(registry, "new", INVERTED)
    with writing(registry):
        set_champion(registry, registry.entry("old"), by="ada", reason="")
    with Store.open(tmp_path / "class.db", durable=False) as store:
        acknowledge(store, "Grace")
    with dashboard_of(tmp_path / "class.db") as address:
        page.goto(f"{address}/models")
        page.get_by_role("button", name="Run beside").click()
        expect(page.locator(".inuse")).to_contain_text("Beside it new")
        assert alias_now(registry, CHALLENGER) == "new"
        page.get_by_role("button", name="Promote", exact=True).click()
        expect(page.locator(".verdict")).to_contain_text("The gate refuses new against old")
        assert alias_now(registry, CHAMPION) == "old"
        page.get_by_role("button", name="Force").click()
        page.get_by_label("Reason").fill("a lesson in failing")
        page.get_by_role("button", name="Promote all the same").click()
        expect(page.locator(".inuse")).to_contain_text("In use new")
        assert alias_now(registry, CHALLENGER) is None
        page.get_by_role("button", name="Go back from new to old").click()
        expect(page.locator(".inuse")).to_contain_text("In use old")
        assert registry.champion().model_id == "old"
    forced = [change for change in read_history(registry.folder) if change.forced]
    assert [(change.model_id, change.by, change.reason) for change in forced] == [
        ("new", "Grace", "a lesson in failing")
    ]
