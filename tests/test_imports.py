"""Data flows one way: which room may import which door."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOORS = (
    "monitor.schema",
    "monitor.errors",
    "monitor.rubric",
    "monitor.store",
    "monitor.vlm",
    "monitor.bundle",
    "monitor.adapter",
    "monitor.registry",
    "monitor.registry_history",
    "monitor.registry_list",
    "monitor.registry_words",
)
SAME_PIXELS = ("monitor.sources.picture_file", "monitor.students.headcut")
"""How a picture is read and cut: what is learned from and measured on must be what a lecture gets."""
ROOMS = {
    "commands": ("commands", "monitor", "trainer", "export", "dashboard"),
    "monitor": ("monitor",),
    "trainer": ("trainer", *DOORS, *SAME_PIXELS, "monitor.students.crops"),
    "export": ("export", *DOORS, *SAME_PIXELS),
    "dashboard": ("dashboard", "monitor.clips", "monitor.report", *(door for door in DOORS if door != "monitor.vlm")),
}
RUNS_TORCH = ROOT / "monitor" / "vlm" / "checkpoint"
TRAINING_LIBRARIES = {"torch", "transformers", "peft", "trl", "bitsandbytes", "anny", "moderngl"}


def imports(path: Path) -> set[str]:
    """Full dotted names a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def python_files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_its_doors(room: str) -> None:
    allowed = ROOMS[room]
    packages = tuple(allowed) + tuple({door.split(".")[0] for door in allowed})
    for path in python_files(room):
        for name in imports(path):
            if name.split(".")[0] not in ROOMS:
                continue
            inside = name in packages or any(name == door or name.startswith(f"{door}.") for door in allowed)
            assert inside, f"{path.relative_to(ROOT)} imports {name}, which is no door for {room}"


def test_the_monitor_and_the_dashboard_never_import_training_libraries() -> None:
    for room in ("monitor", "dashboard"):
        for path in python_files(room):
            if path.parent == RUNS_TORCH:
                continue  # the one place that runs a checkpoint with torch, on demand
            heavy = {name.split(".")[0] for name in imports(path)} & TRAINING_LIBRARIES
            assert not heavy, f"{path.relative_to(ROOT)} imports {sorted(heavy)}"


def test_the_test_sees_a_forbidden_import(tmp_path: Path) -> None:
    forbidden = tmp_path / "page.py"
    forbidden.write_text("def late():\n    from monitor.vlm.bundled import BundledClassifier\n", encoding="utf-8")
    assert "monitor.vlm.bundled.BundledClassifier" in imports(forbidden)
