"""Renders what a run wants to learn from and does not find: the first step of a run from nothing.

This file knows settings and folders; how a picture is drawn is the renderer's.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from monitor.errors import BadInputError, ClassroomError
from trainer.settings import DataSettings, RenderSettings
from trainer.synthetic.processes import Job, missing_shards, render_shards
from trainer.synthetic.recipe import Recipe, read_recipe
from trainer.synthetic.shards import MANIFEST, SHARD, claim, require_seeds

_ROOM = 1.1
"""Disk that shards take, over the bytes of their pixels."""


def render_missing(data: DataSettings, *, shard_size: int = SHARD, quiet: bool = False) -> int:
    """Render the shards that the settings name and that are not there; finished ones are kept.

    Args:
        data: the [data] table; its `render` says what.
        shard_size: pictures in one file.
        quiet: no progress bar.

    Returns:
        how many pictures were rendered.

    Raises:
        BadInputError: renders that contradict each other or the folders that are read, or a folder of other pictures.
        ClassroomError: the extra `synthetic` or OpenGL is missing, or the disk is too small.
    """
    recipes = _checked(data)
    jobs: list[Job] = []
    for one, recipe in zip(data.render, recipes, strict=True):
        jobs += _missing(one, recipe, shard_size)
    if not jobs:
        return 0
    _require_renderer(jobs)
    _require_room(jobs)
    for one, recipe in zip(data.render, recipes, strict=True):
        claim(Path(one.out), one.seed, shard_size, recipe)
    total = sum(len(job.seeds) for job in jobs)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, disable=quiet) as progress:
        task = progress.add_task("pictures rendered", total=total)
        processes = data.render_processes or os.cpu_count() or 1
        render_shards(jobs, processes, lambda pictures: progress.advance(task, pictures))
    return total


def _checked(data: DataSettings) -> list[Recipe]:
    """The recipes, once all that can be said without rendering is in order."""
    if data.render_processes < 0:
        raise BadInputError(f"[data]: render_processes must be 0 or more, found {data.render_processes}")
    read = {Path(place) for place in (*data.folders, data.held_out) if place}
    recipes = []
    for one in data.render:
        where = f"[[data.render]] {one.out!r}"
        if not one.recipe or not one.out:
            raise BadInputError(f"{where}: give recipe, count, seed and out.")
        try:
            require_seeds(one.count, one.seed)
        except BadInputError as error:
            raise BadInputError(f"{where}: {error}") from error
        if Path(one.out) not in read:
            raise BadInputError(f"{where}: rendered but never read; name it in `folders` or as `held_out` of [data].")
        recipes.append(read_recipe(one.recipe))
    _require_other_people(data.render, data.held_out)
    return recipes


def _require_other_people(renders: Sequence[RenderSettings], held_out: str) -> None:
    """Seeds are people: the same seed twice is a person trained on and held out, or a picture learned double."""
    for one, other in combinations(renders, 2):
        if Path(one.out) == Path(other.out):
            raise BadInputError(f"[[data.render]] {one.out!r}: named twice; give each its own folder.")
        first, second = sorted((one, other), key=lambda render: render.seed)
        if first.seed + first.count > second.seed:
            why = "people held out would be learned from" if held_out in (one.out, other.out) else "people come twice"
            raise BadInputError(
                f"[[data.render]] {first.out!r} uses seeds up to {first.seed + first.count - 1}, {second.out!r} starts "
                f"at {second.seed}: {why}. Start the second one higher."
            )


def _missing(one: RenderSettings, recipe: Recipe, shard_size: int) -> list[Job]:
    """What a folder lacks; a folder of which nobody knows what it is made of is refused."""
    folder = Path(one.out)
    if (folder / MANIFEST).is_file():
        claim(folder, one.seed, shard_size, recipe)
    elif any(folder.glob("shard_*.npz")):
        raise BadInputError(
            f"{folder}: holds shards but no {MANIFEST}, so nobody knows their recipe. Take its [[data.render]] out of "
            "the configuration to learn from it as it is, or give another folder."
        )
    return missing_shards(folder, recipe, one.count, one.seed, shard_size)


def _require_renderer(jobs: Sequence[Job]) -> None:
    absent = [name for name in ("anny", "moderngl") if find_spec(name) is None]
    if absent:
        folders = ", ".join(sorted({str(job.path.parent) for job in jobs}))
        raise ClassroomError(
            f"{folders}: {len(jobs)} shards are missing, and rendering them needs the extra 'synthetic' "
            f"({' and '.join(absent)} not found): pip install 'classroom-monitor[synthetic]'"
        )


def _require_room(jobs: Sequence[Job]) -> None:
    """Better to hear it now than after hours."""
    for folder in {job.path.parent for job in jobs}:
        folder.mkdir(parents=True, exist_ok=True)
        pixels = sum(len(job.seeds) * job.recipe.size_px**2 * 3 for job in jobs if job.path.parent == folder)
        needed, free = pixels * _ROOM, shutil.disk_usage(folder).free
        if needed > free:
            raise ClassroomError(
                f"{folder}: the missing shards need {needed / 1e9:.1f} GB, the disk has {free / 1e9:.1f} GB free. "
                "Make room, ask for fewer pictures, or give another folder."
            )
