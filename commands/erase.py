"""`classroom erase`: one student, out of everything on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.options import ModelsOption, StoreOption

if TYPE_CHECKING:
    from commands.erasing import Done, Found


def erase_command(
    student: Annotated[str, typer.Argument(help="Pseudonym or name of a student, or a person of a corpus.")],
    store: StoreOption = None,
    models: ModelsOption = None,
    runs: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of a training run that was copied or moved. May be repeated.", show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what there is, and erase nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Erase a student: labels, names, pictures, answers, pairs, caches and reports; mark the models that learned.

    What left the store is listed: nobody but you can delete it. It cannot be undone.
    """
    from commands.erasing import erase, look

    found = look(store, student, runs or ())
    _print_found(found)
    if dry_run:
        return
    if not yes:
        typer.confirm("Erase all of it? It cannot be undone.", abort=True)
    _print_done(erase(found, models), found)


def _print_found(found: Found) -> None:
    traces = found.traces
    name = f" ({', '.join(sorted(traces.names))})" if traces.names else ""
    typer.echo(f"{traces.student_id}{name} in {found.store}:")
    typer.echo(f"  {_count(len(traces.lecture_ids), 'lecture')}, {_count(len(traces.pictures), 'picture')}")
    typer.echo(f"  {_count(len(found.runs), 'training run')} to look through")
    if traces.watched_now:
        typer.echo(
            "warning: a lecture with this student has not ended. Whoever watches it sees them again: let them opt out "
            "first.",
            err=True,
        )


def _print_done(done: Done, found: Found) -> None:
    erased = done.erased
    typer.echo(
        f"Erased: {_count(erased.observations, 'label')}, {_count(erased.episodes, 'episode')}, "
        f"{_count(erased.crops + erased.thumbnails, 'picture')} out of {_count(len(erased.lectures), 'lecture')}."
    )
    for one in done.scrubbed:
        what = f"{_count(one.lines, 'line')} taken out" + (f", gone: {', '.join(one.removed)}" if one.removed else "")
        typer.echo(f"Training run {one.folder}: {what}")
    if done.rewritten:
        typer.echo(f"Written anew beside the store: {', '.join(done.rewritten)}")
    for model_id in done.tainted:
        typer.echo(f"Model {model_id} learned from this student: it is marked. Train a new one without them.")
    for left in done.left:
        typer.echo(f"Left the store, delete it by hand: {left.place} ({left.kind}, {left.written_at:%Y-%m-%d %H:%M})")
    if not done.log_emptied:
        typer.echo(
            f"warning: another program has {found.store} open, so its log ({found.store.name}-wal) could not be "
            "emptied. End the lecture and the dashboard: it is emptied when the last of them closes.",
            err=True,
        )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
