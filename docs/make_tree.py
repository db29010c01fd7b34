"""Writes the tree of rooms in the README, and of every file in docs/house.md, from the first sentence of each module.

python docs/make_tree.py
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOMS = ("commands", "monitor", "trainer", "export", "dashboard", "benchmarks")
BEGIN, END = "<!-- tree: written by docs/make_tree.py -->", "<!-- end of tree -->"
PAGES = {"README.md": False, "docs/house.md": True}
"""Page to whether it names every file, or only the folders."""


def first_sentence(path: Path) -> str:
    """What a module's docstring says first, without its full stop."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    line = " ".join(text.split("\n\n")[0].split())
    return line.split(". ")[0].rstrip(".").replace("`", "")


def tree(*, files: bool) -> str:
    """All rooms, one line a folder, from its __init__, and where wanted one line a file."""
    lines = [f"{'classroom.py':<34}{first_sentence(ROOT / 'classroom.py')}"]
    for room in ROOMS:
        for folder in sorted({path.parent for path in (ROOT / room).rglob("*.py")}):
            depth = "  " * (len(folder.relative_to(ROOT).parts) - 1)
            lines.append(f"{depth + folder.name + '/':<34}{first_sentence(folder / '__init__.py')}")
            for path in sorted(folder.glob("*.py")) if files else []:
                if path.name != "__init__.py":
                    lines.append(f"{depth + '  ' + path.name:<34}{first_sentence(path)}")
    return "\n".join(lines)


def with_tree(page: str, *, files: bool) -> str:
    """A page's text with a fresh tree between the two marks."""
    head, rest = page.split(BEGIN)
    _, tail = rest.split(END)
    return f"{head}{BEGIN}\n\n```text\n{tree(files=files)}\n```\n\n{END}{tail}"


if __name__ == "__main__":
    for name, files in PAGES.items():
        page = ROOT / name
        page.write_text(with_tree(page.read_text(encoding="utf-8"), files=files), encoding="utf-8")
