"""Rendered pictures: the same for the same seed, resumable, balanced, and honest about a missing graphics library."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from monitor.errors import BadInputError, ClassroomError
from trainer.synthetic.people import AGE_GROUPS, GENDERS, SKIN_TONES, cell_of, group_of
from trainer.synthetic.recipe import Recipe
from trainer.synthetic.renderer import Renderer
from trainer.synthetic.stills import read_shard, render_stills, synthesize_stills

RECIPE = Recipe(name="test", render_px=80, size_px=64)


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    pytest.importorskip("anny")
    try:
        opened = Renderer()
    except ClassroomError as error:
        pytest.skip(str(error))
    yield opened
    opened.close()


def test_groups_are_balanced_by_design() -> None:
    cells = [group_of(cell) for cell in range(7, 7 + 48)]
    assert len(set(cells)) == len(AGE_GROUPS) * len(GENDERS) * len(SKIN_TONES) == 48
    assert group_of(cell_of("teen", "female", 5)) == ("teen", "female", 5)


def test_the_seed_decides_every_byte(renderer: Renderer) -> None:
    first, again, other = (list(render_stills(renderer, seeds, RECIPE)) for seeds in ([5, 6], [5, 6], [7, 8]))
    for one, two in zip(first, again, strict=True):
        assert one.image_rgb.tobytes() == two.image_rgb.tobytes()
        assert one.record == two.record
    assert first[0].image_rgb.tobytes() != other[0].image_rgb.tobytes()


def test_a_record_says_what_the_contract_asks(renderer: Renderer) -> None:
    for still in render_stills(renderer, range(40, 52), RECIPE):
        record = still.record
        assert still.image_rgb.shape == (64, 64, 3) and still.image_rgb.dtype == np.uint8
        assert still.image_rgb.std() > 3  # something is there
        assert {"index", "seed", "person_id", "label", "ambiguous", "face_box", "groups", "setting"} <= set(record)
        assert {"age_group", "gender", "skin_tone", "glasses", "headscarf", "beard", "occlusion"} == set(
            record["groups"]
        )
        x1, y1, x2, y2 = record["face_box"]
        side = max(x2 - x1, y2 - y1)
        assert 64 / side == pytest.approx(record["setting"]["frame_scale"], rel=0.02)
        if record["setting"]["target"] == "camera":
            assert record["gaze_yaw"] == record["gaze_pitch"] == 0
        if record["setting"]["target"] == "far_aside":
            assert abs(record["gaze_yaw"]) > 30


def test_an_interrupted_run_goes_on(renderer: Renderer, tmp_path: Path) -> None:
    shards = synthesize_stills(7, 100, tmp_path, RECIPE, shard_size=3, quiet=True)
    assert [path.name for path in shards] == ["shard_00000.npz", "shard_00001.npz", "shard_00002.npz"]
    images, records = read_shard(shards[1])
    assert images.shape == (3, 64, 64, 3)
    assert [record["index"] for record in records] == [3, 4, 5]
    assert [record["seed"] for record in records] == [103, 104, 105]
    kept = shards[0].stat().st_mtime_ns
    before = [shards[1].read_bytes(), shards[1].with_suffix(".jsonl").read_bytes()]
    shards[1].unlink()
    synthesize_stills(7, 100, tmp_path, RECIPE, start_shard=1, shard_size=3, quiet=True)
    assert [shards[1].read_bytes(), shards[1].with_suffix(".jsonl").read_bytes()] == before
    assert shards[0].stat().st_mtime_ns == kept
    assert not list(tmp_path.glob("*.part"))
    synthesize_stills(8, 100, tmp_path, RECIPE, shard_size=3, quiet=True)
    assert len(read_shard(shards[2])[1]) == 2  # the last shard grew
    with pytest.raises(BadInputError, match="another seed or recipe"):
        synthesize_stills(7, 200, tmp_path, RECIPE, shard_size=3, quiet=True)


@pytest.mark.parametrize(("count", "seed"), [(0, 0), (5, -1), (5, 2**31)])
def test_bad_seed_ranges_are_refused(tmp_path: Path, count: int, seed: int) -> None:
    with pytest.raises(BadInputError, match="seeds lie in"):
        synthesize_stills(count, seed, tmp_path, RECIPE)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="EGL is Linux's way to draw without a window")
def test_without_egl_it_says_what_to_install() -> None:
    pytest.importorskip("moderngl")
    code = "from trainer.synthetic.renderer import open_context; open_context(); print('opened')"
    hidden = {**os.environ, "__EGL_VENDOR_LIBRARY_FILENAMES": os.devnull}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=hidden, check=False)
    if "opened" in done.stdout:
        pytest.skip("this EGL does not go through vendor files, so it cannot be hidden")
    assert "no OpenGL context without a window" in done.stderr
    assert "apt-get install libegl1" in done.stderr
