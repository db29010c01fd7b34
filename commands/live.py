"""`classroom live`: a class watched now, with the dashboard beside it."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from commands.options import (
    DEFAULT_PORT,
    AdapterOption,
    BundleOption,
    DownloadOption,
    LayoutOption,
    ModelOption,
    ModelsOption,
    QuantizeOption,
    RateOption,
    ResearchOption,
    RubricOption,
    StoreOption,
)

DEFAULT_LISTEN = "127.0.0.1:8890"


def live(
    source: Annotated[
        str, typer.Option(help="webcam:0, screen, webrtc, a recording (played in real time), or demo.")
    ] = "webcam:0",
    rate: RateOption = 1.0,
    rubric: RubricOption = "attention",
    layout: LayoutOption = "auto",
    store: StoreOption = None,
    port: Annotated[int, typer.Option(help="Port of the dashboard, on this machine only.")] = DEFAULT_PORT,
    lecture: Annotated[str | None, typer.Option(help="Go on in this lecture.", show_default=False)] = None,
    dashboard: Annotated[bool, typer.Option("--dashboard/--no-dashboard", help="Show the dashboard beside it.")] = True,
    pictures: Annotated[bool, typer.Option("--pictures/--no-pictures", help="Keep newest thumbnails.")] = True,
    research: ResearchOption = False,
    bundle: BundleOption = None,
    models: ModelsOption = None,
    model: ModelOption = None,
    adapter: AdapterOption = None,
    quantize: QuantizeOption = None,
    download: DownloadOption = False,
    listen: Annotated[str, typer.Option(help="webrtc: where publishers connect, HOST:PORT.")] = DEFAULT_LISTEN,
    tls_cert: Annotated[Path | None, typer.Option(help="webrtc: certificate, PEM.", show_default=False)] = None,
    tls_key: Annotated[Path | None, typer.Option(help="webrtc: its key, PEM.", show_default=False)] = None,
    ice_server: Annotated[
        list[str] | None, typer.Option(help="webrtc: stun:HOST:PORT or turn:HOST:PORT. May be repeated.")
    ] = None,
    allow_origin: Annotated[
        list[str] | None, typer.Option(help="webrtc: another web origin that may publish. May be repeated.")
    ] = None,
) -> None:
    """Watch a class now: labels per student into the store, a dashboard beside it. Ctrl-C ends both.

    A model that is promoted meanwhile takes over between two pictures; with --bundle or --model none does.
    """
    from monitor.config import MonitorSettings
    from monitor.sources.webrtc.settings import ingest_settings

    ingest = ingest_settings(
        listen, tls_cert=tls_cert, tls_key=tls_key, ice_servers=ice_server or (), allow_origins=allow_origin or ()
    )
    settings = MonitorSettings(
        rate,
        rubric,
        layout,
        research,
        bundle,
        pictures,
        models=models,
        ingest=ingest,
        model=model,
        adapter=adapter,
        quantize=quantize,
        download=download,
    )
    from monitor.live import LiveMonitor

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill ends the lecture as Ctrl-C does
    monitor = LiveMonitor(source, settings, store=store, lecture_id=lecture)
    beside = None
    try:
        if dashboard:
            from dashboard.process import Dashboard

            beside = Dashboard(store=monitor.store_path, port=port, models=models)
            typer.echo(f"Dashboard: {beside.url}   (Ctrl-C ends it and the monitor)")
        for line in monitor.notices:
            typer.echo(line)
        counts = monitor.run(report=lambda line: typer.echo(line, err=True))
        typer.echo(f"Lecture {monitor.lecture_id}: {counts}")
        if beside is not None:
            typer.echo("The source has ended; the dashboard stays until Ctrl-C.")
            beside.wait()
    except KeyboardInterrupt:
        typer.echo(f"\nStopped. Lecture {monitor.lecture_id} is stored in {monitor.store_path}.")
    finally:
        monitor.close()
        if beside is not None:
            beside.close()
