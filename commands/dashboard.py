"""`classroom dashboard`: the dashboard over a store, alone."""

from __future__ import annotations

from typing import Annotated

import typer

from commands.options import DEFAULT_PORT, ModelsOption, StoreOption


def dashboard_command(
    store: StoreOption = None,
    port: Annotated[int, typer.Option(help="Port, on this machine only.")] = DEFAULT_PORT,
    models: ModelsOption = None,
) -> None:
    """Open the dashboard over a store; nothing is recorded."""
    from dashboard.process import Dashboard
    from monitor.store.location import store_path

    beside = Dashboard(store=store_path(store), port=port, models=models)
    typer.echo(f"Dashboard: {beside.url}   (Ctrl-C ends it)")
    try:
        beside.wait()
    except KeyboardInterrupt:
        typer.echo("\nStopped.")
    finally:
        beside.close()
