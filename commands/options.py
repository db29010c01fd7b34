"""The options that several commands share: one meaning and one help text wherever they appear."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_PORT = 8501

RateOption = Annotated[float, typer.Option(help="Samples a second.", show_default=True)]
CorpusArgument = Annotated[Path, typer.Argument(help="Folder of a corpus, or a store.")]
KindOption = Annotated[str, typer.Option(help="Kind of corpus, where auto does not find out.")]
RubricOption = Annotated[str, typer.Option(help="Id of a shipped rubric, or a path to a TOML file.")]
LayoutOption = Annotated[str, typer.Option(help="How students are looked for: auto, gallery, faces or single.")]
ResearchOption = Annotated[bool, typer.Option("--research", help="Allow rubrics that name inner states (affect).")]
BundleOption = Annotated[Path | None, typer.Option(help="Folder of another model bundle.", show_default=False)]
ModelsOption = Annotated[
    Path | None,
    typer.Option(help="Folder of the model registry. Default: models beside the store.", show_default=False),
]
StoreOption = Annotated[
    str | None, typer.Option(help="Store: a path or sqlite:///PATH. Default: your data folder.", show_default=False)
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        help="A checkpoint to run by torch instead (extra train): a folder, an id of the hub, or embedded: the shipped "
        "model's own weights.",
        show_default=False,
    ),
]
AdapterOption = Annotated[
    Path | None,
    typer.Option(help="Folder of an adapter for --model, as PEFT or `classroom train` wrote it.", show_default=False),
]
QuantizeOption = Annotated[str | None, typer.Option(help="nf4 or int8, for --model.", show_default=False)]
DownloadOption = Annotated[
    bool, typer.Option("--download", help="Fetch the checkpoint from the hub if it is not on this machine.")
]
