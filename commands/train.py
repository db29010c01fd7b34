"""`classroom train`: supervised, preference and in rounds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commands.extras import require

app = typer.Typer(help="Train the model (needs the extra [b]train[/b]).", no_args_is_help=True)


@app.command("sft")
def train_sft_command(
    config: Annotated[Path, typer.Option(help="TOML file; its first comment is its command.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the run.", show_default=False)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
) -> None:
    """Supervised training: the embedded model from nothing, or with a \\[base] table any model, from where it is."""
    require("torch", extra="train")
    from trainer.settings import read_table

    if "base" in read_table(config):
        from trainer.finetune import train_finetune

        train_finetune(config, out=out, resume=resume)
        return
    from trainer.sft import train_sft

    train_sft(config, out=out, resume=resume)


@app.command("preference")
def train_preference_command(
    config: Annotated[Path, typer.Option(help="TOML file; its first comment is its command.")],
    method: Annotated[
        str | None,
        typer.Option(help="hadpo, dpo, robust, ipo, kto, orpo or grpo; default: the file's.", show_default=False),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run.", show_default=False)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a killed run stopped.")] = False,
) -> None:
    """Preference training on what a policy gets wrong, once and by any method; accepting is what rounds do."""
    require("trl", extra="train")
    from trainer.preference_run import train_preference_run

    train_preference_run(config, method=method, out=out, resume=resume, tell=typer.echo)


@app.command("rounds")
def train_rounds_command(
    config: Annotated[Path, typer.Option(help="TOML file; its first comment is its command.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the run.", show_default=False)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a killed run stopped.")] = False,
) -> None:
    """Preference rounds: ask, pair what is wrong, train, and accept only what no class loses by."""
    require("trl", extra="train")
    from trainer.round_run import train_rounds

    train_rounds(config, out=out, resume=resume, tell=typer.echo)
