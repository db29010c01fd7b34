"""Writers that meet, and writers that are killed: readers see the old state or the new one, never something between."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from export.registry.aliases import roll_back, set_champion, writing
from export.registry.entries import add_entry
from monitor.errors import BusyError, ClassroomError, StoreError
from monitor.registry import CHAMPION, SHIPPED, Registry
from monitor.registry_history import HISTORY, alias_now, champions, read_history
from tests.export.registry.models import add_colors
from tests.monitor.bundles import write_bundle

ROOT = Path(__file__).parents[3]
PROMOTE = """
import sys
from pathlib import Path
from export.registry.aliases import set_champion, writing
from monitor.registry import Registry
registry = Registry(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
with writing(registry):
    set_champion(registry, registry.entry(sys.argv[2]), by=sys.argv[2], reason="")
"""
forking = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def promote(registry: Registry, name: str) -> None:
    with writing(registry):
        set_champion(registry, registry.entry(name), by="ada", reason="a test")


def test_two_promotions_at_once_are_done_one_after_the_other(registry: Registry) -> None:
    for name in ("one", "two"):
        add_colors(registry, name)
    both = [
        subprocess.Popen(
            [sys.executable, "-c", PROMOTE, str(registry.folder), name],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for name in ("one", "two")
    ]  # fmt: skip
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.communicate("go\n", timeout=60)
        assert process.returncode == 0
    standing = champions(read_history(registry.folder))
    assert standing in ([SHIPPED, "one", "two"], [SHIPPED, "two", "one"])
    assert registry.champion().model_id == standing[-1]


def test_a_writer_that_does_not_end_is_told_of(registry: Registry) -> None:
    add_colors(registry, "one")
    with writing(registry):
        begun = time.monotonic()
        with (
            pytest.raises(BusyError, match="another command is changing the models"),
            writing(Registry(registry.folder), wait_s=0.2),
        ):
            pass
        assert 0.2 <= time.monotonic() - begun < 5


def die_at(step: int, work: Callable[[], object]) -> bool:
    """Run in a forked process that is killed at its step-th change of the disk; False: it was done before."""
    child = os.fork()
    if child == 0:
        _die_before(step)
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def _die_before(step: int) -> None:
    """Each call of the system that changes a folder or waits for the disk is a step."""
    count = 0

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def run(*args: object, **more: object) -> object:
            nonlocal count
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **more)

        return run

    for name in ("fsync", "replace", "rename", "unlink", "mkdir", "rmdir", "open"):
        setattr(os, name, counted(getattr(os, name)))


@forking
@pytest.mark.parametrize("what", ["promote", "roll back"])
def test_killed_at_any_step_the_champion_is_the_old_or_the_new_one(registry: Registry, what: str) -> None:
    for name in ("one", "two"):
        add_colors(registry, name)
    promote(registry, "one")

    def work() -> None:
        if what == "promote":
            promote(registry, "two")
        else:
            with writing(registry):
                roll_back(registry, by="ada", reason="a test")

    new = "two" if what == "promote" else SHIPPED
    killed = 0
    for step in range(1, 60):
        if not die_at(step, work):
            break
        killed += 1
        now = alias_now(registry, CHAMPION)
        assert now in ("one", new), step
        assert registry.champion().model_id == now
        with writing(registry):  # nobody is locked out, and what was left is tidied up
            assert champions(read_history(registry.folder))[-1] == now, step
        assert not list(registry.folder.glob(".unfinished-*"))
        (registry.folder / HISTORY).unlink()
        (registry.folder / "champion.json").unlink()
        promote(registry, "one")
    assert killed >= 5
    assert alias_now(registry, CHAMPION) == new


@forking
def test_killed_while_adding_an_entry_is_whole_or_not_there(registry: Registry, tmp_path: Path) -> None:
    source = write_bundle(tmp_path / "source", model_id="new")
    killed = 0
    for step in range(1, 80):
        if not die_at(step, lambda: add_entry(registry, source)):
            break
        killed += 1
        there = registry.model_ids()
        assert there in ([SHIPPED], [SHIPPED, "new"]), step
        if "new" in there:
            registry.entry("new")
            break
        with writing(registry):
            assert not list(registry.folder.glob(".unfinished-*"))
    assert killed >= 8
    assert add_entry(registry, source) == "new"


def test_a_full_disk_leaves_nothing_behind(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_colors(registry, "one")
    source = write_bundle(tmp_path / "source", model_id="new")
    before = sorted(path.name for path in registry.folder.iterdir())

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        for work in (lambda: add_entry(registry, source), lambda: promote(registry, "one")):
            with pytest.raises(StoreError, match="the disk is full") as caught:
                work()
            assert isinstance(caught.value, ClassroomError)
    assert sorted(path.name for path in registry.folder.iterdir()) == before
    promote(registry, "one")
    assert add_entry(registry, source) == "new"
