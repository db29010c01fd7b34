"""`classroom retrain`: what people corrected becomes a model."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from commands.extras import require
from commands.models import REFUSED, ByOption, HeldoutOption, ReasonOption
from commands.options import ModelsOption, ResearchOption, RubricOption, StoreOption


def retrain_command(
    store: StoreOption = None,
    models: ModelsOption = None,
    rubric: RubricOption = "attention",
    promote: Annotated[bool, typer.Option("--promote", help="Make it the champion if the gate lets it pass.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Even if the gate refuses; needs --reason.")] = False,
    reason: ReasonOption = "",
    by: ByOption = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan, and do nothing.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Leave an unfinished retraining, begin anew.")] = False,
    fewest: Annotated[int, typer.Option(min=1, help="How many new corrections it takes.")] = 8,
    base: Annotated[
        Path | None, typer.Option(help="Checkpoint to train; default: the shipped weights.", show_default=False)
    ] = None,
    heldout: HeldoutOption = None,
    replay: Annotated[
        Path | None,
        typer.Option(help="Corpus that keeps the model as it is, in place of the shipped one.", show_default=False),
    ] = None,
    replay_right: Annotated[
        bool, typer.Option("--replay-right", help="Replay only what the model gets right: corrections alone teach.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, help="Processor cores.")] = 1,
    research: ResearchOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as one JSON object, last.")] = False,
) -> None:
    """Train on what people corrected since the last time, export, prove, judge; with --promote, put it into use.

    Only answers of students who may teach count. The plan is printed first; interrupted, the same command goes on.
    Exit code 6: the gate refused.
    """
    from commands.retraining import Retraining
    from commands.retraining_plan import Wish, plan_words, require_reason

    wish = Wish(
        *(store, models, rubric, research, base, heldout, replay, fewest, promote, force, reason, by, restart, threads),
        teach={"only_right": replay_right},
    )
    require_reason(wish)
    turn = Retraining(wish)
    plan = turn.plan()
    for line in plan_words(plan):
        typer.echo(line)
    if dry_run:
        return
    require("trl", extra="train")
    result = turn.run(plan, tell=typer.echo)
    if as_json:
        typer.echo(json.dumps({**asdict(result), "folder": str(result.folder)}, ensure_ascii=False))
    elif result.promoted:
        typer.echo(f"{result.model_id} is the champion. A lecture that runs takes it up by itself.")
    else:
        verdict = "passes the gate" if result.passed else f"is refused by the gate: {'; '.join(result.reasons)}"
        typer.echo(f"{result.model_id} {verdict}. Next: `classroom models promote {result.model_id}`.")
    if promote and not result.promoted:
        raise typer.Exit(REFUSED)
