"""Whether an optional extra is installed, asked before a command needs it; and its libraries kept quiet."""

from __future__ import annotations

import logging
import warnings
from importlib.util import find_spec

import typer


def require(module: str, *, extra: str) -> None:
    """Leave with a hint where an optional extra is not installed."""
    if find_spec(module) is None:
        typer.echo(f"error: this command needs the extra {extra!r}: pip install 'classroom-monitor[{extra}]'", err=True)
        raise typer.Exit(1)
    if extra == "train":
        _quiet()


def _quiet() -> None:
    """What these libraries tell each other's authors says nothing to a user: coming renames, kernels to download."""
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|peft|trl|torch)\b")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
