"""`classroom label`: the students in single pictures, one JSON line each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from commands.options import BundleOption, ResearchOption, RubricOption


def label(
    images: Annotated[list[Path], typer.Argument(help="Pictures: jpg, png, webp, tiff…")],
    whole: Annotated[bool, typer.Option("--whole", help="The whole picture is one student.")] = False,
    rubric: RubricOption = "attention",
    research: ResearchOption = False,
    bundle: BundleOption = None,
) -> None:
    """Label pictures: one JSON line per student found."""
    from monitor.config import MonitorSettings
    from monitor.still import label_pictures

    settings = MonitorSettings(rubric=rubric, research=research, bundle=bundle)
    failed = False
    for answer in label_pictures(images, settings, whole=whole):
        if isinstance(answer, str):
            failed = True
            typer.echo(f"error: {answer}", err=True)
        else:
            typer.echo(json.dumps(answer, ensure_ascii=False))
    if failed:
        raise typer.Exit(2)
