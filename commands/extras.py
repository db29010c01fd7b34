"""Whether an optional extra of the package is installed, asked before a command needs it."""

from __future__ import annotations

from importlib.util import find_spec

import typer


def require(module: str, *, extra: str) -> None:
    """Leave with a hint where an optional extra is not installed."""
    if find_spec(module) is None:
        typer.echo(f"error: this command needs the extra {extra!r}: pip install 'classroom-monitor[{extra}]'", err=True)
        raise typer.Exit(1)
