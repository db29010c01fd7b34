"""`classroom label`: the students in single pictures, one line each."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from commands.options import (
    AdapterOption,
    BundleOption,
    DownloadOption,
    ModelOption,
    ModelsOption,
    QuantizeOption,
    ResearchOption,
    RubricOption,
)


def label(
    images: Annotated[list[Path], typer.Argument(help="Pictures: jpg, png, webp, tiff…")],
    whole: Annotated[
        bool, typer.Option("--whole", help="The picture is of one student: their head, or all of it.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Add a sentence that explains the label; needs --model.")
    ] = False,
    as_json: Annotated[
        bool | None,
        typer.Option("--json/--text", help="One JSON line per student, or one to read. Default: text on a terminal."),
    ] = None,
    rubric: RubricOption = "attention",
    research: ResearchOption = False,
    bundle: BundleOption = None,
    models: ModelsOption = None,
    model: ModelOption = None,
    adapter: AdapterOption = None,
    quantize: QuantizeOption = None,
    download: DownloadOption = False,
) -> None:
    """Label pictures: one line per student found, with probabilities and the model's id."""
    from monitor.config import MonitorSettings
    from monitor.still import label_pictures

    settings = MonitorSettings(
        rubric=rubric,
        research=research,
        bundle=bundle,
        models=models,
        model=model,
        adapter=adapter,
        quantize=quantize,
        download=download,
    )
    plain = sys.stdout.isatty() if as_json is None else not as_json
    failed = False
    for answer in label_pictures(images, settings, whole=whole, explain=explain):
        if isinstance(answer, str):
            failed = True
            typer.echo(f"error: {answer}", err=True)
        else:
            typer.echo(_line(answer) if plain else json.dumps(answer, ensure_ascii=False))
    if failed:
        raise typer.Exit(2)


def _line(answer: dict[str, Any]) -> str:
    """For a person: which picture and student, the label, all probabilities, the model."""
    shares = ", ".join(f"{name} {share:.2f}" for name, share in answer["probabilities"].items())
    line = f"{answer['image']} {answer['student']}: {answer['label']} ({shares}; {answer['model_id']})"
    return f"{line}\n  {answer['explanation']}" if "explanation" in answer else line
