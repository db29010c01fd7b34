"""`classroom export` and `classroom export-adapter`: a checkpoint made into a bundle, an adapter into its file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commands.extras import require
from commands.options import DownloadOption, ResearchOption, RubricOption

HeldoutOption = Annotated[
    Path,
    typer.Option(help="Folder of people the model never saw, to calibrate and compare on: renders, or labels.csv."),
]


def export_command(
    checkpoint: Annotated[
        str, typer.Argument(help="Folder of a trained checkpoint, or a SmolVLM of the hub: folder or id.")
    ],
    heldout: HeldoutOption,
    out: Annotated[Path, typer.Option(help="Folder of the bundle to write.")],
    measure: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FOLDER to measure on as well: shards, or pictures with labels.csv. May be repeated."),
    ] = None,
    trainable: Annotated[
        Path | None, typer.Option(help="Folder for float16 weights to go on training from.", show_default=False)
    ] = None,
    vision_adapters: Annotated[
        bool, typer.Option("--vision-adapters", help="Take adapters that change seeing too; pictures cost more then.")
    ] = False,
    most: Annotated[
        int | None,
        typer.Option(min=20, help="Look at no more pictures of each set: large models take seconds each."),
    ] = None,
    rubric: RubricOption = "attention",
    research: ResearchOption = False,
    download: DownloadOption = False,
) -> None:
    """Turn a checkpoint into an int8 bundle, calibrated, proved equal and measured (extra train)."""
    require("torch", extra="train")
    from export.heldout import named_folders
    from export.write_bundle import export_bundle
    from monitor.rubric import load_rubric

    export_bundle(
        checkpoint,
        heldout,
        out,
        measured=named_folders(measure or []),
        trainable=trainable,
        rubric=load_rubric(rubric, research=research),
        vision_adapters=vision_adapters,
        most=most,
        download=download,
        tell=lambda line: typer.echo(line, err=True),
    )
    typer.echo(f"Bundle written to {out}" + (f", trainable weights to {trainable}" if trainable else ""))


def export_adapter_command(
    adapter: Annotated[Path, typer.Argument(help="Folder of a LoRA adapter, as training or PEFT wrote it.")],
    checkpoint: Annotated[str, typer.Option(help="The checkpoint that it was trained on: folder, or id of the hub.")],
    heldout: HeldoutOption,
    out: Annotated[Path, typer.Option(help="Folder to write; its name is the adapter's.")],
    bundle: Annotated[
        Path | None, typer.Option(help="Folder of the bundle that it lies over; the shipped one by default.")
    ] = None,
    rubric: Annotated[str, typer.Option(help="Id of the rubric that it was trained for.")] = "attention",
) -> None:
    """Turn an adapter into one file for a bundle, calibrated and proved equal (extra train)."""
    require("torch", extra="train")
    from export.adapter import export_adapter

    manifest = export_adapter(adapter, checkpoint, bundle, heldout, out, rubric_id=rubric)
    size_kb = manifest["files"]["adapter.onnx_adapter"]["bytes"] / 1e3
    typer.echo(f"Adapter written to {out} ({size_kb:.0f} kB). Next: `classroom models add {out}`.")
