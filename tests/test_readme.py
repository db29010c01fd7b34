"""What the README says is so: its commands exist, its tree is the tree, its pictures are there."""

import re
import shlex

from typer.testing import CliRunner

from classroom import app
from docs.make_tree import PAGES, ROOT, with_tree

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_trees_are_the_tree() -> None:
    for name, files in PAGES.items():
        page = (ROOT / name).read_text(encoding="utf-8")
        assert with_tree(page, files=files) == page, f"{name}: run python docs/make_tree.py"


def test_every_picture_and_linked_file_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target


def test_every_command_and_option_in_the_readme_exists() -> None:
    lines = re.findall(r"^(?:.*&& )?classroom ([^#\n]+)", README, flags=re.MULTILINE)
    assert len(lines) >= 8
    for line in lines:
        words = shlex.split(line)
        command = [word for word in words[:2] if word.isalpha() and word not in ("demo", "lecture")]
        if words[0] == "synthesize":
            command = words[:2]
        shown = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
        assert shown.exit_code == 0, line
        for option in (word for word in words if word.startswith("--")):
            assert option in shown.output, f"{option} in: classroom {line}"
