"""`classroom corpus`: look into labelled pictures, and have more labelled."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from commands.options import CorpusArgument, KindOption, ResearchOption, RubricOption, StoreOption

app = typer.Typer(help="Look into labelled pictures, and label more (extra [b]train[/b]).", no_args_is_help=True)


@app.command("inspect")
def corpus_inspect_command(
    path: CorpusArgument,
    rubric: RubricOption = "attention",
    kind: KindOption = "auto",
    research: ResearchOption = False,
    copies: Annotated[bool, typer.Option("--copies", help="Read all; find one picture under two students.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Count pictures by class, student and split; say what was refused and why."""
    from monitor.rubric import load_rubric
    from trainer.corpora.inspection import inspect_corpus, print_inspection
    from trainer.corpora.open import open_corpus

    found = inspect_corpus(open_corpus(path, load_rubric(rubric, research=research), kind), copies=copies)
    if as_json:
        typer.echo(json.dumps(found.as_dict(), ensure_ascii=False))
    else:
        print_inspection(found)


@app.command("annotate")
def corpus_annotate_command(
    path: CorpusArgument,
    rubric: RubricOption = "attention",
    kind: KindOption = "auto",
    research: ResearchOption = False,
    store: StoreOption = None,
    most: Annotated[int, typer.Option(min=1, help="How many stills.")] = 1000,
    seed: Annotated[int, typer.Option(help="Decides which.")] = 0,
    annotators: Annotated[int, typer.Option(min=1, help="How many people are to label each.")] = 1,
    whole: Annotated[bool, typer.Option("--whole", help="Do not cut heads out of whole frames.")] = False,
    relabel: Annotated[bool, typer.Option("--relabel", help="Also stills that have a label.")] = False,
) -> None:
    """Put stills into the review queue, to be labelled on the review page; again for the next ones."""
    from monitor.rubric import load_rubric
    from monitor.store.database import Store
    from trainer.corpora import record
    from trainer.corpora.open import open_corpus
    from trainer.corpora.review import queue_stills

    words = load_rubric(rubric, research=research)
    corpus = open_corpus(path, words, kind)
    cut = record.whole if whole else None
    with Store.open(store) as opened:
        done = queue_stills(
            corpus, opened, words, most=most, seed=seed, annotators=annotators, relabel=relabel, cut=cut
        )
        where = opened.path
    for refusal in done.skipped:
        typer.echo(f"skipped: {refusal.what}: {refusal.why}", err=True)
    typer.echo(f"{done.queued} stills of {done.people} people wait in {where}; {done.left} more are left.")
