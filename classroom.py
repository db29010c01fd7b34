"""The front door: the parser, the list of commands, and the exit codes.

What a command does stands in `commands/`, one command or one group a file, and each imports its room when it is called,
so that `classroom --help` costs nothing and `classroom live` never imports torch. Exit codes: 0 done, 1 failed,
2 bad input, 3 bad model bundle, 4 store trouble, 5 something is taken, 6 refused by the gate, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from commands import corpus, models, synthesize, train
from commands.dashboard import dashboard_command
from commands.doctor import doctor
from commands.erase import erase_command
from commands.evaluate import evaluate
from commands.export import export_adapter_command, export_command
from commands.label import label
from commands.live import live
from commands.retrain import retrain_command
from commands.score import score

__version__ = "0.1.0"

app = typer.Typer(
    name="classroom",
    help="Where does each student look: [b]screen[/b], [b]paper[/b] or [b]wander[/b]? "
    "Judged on this machine by a small vision-language model.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# A new command or group is a file in commands/, and one line here; this order is the order of `--help`.
COMMANDS: dict[str, Callable[..., None]] = {
    "live": live,
    "score": score,
    "label": label,
    "dashboard": dashboard_command,
    "doctor": doctor,
    "evaluate": evaluate,
    "export": export_command,
    "export-adapter": export_adapter_command,
    "retrain": retrain_command,
    "erase": erase_command,
}
GROUPS: dict[str, typer.Typer] = {
    "train": train.app,
    "synthesize": synthesize.app,
    "corpus": corpus.app,
    "models": models.app,
}

for name, command in COMMANDS.items():
    app.command(name)(command)
for name, group in GROUPS.items():
    app.add_typer(group, name=name)


@app.callback(invoke_without_command=True)
def front_door(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """Where does each student look?"""
    if version:
        typer.echo(f"classroom-monitor {__version__}")
        raise typer.Exit


def main() -> None:
    """Run a command; print a person's errors without a traceback and exit with their code."""
    from monitor.errors import ClassroomError

    try:
        app()
    except ClassroomError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("\nInterrupted; what was recorded is kept.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has left (`| head`): not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


if __name__ == "__main__":
    main()
