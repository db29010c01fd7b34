"""Progress bars of long commands, on stderr; rich is loaded when one is shown."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.score import ProgressReport


@contextmanager
def media_bars(quiet: bool) -> Iterator[ProgressReport]:
    """A bar a recording, in seconds of media, with an estimate of the time left; silent where nobody looks."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} s"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    bars: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True), disable=quiet or not sys.stderr.isatty()) as progress:

        def report(name: str, done_s: float, duration_s: float | None) -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=duration_s or done_s)
            progress.update(bars[name], completed=done_s, total=max(duration_s or 0.0, done_s))

        yield report


@contextmanager
def count_bars(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each thing that is counted; silent where nobody looks."""
    from rich.console import Console
    from rich.progress import Progress, TaskID

    bars: dict[str, TaskID] = {}
    with Progress(console=Console(stderr=True), disable=quiet or not sys.stderr.isatty()) as progress:

        def report(name: str, done: int, total: int) -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=total)
            progress.update(bars[name], completed=done)

        yield report
