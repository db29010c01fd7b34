"""`classroom export`: a checkpoint made into a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commands.extras import require


def export_command(
    checkpoint: Annotated[Path, typer.Argument(help="Folder of a trained checkpoint.")],
    heldout: Annotated[Path, typer.Option(help="Folder of held-out renders, for calibration and parity.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle to write.")],
    measure: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FOLDER to measure on as well: shards, or pictures with labels.csv. May be repeated."),
    ] = None,
    trainable: Annotated[
        Path | None, typer.Option(help="Folder for float16 weights to go on training from.", show_default=False)
    ] = None,
) -> None:
    """Turn a checkpoint into an int8 bundle, calibrated, proved equal and measured (extra train)."""
    require("torch", extra="train")
    from export.heldout import named_folders
    from export.write_bundle import export_bundle

    export_bundle(checkpoint, heldout, out, measured=named_folders(measure or []), trainable=trainable)
    typer.echo(f"Bundle written to {out}" + (f", trainable weights to {trainable}" if trainable else ""))
