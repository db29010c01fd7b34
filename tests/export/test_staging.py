"""A folder that appears whole or not at all, also where the disk is full in the midst of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from export.staging import staged_folder
from monitor.errors import StoreError

ROOT = Path(__file__).parents[2]
FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np, onnx, torch
from safetensors.torch import save_file
from export.adapter import write_tensors
from export.staging import staged_folder
from monitor.errors import StoreError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))  # no file may grow beyond: as on a full disk
out, how = Path(sys.argv[1]), sys.argv[2]
try:
    with staged_folder(out) as folder:
        (folder / "small.txt").write_text("fits")
        if how == "bytes":
            (folder / "large.bin").write_bytes(bytes(200_000))
        elif how == "graph":
            weights = onnx.numpy_helper.from_array(np.zeros(50_000, np.float32), "w")
            graph = onnx.helper.make_graph([], "g", [], [], [weights])
            onnx.save(onnx.helper.make_model(graph), str(folder / "large.onnx"))
        elif how == "weights":
            save_file({"w": torch.zeros(50_000)}, folder / "large.safetensors")
        else:
            write_tensors({"w": np.zeros(50_000, np.float32)}, folder / "large.onnx_adapter")
except StoreError as error:
    assert "the disk is full" in str(error) and "Nothing was written" in str(error), error
    sys.exit(7)
sys.exit(8)
"""


def test_what_is_whole_takes_the_place_of_the_old(tmp_path: Path) -> None:
    for text in ("old", "new"):
        with staged_folder(tmp_path / "out") as folder:
            (folder / f"{text}.txt").write_text(text, encoding="utf-8")
            assert not (tmp_path / "out" / "new.txt").exists()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["new.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failure_leaves_the_old_and_nothing_else(tmp_path: Path) -> None:
    with staged_folder(tmp_path / "out") as folder:
        (folder / "old.txt").write_text("old", encoding="utf-8")
    with pytest.raises(ZeroDivisionError), staged_folder(tmp_path / "out") as folder:
        (folder / "half.txt").write_text("half", encoding="utf-8")
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "old.txt"]


def test_other_errors_keep_their_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), staged_folder(tmp_path / "out"):
        (tmp_path / "nothing").read_bytes()
    with pytest.raises(StoreError, match="the disk is full"), staged_folder(tmp_path / "out"):
        raise OSError(28, "No space left on device")


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of file sizes there")
@pytest.mark.parametrize("how", ["bytes", "graph", "weights", "adapter"])
def test_a_full_disk_is_told_and_no_half_folder_is_seen(how: str, tmp_path: Path) -> None:
    with staged_folder(tmp_path / "out") as folder:
        (folder / "old.txt").write_text("old", encoding="utf-8")
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "out"), how]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 7, done.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "old.txt"]
