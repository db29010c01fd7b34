"""Renders shards in several processes: each draws a whole shard, tells how far it is, and asks for the next one.

The renderer is not for several threads, and its software rasteriser gains little from them: whole processes do. This
file knows neither settings nor progress bars.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.errors import ClassroomError
from trainer.synthetic.recipe import Recipe
from trainer.synthetic.shards import is_finished, shard_path, write_shard

if TYPE_CHECKING:
    from trainer.synthetic.renderer import Renderer

_TELL_EVERY = 10
"""Pictures between two messages to the parent."""


@dataclass(frozen=True, slots=True)
class Job:
    """One shard to render."""

    path: Path
    """Of its .npz."""
    recipe: Recipe
    seeds: range
    first_seed: int
    """Of the folder."""


def missing_shards(folder: Path, recipe: Recipe, count: int, seed: int, shard_size: int) -> list[Job]:
    """The shards that a folder lacks of `count` pictures from `seed` on."""
    jobs = []
    for number in range(-(-count // shard_size)):
        seeds = range(seed + number * shard_size, seed + min(count, (number + 1) * shard_size))
        path = shard_path(folder, number)
        if not is_finished(path, len(seeds)):
            jobs.append(Job(path, recipe, seeds, seed))
    return jobs


def render_shards(jobs: Sequence[Job], processes: int, advance: Callable[[int], None]) -> None:
    """Render all jobs; the pictures are the same for any number of processes.

    Args:
        jobs: what to render, in this order.
        processes: how many at once, at least 1.
        advance: told how many more pictures are drawn.

    Raises:
        ClassroomError: no OpenGL, a full disk, or a process that died; finished shards are kept.
    """
    waiting = list(reversed(jobs))
    # A child that starts from nothing: a forked one would inherit torch's and OpenGL's threads in an unknown state.
    context = multiprocessing.get_context("spawn")
    workers: dict[Connection, BaseProcess] = {}
    try:
        for _ in range(min(processes, len(jobs))):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs,), daemon=True)
            process.start()
            theirs.close()  # else its end would not be seen
            workers[ours] = process
        while workers:
            ready = wait(list(workers))
            for pipe in [one for one in workers if one in ready]:
                if not _serve(pipe, workers[pipe], waiting, advance):
                    workers.pop(pipe).join()
                    pipe.close()
    finally:
        for left, worker in workers.items():  # after an error or Ctrl-C only
            worker.terminate()
            worker.join()
            left.close()


def _serve(pipe: Connection, process: BaseProcess, waiting: list[Job], advance: Callable[[int], None]) -> bool:
    """Take one message of a worker; False once it has nothing more to do."""
    try:
        message = pipe.recv()
    except (EOFError, OSError):
        process.join()
        why = "its error stands above" if (process.exitcode or 0) > 0 else "killed, for want of memory perhaps"
        raise ClassroomError(
            f"a rendering process ended with code {process.exitcode} ({why}); finished shards are kept: run again, "
            "with a smaller render_processes if memory is short."
        ) from None
    if isinstance(message, Exception):
        raise message
    if isinstance(message, int):
        advance(message)
        return True
    job = waiting.pop() if waiting else None
    pipe.send(job)
    return job is not None


def _work(pipe: Connection) -> None:
    """The child: asks for jobs until there are none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends its children
    # Several rasterisers with a thread a core each would only stand in each other's way.
    os.environ.update(LP_NUM_THREADS="1", OMP_NUM_THREADS="1")
    try:
        from trainer.synthetic.renderer import Renderer

        renderer = Renderer()
        while True:
            pipe.send(None)
            job = pipe.recv()
            if job is None:
                return
            _render(pipe, renderer, job)
    except ClassroomError as error:
        pipe.send(error)
    except (EOFError, BrokenPipeError):
        return  # the parent is gone


def _render(pipe: Connection, renderer: Renderer, job: Job) -> None:
    import torch

    from trainer.synthetic.stills import render_stills

    torch.set_num_threads(1)
    stills = []
    for still in render_stills(renderer, job.seeds, job.recipe):
        stills.append(still)
        if len(stills) % _TELL_EVERY == 0:
            pipe.send(_TELL_EVERY)
    write_shard(job.path, stills, job.first_seed)
    pipe.send(len(stills) % _TELL_EVERY)
