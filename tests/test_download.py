"""--download against a hub on this machine: what is fetched, checked and refused, and silence without it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub_server import Hub, serve
from tests.smolvlm_hub import write_smolvlm

NAME = "someone/SmolVLM-Tiny"
_FIND = """
import sys
from monitor.errors import BundleError
from monitor.vlm.checkpoint.files import find_checkpoint, read_digests
try:
    read_digests(find_checkpoint({name!r}, download={download}, how_to_download="Add --download."))
except BundleError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As repositories are: more lies in it than is wanted, code among it."""
    folder = write_smolvlm(tmp_path_factory.mktemp("repository") / "tiny", seed=7)
    told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    told["auto_map"] = {"AutoModelForImageTextToText": "modeling_tiny.Tiny", "AutoConfig": "modeling_tiny.Config"}
    (folder / "config.json").write_text(json.dumps(told), encoding="utf-8")
    (folder / "modeling_tiny.py").write_text("raise SystemExit('code of the hub was run')\n", encoding="utf-8")
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04pickled")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "config.json").write_text("{}", encoding="utf-8")
    return folder


@pytest.fixture
def hub(checkpoint: Path, tmp_path: Path) -> Iterator[Hub]:
    copied = tmp_path / "served"
    shutil.copytree(checkpoint, copied)
    with serve({NAME: copied}) as served:
        yield served


def label(hub: Hub, home: Path, picture: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The command as a person calls it, whose hub is the one on this machine."""
    command = ["-m", "classroom", "label", picture, "--whole", "--json", *arguments]
    return run(hub, home, *command)


def find(hub: Hub, home: Path, name: str, *, download: bool = True) -> subprocess.CompletedProcess[str]:
    """The part of the command that finds a checkpoint, without the rest: torch takes seconds to load."""
    return run(hub, home, "-c", _FIND.format(name=name, download=download))


def run(hub: Hub, home: Path, *command: object) -> subprocess.CompletedProcess[str]:
    around = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "NO_PROXY": "127.0.0.1",
    }
    whole = [sys.executable, *map(str, command)]
    return subprocess.run(whole, capture_output=True, text=True, encoding="utf-8", check=False, env=around)


def test_it_is_fetched_once_on_request_and_then_found_without_a_call(hub: Hub, picture: Path, tmp_path: Path) -> None:
    done = label(hub, tmp_path, picture, "--model", NAME)
    assert done.returncode == 3
    assert f"{NAME}: no such folder, and not on this machine. Add --download" in done.stderr
    assert hub.calls == [], "nothing goes out without --download"
    first = label(hub, tmp_path, picture, "--model", NAME, "--download")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["model_id"].startswith("SmolVLM-Tiny@")
    assert {"model.safetensors", "config.json", "tokenizer.json", "preprocessor_config.json"} <= hub.fetched
    assert not {"pytorch_model.bin", "modeling_tiny.py"} & hub.fetched
    assert not [call for call in hub.calls if "onnx" in call]
    assert [call for call in hub.calls if NAME not in call] == [], "nothing else is asked of the hub"
    assert not any("torch" in agent for agent in hub.agents), "nor is it told what else is installed"
    hub.calls.clear()
    again = label(hub, tmp_path, picture, "--model", NAME)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == json.loads(first.stdout)
    assert hub.calls == []


@pytest.mark.parametrize("name", ["model.safetensors", "preprocessor_config.json"])
def test_other_bytes_than_the_hub_vouches_for_are_refused(
    name: str, hub: Hub, checkpoint: Path, tmp_path: Path
) -> None:
    data = bytearray((checkpoint / name).read_bytes())
    place = data.index(b"0.5") if name.endswith(".json") else len(data) - 8
    data[place] ^= 1
    hub.spoiled[name] = bytes(data)
    done = find(hub, tmp_path, NAME)
    assert done.returncode == 3
    assert f"{name}: changed or damaged: expected" in done.stderr
    assert "fetch it again" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_connection_that_breaks_is_told_and_the_next_call_goes_on(hub: Hub, tmp_path: Path) -> None:
    hub.cut.add("model.safetensors")
    done = find(hub, tmp_path, NAME)
    assert done.returncode == 3
    assert (
        f"{NAME}: no such folder, and not on this machine. It could not be fetched from the hub either" in done.stderr
    )
    assert "Traceback" not in done.stderr
    assert find(hub, tmp_path, NAME, download=False).returncode == 3, "half a checkpoint is none"
    hub.cut.clear()
    done = find(hub, tmp_path, NAME)
    assert done.returncode == 0, done.stderr


def test_what_the_hub_does_not_have_is_told_with_the_reason(hub: Hub, tmp_path: Path) -> None:
    for name, reason in (("someone/else", "404"), (f"{NAME}@nowhere", "404")):
        done = find(hub, tmp_path, name)
        assert done.returncode == 3
        assert f"{name}: no such folder, and not on this machine. It could not be fetched" in done.stderr
        assert reason in done.stderr
        assert "Traceback" not in done.stderr


def test_weights_that_could_run_code_are_not_even_fetched(hub: Hub, tmp_path: Path) -> None:
    (hub.repositories[NAME] / "model.safetensors").unlink()
    done = find(hub, tmp_path, NAME)
    assert done.returncode == 3
    assert "no *.safetensors in it. Weights in other formats can run code and are not read" in done.stderr
    assert "pytorch_model.bin" not in hub.fetched
