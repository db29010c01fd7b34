"""`classroom evaluate`: a model measured on labelled pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commands.extras import require
from commands.options import CorpusArgument, KindOption, ResearchOption, RubricOption
from commands.progress import count_bars


def evaluate(
    model: Annotated[str, typer.Argument(help="A bundle, a checkpoint, or an id of the hub that is on this machine.")],
    data: CorpusArgument,
    out: Annotated[Path, typer.Option(help="Folder for report.html, evaluation.json and predictions.csv.")],
    rubric: RubricOption = "attention",
    kind: KindOption = "auto",
    part: Annotated[str, typer.Option(help="Only this part of the corpus's own split.", show_default=False)] = "",
    adapter: Annotated[Path | None, typer.Option(help="Adapter for the checkpoint.", show_default=False)] = None,
    quantize: Annotated[str | None, typer.Option(help="nf4 or int8, for a checkpoint.", show_default=False)] = None,
    against: Annotated[
        Path | None, typer.Option(help="Another model, or the folder of its evaluation.", show_default=False)
    ] = None,
    against_adapter: Annotated[Path | None, typer.Option(help="Adapter for that one.", show_default=False)] = None,
    validation: Annotated[
        Path | None, typer.Option(help="Corpus of other people, for adversarial probes.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(help="At most so many pictures, whole people at a time; 0 = all.")] = 0,
    draws: Annotated[int, typer.Option(min=20, help="Bootstrap draws.")] = 1000,
    quick: Annotated[bool, typer.Option("--quick", help="The rubric's question alone.")] = False,
    judge: Annotated[
        str | None,
        typer.Option(help="OpenAI-compatible server to mark free answers; texts are sent there.", show_default=False),
    ] = None,
    judge_model: Annotated[str, typer.Option(help="Name of the judging model.", show_default=False)] = "",
    embedder: Annotated[Path | None, typer.Option(help="Folder of a text encoder.", show_default=False)] = None,
    research: ResearchOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Measure a model on labelled pictures: one HTML report, one JSON (extra train)."""
    require("torch", extra="train")
    from monitor.rubric import load_rubric
    from trainer.evaluation.command import Wishes, evaluate_from_command

    wishes = Wishes(
        part=part, kind=kind, adapter=adapter, quantize=quantize, against=against, against_adapter=against_adapter,
        validation=validation, limit=limit, draws=draws, quick=quick, judge=judge, judge_model=judge_model,
        embedder=embedder,
    )  # fmt: skip
    with count_bars(quiet) as report:
        summary = evaluate_from_command(model, data, out, load_rubric(rubric, research=research), wishes, report)
    typer.echo(summary)
