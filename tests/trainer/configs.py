"""Shipped configurations with some lines changed, so that tests run what people run, small."""

from collections.abc import Mapping
from pathlib import Path

CONFIGS = Path(__file__).parents[2] / "trainer" / "configs"


def with_changes(path: Path, shipped: str, changes: Mapping[str, str]) -> Path:
    """Write a shipped configuration to `path`; what is to be changed must be in it."""
    text = (CONFIGS / shipped).read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return path
