"""`classroom score`: recorded lectures into tables and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commands.options import (
    AdapterOption,
    BundleOption,
    DownloadOption,
    LayoutOption,
    ModelOption,
    ModelsOption,
    QuantizeOption,
    RateOption,
    ResearchOption,
    RubricOption,
)
from commands.progress import media_bars


def score(
    recordings: Annotated[list[Path], typer.Argument(help="Recordings: mp4, mov, mkv or webm; folders of stills.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    rate: RateOption = 1.0,
    rubric: RubricOption = "attention",
    layout: LayoutOption = "auto",
    research: ResearchOption = False,
    bundle: BundleOption = None,
    models: ModelsOption = None,
    model: ModelOption = None,
    adapter: AdapterOption = None,
    quantize: QuantizeOption = None,
    download: DownloadOption = False,
    restart: Annotated[bool, typer.Option("--restart", help="Forget an earlier run in the same folder.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Score recorded lectures: labels.parquet, students.csv, episodes.csv, lecture.json, report.html.

    Interrupted, the same command goes on where it stopped. The same input gives the same bytes.
    """
    from monitor.config import MonitorSettings
    from monitor.score import score_recordings

    settings = MonitorSettings(
        rate,
        rubric,
        layout,
        research,
        bundle,
        models=models,
        model=model,
        adapter=adapter,
        quantize=quantize,
        download=download,
    )
    with media_bars(quiet) as report:
        result = score_recordings(recordings, out, settings, report=report, restart=restart)
    for line in result.warnings:
        typer.echo(f"warning: {line}", err=True)
    for line in result.errors:
        typer.echo(f"error: {line}", err=True)
    if result.written:
        typer.echo(f"Results in {out}: {', '.join(result.written)}")
    if result.errors:
        raise typer.Exit(2)
