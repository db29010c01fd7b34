"""Registries full of tiny models that answer by colour: red is screen, green is paper, blue is elsewhere."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from export.registry.entries import add_entry
from monitor.registry import Registry
from tests.monitor.bundles import color_graph, write_bundle

PARITY = {"parity": {"agreement": 1.0, "worst_gap": 0.0}}
GOOD, INVERTED, DIM = 4.0, -4.0, 400.0
"""Scales of the colour graph: right and sure, wrong, right and unsure."""


def add_colors(
    registry: Registry, name: str, scale: float = GOOD, *, lineage: Mapping[str, Any] | None = None, **changes: Any
) -> str:
    """Add a bundle that answers by colour."""
    source = registry.folder.parent / f"made-{name}"
    changes = {"model_id": name, "figures": PARITY, **changes}
    return add_entry(registry, write_bundle(source, color_graph(scale=scale), **changes), lineage=lineage)


def color_picture(label: int, seed: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A grey picture that leans towards the label's colour."""
    picture = np.random.default_rng(seed).integers(80, 140, (24, 24, 3)).astype(np.uint8)
    picture[:, :, 2 - label] += 60
    return picture


def write_pictures(folder: Path, people: int = 8, each: int = 9) -> Path:
    """A folder with labels.csv: people, each under every label, half of them with glasses."""
    folder.mkdir(parents=True)
    labels = ("screen", "paper", "wander")
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("file", "person", "label", "glasses"))
        for person in range(people):
            for number in range(each):
                name, label = f"{person}-{number}.png", number % 3
                cv2.imwrite(str(folder / name), color_picture(label, 100 * person + number))
                rows.writerow((name, f"p{person}", labels[label], "clear" if person % 2 else "none"))
    return folder
