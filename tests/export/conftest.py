"""One small checkpoint and its bundle, made once for all tests of this room."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.checkpoint import open_checkpoint
from export.graph_files import GraphFiles, write_graphs
from export.label_graph import build
from export.write_bundle import export_bundle
from tests.export.checkpoints import SIDE, write_checkpoint, write_shards, write_stills


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder with random weights."""
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="session")
def heldout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Held-out shards."""
    return write_shards(tmp_path_factory.mktemp("heldout"), 96)


@pytest.fixture(scope="session")
def plain_graphs(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> GraphFiles:
    """The checkpoint's fp32 graphs, as an export writes them."""
    return write_graphs(build(open_checkpoint(checkpoint), "attention"), SIDE, tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="session")
def bundle_folder(checkpoint: Path, heldout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported bundle, its trainable weights beside it, measured on a recipe and on stills.

    Random weights change their mind at any rounding, so agreement has no bar here.
    """
    out = tmp_path_factory.mktemp("exported") / "bundle"
    sets = {"hard": write_shards(out.parent / "hard", 40, seed=7), "stills": write_stills(out.parent / "stills", 33)}
    export_bundle(checkpoint, heldout, out, measured=sets, trainable=out.parent / "trainable", min_agreement=0.0)
    return out
