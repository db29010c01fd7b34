"""`classroom models`: the models there are, which one is in use, and how another takes its place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.options import ModelsOption, StoreOption

if TYPE_CHECKING:
    from monitor.registry import Registry

app = typer.Typer(help="List models, choose which is in use, and go back.", no_args_is_help=True)

REFUSED = 6
"""Exit code of a promotion that the gate refused."""

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")]
ModelArgument = Annotated[
    str, typer.Argument(help="Name of a model in the registry; champion, challenger and shipped are names too.")
]
ByOption = Annotated[str, typer.Option(help="Who says so. Default: your user name.", show_default=False)]
ReasonOption = Annotated[str, typer.Option(help="Why; kept in the history.", show_default=False)]
HeldoutOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of labelled pictures (shards, or labels.csv) in place of the renders that ship.",
        show_default=False,
    ),
]
JuryRubricOption = Annotated[str, typer.Option(help="Rubric to judge under, where both know more.", show_default=False)]
ThreadsOption = Annotated[int, typer.Option(min=1, help="Processor cores for the gate.")]


@app.command("list")
def models_list_command(models: ModelsOption = None, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """The models there are, which is in use, and what the gate said of each."""
    from commands.models_print import print_list

    print_list(_registry(models, store), as_json=as_json)


@app.command("show")
def models_show_command(
    model: ModelArgument, models: ModelsOption = None, store: StoreOption = None, as_json: JsonOption = False
) -> None:
    """A model's lineage, figures, files and history; each file is checked."""
    from commands.models_print import print_model

    registry = _registry(models, store)
    print_model(registry, _named(registry, model), as_json=as_json)


@app.command("add")
def models_add_command(
    folder: Annotated[Path, typer.Argument(help="Folder of a bundle or of an adapter.")],
    models: ModelsOption = None,
    store: StoreOption = None,
) -> None:
    """Copy a bundle or an adapter into the registry, checked; it is not in use by that."""
    from export.registry.entries import add_entry

    typer.echo(add_entry(_registry(models, store), folder))


@app.command("promote")
def models_promote_command(
    model: ModelArgument,
    challenger: Annotated[
        bool, typer.Option("--challenger", help="Let it run beside the champion instead; no gate is asked.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Even if the gate refuses; needs --reason.")] = False,
    reason: ReasonOption = "",
    by: ByOption = "",
    heldout: HeldoutOption = None,
    rubric: JuryRubricOption = "",
    threads: ThreadsOption = 1,
    models: ModelsOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a model the champion if it passes the gate; a lecture that runs takes it up. Exit code 6: refused."""
    from commands.models_print import print_change, print_promotion
    from export.registry.aliases import set_challenger, writing
    from export.registry.promotion import promote
    from export.trial import Jury

    registry = _registry(models, store)
    name = _named(registry, model)
    if challenger:
        with writing(registry):
            print_change(set_challenger(registry, registry.entry(name), by=by, reason=reason), as_json=as_json)
        return
    jury = Jury(store, heldout, rubric, threads=threads)
    done = promote(registry, name, jury, by=by, reason=reason, force=force)
    print_promotion(done, as_json=as_json)
    if done.verdict is not None and done.change is None:
        raise typer.Exit(REFUSED)


@app.command("rollback")
def models_rollback_command(
    to: Annotated[str | None, typer.Option(help="An earlier champion; default: the last one.")] = None,
    challenger: Annotated[bool, typer.Option("--challenger", help="Let nobody run beside the champion.")] = False,
    reason: ReasonOption = "",
    by: ByOption = "",
    models: ModelsOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the champion before this one the champion again; done twice, the one before that."""
    from commands.models_print import print_change
    from export.registry.aliases import roll_back, set_challenger, writing

    registry = _registry(models, store)
    with writing(registry):
        if challenger:
            change = set_challenger(registry, None, by=by, reason=reason)
        else:
            change = roll_back(registry, by=by, reason=reason, to=to)
    print_change(change, as_json=as_json)


@app.command("verify")
def models_verify_command(
    names: Annotated[list[str] | None, typer.Argument(help="Models; default: all, and both aliases.")] = None,
    models: ModelsOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check every file of every model against its sha256. Exit code 3: something is damaged."""
    from commands.models_print import print_findings
    from export.registry.verify import verify
    from monitor.errors import BundleError

    registry = _registry(models, store)
    findings = verify(registry, [_named(registry, name) for name in names or ()])
    print_findings(findings, as_json=as_json)
    if any(finding.problem for finding in findings):
        raise typer.Exit(BundleError.exit_code)


@app.command("compare")
def models_compare_command(
    model: ModelArgument,
    against: Annotated[str, typer.Argument(help="The other one.")] = "champion",
    heldout: HeldoutOption = None,
    rubric: JuryRubricOption = "",
    threads: ThreadsOption = 1,
    models: ModelsOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """What the gate would say, with its figures; nothing changes."""
    from commands.models_print import print_verdict
    from export.registry.promotion import ask_gate
    from export.trial import Jury

    registry = _registry(models, store)
    one, other = (registry.entry(_named(registry, name)) for name in (model, against))
    verdict = ask_gate(registry, other, one, Jury(store, heldout, rubric, threads=threads))
    print_verdict(one.model_id, other.model_id, verdict, as_json=as_json)


@app.command("history")
def models_history_command(models: ModelsOption = None, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Who made which model the champion, when and why; the newest last."""
    from commands.models_print import print_history

    print_history(_registry(models, store), as_json=as_json)


def _registry(models: Path | None, store: str | None) -> Registry:
    from monitor.registry import Registry, models_folder

    return Registry(models or models_folder(store))


def _named(registry: Registry, name: str) -> str:
    """The model that an alias means, or the name itself."""
    from monitor.errors import BadInputError
    from monitor.registry import CHALLENGER, CHAMPION, SHIPPED

    if name not in (CHAMPION, CHALLENGER):
        return name
    alias = registry.alias(name)
    if alias is None and name == CHALLENGER:
        raise BadInputError(f"{registry.folder}: there is no challenger. `classroom models list` names the models.")
    return alias.model_id if alias else SHIPPED
