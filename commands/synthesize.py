"""`classroom synthesize`: students rendered with exact truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commands.extras import require

app = typer.Typer(help="Render students with exact truth (extra [b]synthetic[/b]).", no_args_is_help=True)


@app.command("stills")
def synthesize_stills_command(
    count: Annotated[int, typer.Option(help="How many pictures.")],
    out: Annotated[Path, typer.Option(help="Folder for the shards.")],
    seed: Annotated[int, typer.Option(help="First seed; each picture has its own.")] = 0,
    recipe: Annotated[str, typer.Option(help="Id of a shipped recipe, or a path to a TOML file.")] = "train4",
) -> None:
    """Render students into shards of pictures with truth; interrupted, it resumes."""
    require("moderngl", extra="synthetic")
    from trainer.synthetic.recipe import read_recipe
    from trainer.synthetic.stills import synthesize_stills

    synthesize_stills(count, seed, out, read_recipe(recipe))


@app.command("lecture")
def synthesize_lecture_command(
    out: Annotated[Path, typer.Option(help="Folder for the three files.")],
    students: Annotated[int, typer.Option(help="How many students.")] = 12,
    seconds: Annotated[int, typer.Option(help="Length.")] = 60,
    seed: Annotated[int, typer.Option(help="Same seed, same lecture.")] = 0,
    style: Annotated[str, typer.Option(help="Gallery of zoom, meet or teams.")] = "zoom",
    share: Annotated[bool, typer.Option("--share/--no-share", help="Somebody shares a screen for a while.")] = True,
) -> None:
    """Render a lecture in gallery view: lecture.mp4, per-second truth, a transcript."""
    require("moderngl", extra="synthetic")
    from trainer.synthetic.lecture import synthesize_lecture

    synthesize_lecture(seed, out, students, seconds, style=style, share=share)
