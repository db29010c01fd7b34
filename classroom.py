"""The front door: every command of the classroom monitor.

Each command imports its room when it is called, so that `classroom --help` costs nothing and `classroom live` never
imports torch. Work happens in the rooms; this file reads options, shows progress and turns errors into exit codes:
0 done, 1 failed, 2 bad input, 3 bad model bundle, 4 store trouble, 5 something is taken, 130 interrupted.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from monitor.score import ProgressReport

__version__ = "0.1.0"

DEFAULT_PORT = 8501
DEFAULT_LISTEN = "127.0.0.1:8890"

app = typer.Typer(
    name="classroom",
    help="Where does each student look: [b]screen[/b], [b]paper[/b] or [b]wander[/b]? "
    "Judged on this machine by a small vision-language model.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
train_app = typer.Typer(help="Train the model (needs the extra [b]train[/b]).", no_args_is_help=True)
synthesize_app = typer.Typer(help="Render students with exact truth (extra [b]synthetic[/b]).", no_args_is_help=True)
corpus_app = typer.Typer(help="Look into labelled pictures, and label more (extra [b]train[/b]).", no_args_is_help=True)
app.add_typer(train_app, name="train")
app.add_typer(synthesize_app, name="synthesize")
app.add_typer(corpus_app, name="corpus")

Rate = Annotated[float, typer.Option(help="Samples a second.", show_default=True)]
CorpusArgument = Annotated[Path, typer.Argument(help="Folder of a corpus, or a store.")]
KindOption = Annotated[str, typer.Option(help="Kind of corpus, where auto does not find out.")]
RubricOption = Annotated[str, typer.Option(help="Id of a shipped rubric, or a path to a TOML file.")]
LayoutOption = Annotated[str, typer.Option(help="How students are looked for: auto, gallery, faces or single.")]
ResearchOption = Annotated[bool, typer.Option("--research", help="Allow rubrics that name inner states (affect).")]
BundleOption = Annotated[Path | None, typer.Option(help="Folder of another model bundle.", show_default=False)]
StoreOption = Annotated[
    str | None, typer.Option(help="Store: a path or sqlite:///PATH. Default: your data folder.", show_default=False)
]


@app.callback(invoke_without_command=True)
def front_door(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """Where does each student look?"""
    if version:
        typer.echo(f"classroom-monitor {__version__}")
        raise typer.Exit


@app.command()
def live(
    source: Annotated[
        str, typer.Option(help="webcam:0, screen, webrtc, a recording (played in real time), or demo.")
    ] = "webcam:0",
    rate: Rate = 1.0,
    rubric: RubricOption = "attention",
    layout: LayoutOption = "auto",
    store: StoreOption = None,
    port: Annotated[int, typer.Option(help="Port of the dashboard, on this machine only.")] = DEFAULT_PORT,
    lecture: Annotated[str | None, typer.Option(help="Go on in this lecture.", show_default=False)] = None,
    dashboard: Annotated[bool, typer.Option("--dashboard/--no-dashboard", help="Show the dashboard beside it.")] = True,
    pictures: Annotated[bool, typer.Option("--pictures/--no-pictures", help="Keep newest thumbnails.")] = True,
    research: ResearchOption = False,
    bundle: BundleOption = None,
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
    """Watch a class now: labels per student into the store, a dashboard beside it. Ctrl-C ends both."""
    from monitor.config import MonitorSettings
    from monitor.sources.webrtc.settings import ingest_settings

    ingest = ingest_settings(
        listen, tls_cert=tls_cert, tls_key=tls_key, ice_servers=ice_server or (), allow_origins=allow_origin or ()
    )
    settings = MonitorSettings(rate, rubric, layout, research, bundle, pictures, ingest=ingest)
    from monitor.live import LiveMonitor

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill ends the lecture as Ctrl-C does
    monitor = LiveMonitor(source, settings, store=store, lecture_id=lecture)
    beside = None
    try:
        if dashboard:
            from dashboard.process import Dashboard

            beside = Dashboard(store=monitor.store_path, port=port)
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


@app.command()
def score(
    recordings: Annotated[list[Path], typer.Argument(help="Recordings: mp4, mov, mkv or webm; folders of stills.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    rate: Rate = 1.0,
    rubric: RubricOption = "attention",
    layout: LayoutOption = "auto",
    research: ResearchOption = False,
    bundle: BundleOption = None,
    restart: Annotated[bool, typer.Option("--restart", help="Forget an earlier run in the same folder.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Score recorded lectures: labels.parquet, students.csv, episodes.csv, lecture.json, report.html.

    Interrupted, the same command goes on where it stopped. The same input gives the same bytes.
    """
    from monitor.config import MonitorSettings
    from monitor.score import score_recordings

    settings = MonitorSettings(rate, rubric, layout, research, bundle)
    with _progress(quiet) as report:
        result = score_recordings(recordings, out, settings, report=report, restart=restart)
    for line in result.warnings:
        typer.echo(f"warning: {line}", err=True)
    for line in result.errors:
        typer.echo(f"error: {line}", err=True)
    if result.written:
        typer.echo(f"Results in {out}: {', '.join(result.written)}")
    if result.errors:
        raise typer.Exit(2)


@app.command()
def label(
    images: Annotated[list[Path], typer.Argument(help="Pictures: jpg, png, webp, tiff…")],
    whole: Annotated[bool, typer.Option("--whole", help="The whole picture is one student.")] = False,
    rubric: RubricOption = "attention",
    research: ResearchOption = False,
    bundle: BundleOption = None,
) -> None:
    """Label pictures: one JSON line per student found."""
    from monitor.config import MonitorSettings
    from monitor.still import label_pictures

    settings = MonitorSettings(rubric=rubric, research=research, bundle=bundle)
    failed = False
    for answer in label_pictures(images, settings, whole=whole):
        if isinstance(answer, str):
            failed = True
            typer.echo(f"error: {answer}", err=True)
        else:
            typer.echo(json.dumps(answer, ensure_ascii=False))
    if failed:
        raise typer.Exit(2)


@app.command("dashboard")
def dashboard_command(
    store: StoreOption = None,
    port: Annotated[int, typer.Option(help="Port, on this machine only.")] = DEFAULT_PORT,
) -> None:
    """Open the dashboard over a store; nothing is recorded."""
    from dashboard.process import Dashboard
    from monitor.store.location import store_path

    beside = Dashboard(store=store_path(store), port=port)
    typer.echo(f"Dashboard: {beside.url}   (Ctrl-C ends it)")
    try:
        beside.wait()
    except KeyboardInterrupt:
        typer.echo("\nStopped.")
    finally:
        beside.close()


@app.command()
def doctor(
    store: StoreOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Say what works on this machine, and how to mend the rest."""
    from monitor.doctor import examine, print_findings

    findings = examine(store)
    print_findings(findings, as_json=as_json)
    if any(finding.status == "fail" for finding in findings):
        raise typer.Exit(1)


@train_app.command("sft")
def train_sft_command(
    config: Annotated[Path, typer.Option(help="TOML file; its first comment is its command.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the run.", show_default=False)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
) -> None:
    """Supervised training: the embedded model from nothing, or with a \\[base] table any model, from where it is."""
    _require("torch", extra="train")
    from trainer.settings import read_table

    if "base" in read_table(config):
        from trainer.finetune import train_finetune

        train_finetune(config, out=out, resume=resume)
        return
    from trainer.sft import train_sft

    train_sft(config, out=out, resume=resume)


@train_app.command("preference")
def train_preference_command(
    config: Annotated[Path, typer.Option(help="TOML file; its first comment is its command.")],
    method: Annotated[
        str | None,
        typer.Option(help="hadpo, dpo, robust, ipo, kto, orpo or grpo; default: the file's.", show_default=False),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run.", show_default=False)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a killed run stopped.")] = False,
) -> None:
    """Preference training on what a policy gets wrong, once and by any method; accepting is what rounds do."""
    _require("trl", extra="train")
    from trainer.preference_run import train_preference_run

    train_preference_run(config, method=method, out=out, resume=resume, tell=typer.echo)


@train_app.command("rounds")
def train_rounds_command(
    config: Annotated[Path, typer.Option(help="TOML file; its first comment is its command.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the run.", show_default=False)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a killed run stopped.")] = False,
) -> None:
    """Preference rounds: ask, pair what is wrong, train, and accept only what no class loses by."""
    _require("trl", extra="train")
    from trainer.round_run import train_rounds

    train_rounds(config, out=out, resume=resume, tell=typer.echo)


@corpus_app.command("inspect")
def corpus_inspect_command(
    path: CorpusArgument,
    rubric: RubricOption = "attention",
    kind: KindOption = "auto",
    research: ResearchOption = False,
    copies: Annotated[bool, typer.Option("--copies", help="Read all; find one picture under two students.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Count pictures by class, student and split; say what was refused and why."""
    from monitor.rubric import load_rubric
    from trainer.corpora.inspection import inspect_corpus, print_inspection
    from trainer.corpora.open import open_corpus

    found = inspect_corpus(open_corpus(path, load_rubric(rubric, research=research), kind), copies=copies)
    if as_json:
        typer.echo(json.dumps(found.as_dict(), ensure_ascii=False))
    else:
        print_inspection(found)


@corpus_app.command("annotate")
def corpus_annotate_command(
    path: CorpusArgument,
    rubric: RubricOption = "attention",
    kind: KindOption = "auto",
    research: ResearchOption = False,
    store: StoreOption = None,
    most: Annotated[int, typer.Option(min=1, help="How many stills.")] = 1000,
    seed: Annotated[int, typer.Option(help="Decides which.")] = 0,
    annotators: Annotated[int, typer.Option(min=1, help="How many people are to label each.")] = 1,
    whole: Annotated[bool, typer.Option("--whole", help="Do not cut heads out of whole frames.")] = False,
    relabel: Annotated[bool, typer.Option("--relabel", help="Also stills that have a label.")] = False,
) -> None:
    """Put stills into the review queue, to be labelled on the review page; again for the next ones."""
    from monitor.rubric import load_rubric
    from monitor.store.database import Store
    from trainer.corpora import record
    from trainer.corpora.open import open_corpus
    from trainer.corpora.review import queue_stills

    words = load_rubric(rubric, research=research)
    corpus = open_corpus(path, words, kind)
    cut = record.whole if whole else None
    with Store.open(store) as opened:
        done = queue_stills(
            corpus, opened, words, most=most, seed=seed, annotators=annotators, relabel=relabel, cut=cut
        )
        where = opened.path
    for refusal in done.skipped:
        typer.echo(f"skipped: {refusal.what}: {refusal.why}", err=True)
    typer.echo(f"{done.queued} stills of {done.people} people wait in {where}; {done.left} more are left.")


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="A bundle, a checkpoint, or an id of the hub that is on this machine.")],
    data: CorpusArgument,
    out: Annotated[Path, typer.Option(help="Folder for report.html, evaluation.json and predictions.csv.")],
    rubric: RubricOption = "attention",
    kind: KindOption = "auto",
    part: Annotated[str, typer.Option(help="Only this part of the corpus's own split.", show_default=False)] = "",
    adapter: Annotated[Path | None, typer.Option(help="Adapter for the checkpoint.", show_default=False)] = None,
    quantize: Annotated[str | None, typer.Option(help="nf4 or int8, for a checkpoint.", show_default=False)] = None,
    against: Annotated[
        Path | None, typer.Option(help="Another model, or the folder of its evaluation.", show_default=False)
    ] = None,
    against_adapter: Annotated[Path | None, typer.Option(help="Adapter for that one.", show_default=False)] = None,
    validation: Annotated[
        Path | None, typer.Option(help="Corpus of other people, for adversarial probes.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(help="At most so many pictures, whole people at a time; 0 = all.")] = 0,
    draws: Annotated[int, typer.Option(min=20, help="Bootstrap draws.")] = 1000,
    quick: Annotated[bool, typer.Option("--quick", help="The rubric's question alone.")] = False,
    judge: Annotated[
        str | None,
        typer.Option(help="OpenAI-compatible server to mark free answers; texts are sent there.", show_default=False),
    ] = None,
    judge_model: Annotated[str, typer.Option(help="Name of the judging model.", show_default=False)] = "",
    embedder: Annotated[Path | None, typer.Option(help="Folder of a text encoder.", show_default=False)] = None,
    research: ResearchOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Measure a model on labelled pictures: one HTML report, one JSON (extra train)."""
    _require("torch", extra="train")
    from monitor.rubric import load_rubric
    from trainer.evaluation.command import Wishes, evaluate_from_command

    wishes = Wishes(
        part=part, kind=kind, adapter=adapter, quantize=quantize, against=against, against_adapter=against_adapter,
        validation=validation, limit=limit, draws=draws, quick=quick, judge=judge, judge_model=judge_model,
        embedder=embedder,
    )  # fmt: skip
    with _bars(quiet) as report:
        summary = evaluate_from_command(model, data, out, load_rubric(rubric, research=research), wishes, report)
    typer.echo(summary)


@app.command("export")
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
    _require("torch", extra="train")
    from export.heldout import named_folders
    from export.write_bundle import export_bundle

    export_bundle(checkpoint, heldout, out, measured=named_folders(measure or []), trainable=trainable)
    typer.echo(f"Bundle written to {out}" + (f", trainable weights to {trainable}" if trainable else ""))


@synthesize_app.command("stills")
def synthesize_stills_command(
    count: Annotated[int, typer.Option(help="How many pictures.")],
    out: Annotated[Path, typer.Option(help="Folder for the shards.")],
    seed: Annotated[int, typer.Option(help="First seed; each picture has its own.")] = 0,
    recipe: Annotated[str, typer.Option(help="Id of a shipped recipe, or a path to a TOML file.")] = "train",
) -> None:
    """Render students into shards of pictures with truth; interrupted, it resumes."""
    _require("moderngl", extra="synthetic")
    from trainer.synthetic.recipe import read_recipe
    from trainer.synthetic.stills import synthesize_stills

    synthesize_stills(count, seed, out, read_recipe(recipe))


@synthesize_app.command("lecture")
def synthesize_lecture_command(
    out: Annotated[Path, typer.Option(help="Folder for the three files.")],
    students: Annotated[int, typer.Option(help="How many students.")] = 12,
    seconds: Annotated[int, typer.Option(help="Length.")] = 60,
    seed: Annotated[int, typer.Option(help="Same seed, same lecture.")] = 0,
    style: Annotated[str, typer.Option(help="Gallery of zoom, meet or teams.")] = "zoom",
    share: Annotated[bool, typer.Option("--share/--no-share", help="Somebody shares a screen for a while.")] = True,
) -> None:
    """Render a lecture in gallery view: lecture.mp4, per-second truth, a transcript."""
    _require("moderngl", extra="synthetic")
    from trainer.synthetic.lecture import synthesize_lecture

    synthesize_lecture(seed, out, students, seconds, style=style, share=share)


@contextmanager
def _progress(quiet: bool) -> Iterator[ProgressReport]:
    """A bar a recording, in seconds of media, with an estimate of the time left; silent where nobody looks."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} s"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    bars: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True), disable=quiet or not sys.stderr.isatty()) as progress:

        def report(name: str, done_s: float, duration_s: float | None) -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=duration_s or done_s)
            progress.update(bars[name], completed=done_s, total=max(duration_s or 0.0, done_s))

        yield report


@contextmanager
def _bars(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each thing that is counted; silent where nobody looks."""
    from rich.console import Console
    from rich.progress import Progress, TaskID

    bars: dict[str, TaskID] = {}
    with Progress(console=Console(stderr=True), disable=quiet or not sys.stderr.isatty()) as progress:

        def report(name: str, done: int, total: int) -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=total)
            progress.update(bars[name], completed=done)

        yield report


def _require(module: str, *, extra: str) -> None:
    """Leave with a hint where an optional extra is not installed."""
    from importlib.util import find_spec

    if find_spec(module) is None:
        typer.echo(f"error: this command needs the extra {extra!r}: pip install 'classroom-monitor[{extra}]'", err=True)
        raise typer.Exit(1)


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
