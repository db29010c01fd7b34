"""Rendering before training: what is missing is made, the same by one process or two; contradictions are refused."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.errors import BadInputError, ClassroomError
from tests.trainer.shards import write_shard as write_drawn_shard
from trainer import renders
from trainer.renders import render_missing
from trainer.settings import DataSettings, RenderSettings, read_settings
from trainer.sft import train_sft
from trainer.synthetic.processes import missing_shards, render_shards
from trainer.synthetic.recipe import Recipe, read_recipe
from trainer.synthetic.renderer import open_context
from trainer.synthetic.shards import Still, claim, count_pictures, shard_path, write_shard
from trainer.synthetic.stills import synthesize_stills

ROOT = Path(__file__).parents[2]
RECIPE = """
name = "small"
classes = [0.34, 0.38, 0.28]
size_px = 64
render_px = 64
"""


@pytest.fixture(scope="module")
def drawable() -> None:
    """Skips where nothing can be rendered."""
    pytest.importorskip("anny")
    try:
        open_context().release()
    except ClassroomError as error:
        pytest.skip(str(error))


@pytest.fixture
def data(tmp_path: Path) -> DataSettings:
    """Two small folders to render."""
    recipe = tmp_path / "small.toml"
    recipe.write_text(RECIPE, encoding="utf-8")
    one = RenderSettings(str(recipe), 5, 0, str(tmp_path / "train"))
    other = RenderSettings(str(recipe), 2, 100, str(tmp_path / "heldout"))
    return DataSettings(folders=(one.out,), held_out=other.out, render=(one, other), render_processes=2)


@pytest.mark.usefixtures("drawable")
def test_missing_shards_are_rendered_and_finished_ones_kept(data: DataSettings, tmp_path: Path) -> None:
    assert render_missing(data, shard_size=3, quiet=True) == 7
    train, heldout = tmp_path / "train", tmp_path / "heldout"
    assert [count_pictures(folder) for folder in (train, heldout)] == [5, 2]
    synthesize_stills(5, 0, tmp_path / "again", read_recipe(tmp_path / "small.toml"), shard_size=3, quiet=True)
    for name in ("shard_00000", "shard_00001"):
        for suffix in (".npz", ".jsonl"):
            assert (train / name).with_suffix(suffix).read_bytes() == (tmp_path / "again" / name).with_suffix(
                suffix
            ).read_bytes(), "one process or two draw the same"
    recipe = read_recipe(tmp_path / "small.toml")
    assert missing_shards(train, recipe, 5, 0, 3) == []
    shard_path(train, 1).unlink()
    assert [job.path.name for job in missing_shards(train, recipe, 5, 0, 3)] == ["shard_00001.npz"]
    assert [list(job.seeds) for job in missing_shards(train, recipe, 7, 0, 3)] == [[3, 4, 5], [6]]


@pytest.mark.usefixtures("drawable")
def test_a_run_from_nothing_renders_and_learns(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(RECIPE, encoding="utf-8")
    text = (ROOT / "trainer" / "configs" / "tiny.toml").read_text(encoding="utf-8")
    train, recipe = (tmp_path / "train").as_posix(), (tmp_path / "small.toml").as_posix()
    text = (
        text.replace("runs/renders/tiny", train).replace("steps = 30", "steps = 1").replace("steps = 260", "steps = 2")
    )
    text += f'\n[[data.render]]\nrecipe = "{recipe}"\ncount = 16\nseed = 7\nout = "{train}"\n'
    (tmp_path / "config.toml").write_text(text.replace("batch_size = 32", "batch_size = 8"), encoding="utf-8")
    folder = train_sft(tmp_path / "config.toml", out=tmp_path / "run")
    card = (folder / "classroom.json").read_text(encoding="utf-8")
    assert str(tmp_path) not in card.replace(recipe, "")
    assert '"count": 16' in card and '"seed": 7' in card
    assert (folder / "model.safetensors").is_file()


def test_nothing_is_needed_where_nothing_is_missing(data: DataSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    for one in data.render:
        claim(Path(one.out), one.seed, 120, read_recipe(one.recipe))
        write_drawn_shard(Path(one.out), 0)
    monkeypatch.setattr(renders, "find_spec", _without("anny"))
    assert render_missing(data, shard_size=120, quiet=True) == 0


def test_without_the_extra_it_says_what_to_install(data: DataSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renders, "find_spec", _without("anny"))
    with pytest.raises(ClassroomError, match=r"2 shards are missing.*anny not found.*classroom-monitor\[synthetic\]"):
        render_missing(data, quiet=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 99}, "people held out would be learned from"),
        ({"seed": -1}, "seeds lie in 0"),
        ({"count": 0}, "count must be at least 1"),
        ({"count": 2**31}, "seeds lie in 0"),
        ({"recipe": "nightmare"}, "no recipe nightmare"),
        ({"recipe": ""}, "give recipe, count, seed and out"),
        ({"out": "elsewhere"}, "rendered but never read"),
    ],
)
def test_contradictions_are_refused_before_anything_is_drawn(
    data: DataSettings, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    first = replace(data.render[0], **{"seed": 98, **change})
    with pytest.raises(BadInputError, match=message):
        render_missing(replace(data, render=(first, data.render[1])), quiet=True)
    assert not (tmp_path / "train").exists()


def test_a_folder_of_unknown_or_other_pictures_is_refused(data: DataSettings, tmp_path: Path) -> None:
    write_drawn_shard(tmp_path / "train", 0)
    with pytest.raises(BadInputError, match=r"no manifest\.json"):
        render_missing(data, quiet=True)
    claim(tmp_path / "train", 5, 500, Recipe(name="other"))
    with pytest.raises(BadInputError, match="another seed or recipe"):
        render_missing(data, quiet=True)


def test_a_disk_too_small_is_told_first(data: DataSettings, tmp_path: Path) -> None:
    pytest.importorskip("anny")
    huge = replace(data.render[0], seed=1000, count=2**30)
    with pytest.raises(ClassroomError, match=r"shards need .* GB, the disk has"):
        render_missing(replace(data, render=(huge, data.render[1])), quiet=True, shard_size=2**28)
    assert not list((tmp_path / "train").glob("shard_*"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="EGL is Linux's way to draw without a window")
@pytest.mark.usefixtures("drawable")
def test_a_child_that_cannot_draw_tells_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("__EGL_VENDOR_LIBRARY_FILENAMES", "/dev/null")
    monkeypatch.setenv("__EGL_VENDOR_LIBRARY_DIRS", "/dev/null")
    claim(tmp_path, 0, 3, Recipe(name="small"))
    jobs = missing_shards(tmp_path, Recipe(name="small"), 3, 0, 3)
    with pytest.raises(ClassroomError, match=r"no OpenGL context.*apt-get install libegl1"):
        render_shards(jobs, 1, lambda pictures: None)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="EGL is Linux's way to draw without a window")
@pytest.mark.usefixtures("drawable")
def test_the_command_tells_it_without_a_traceback(tmp_path: Path) -> None:
    hidden = {**os.environ, "__EGL_VENDOR_LIBRARY_FILENAMES": "/dev/null", "__EGL_VENDOR_LIBRARY_DIRS": "/dev/null"}
    command = [
        sys.executable,
        "-m",
        "classroom",
        "synthesize",
        "stills",
        "--count",
        "3",
        "--out",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=hidden, cwd=ROOT, check=False)
    assert done.returncode == 1
    assert "error: no OpenGL context without a window" in done.stderr and "apt-get install libegl1" in done.stderr
    assert "Traceback" not in done.stderr
    done = subprocess.run([*command, "--seed", "-3"], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2 and "error: count must be at least 1 and seeds lie in" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on a file's size there")
def test_a_full_disk_leaves_no_half_shard(tmp_path: Path) -> None:
    still = Still(np.zeros((64, 64, 3), np.uint8), {"seed": 0})
    write_shard(shard_path(tmp_path, 0), [still], 0)
    code = f"""
import resource, numpy as np
from pathlib import Path
from trainer.synthetic.shards import Still, shard_path, write_shard
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
write_shard(shard_path(Path({str(tmp_path)!r}), 1), [Still(np.zeros((64, 64, 3), np.uint8), {{"seed": 1}})] * 9, 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert "monitor.errors.ClassroomError" in done.stderr
    assert "shard_00001.npz could not be written" in done.stderr and "run again" in done.stderr
    assert sorted(path.name for path in tmp_path.glob("*.npz")) == ["shard_00000.npz"]
    assert not list(tmp_path.glob("*.part")) and not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[data.render]]\nrecipes = 'x'", r"\[\[data.render\]\]: unknown key 'recipes'"),
        ("[[data.render]]\ncount = 'many'", "'count' must be int"),
        ("[data]\nrender = 3", "'render' must be tuple"),
    ],
)
def test_bad_render_tables_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.toml").write_text(f"name = 'x'\n{text}\n", encoding="utf-8")
    with pytest.raises(BadInputError, match=message):
        read_settings(tmp_path / "bad.toml")


def test_the_shipped_model_names_all_that_it_is_rendered_from() -> None:
    data = read_settings(ROOT / "trainer" / "configs" / "embedded.toml").data
    assert {one.out for one in data.render} == {*data.folders, data.held_out}
    for one in data.render:
        read_recipe(one.recipe)


def _without(missing: str) -> Callable[[str], object]:
    return lambda name: None if name == missing else importlib.util.find_spec(name)
