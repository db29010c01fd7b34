"""Makes a model the champion if the gate lets it pass, or if a person answers for it; writes the verdict down.

The gate is asked while others may write; the aliases move only if the champion is still the one that was compared.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from export.gate import Verdict
from export.registry.aliases import WAIT_S, set_champion, writing
from export.registry.atomic import cannot_write, write_json
from export.trial import Jury, try_entries
from monitor.errors import BadInputError, RubricError, StoreError
from monitor.registry import CHAMPION, Entry, Registry
from monitor.registry_history import VERDICTS, Change, alias_now
from monitor.registry_list import list_models


@dataclass(frozen=True, slots=True)
class Promotion:
    """What came of a wish to promote."""

    model_id: str
    champion: str
    """Before."""
    verdict: Verdict | None
    """None: it was the champion already."""
    change: Change | None
    """None: refused, or nothing to change."""


def promote(
    registry: Registry,
    model_id: str,
    jury: Jury,
    *,
    by: str = "",
    reason: str = "",
    force: bool = False,
    wait_s: float = WAIT_S,
) -> Promotion:
    """Ask the gate about a model, and make it the champion if it passes or is forced.

    Args:
        registry: where the model is an entry.
        model_id: of an entry.
        jury: whose pictures judge.
        by: who asks; empty = the user of this machine.
        reason: why; needed to force.
        force: make it the champion whatever the gate says. A damaged or foreign model is refused all the same.
        wait_s: for how long to wait for another writer.

    Raises:
        BadInputError: force without a reason; or nothing to judge by, unless forced.
        BundleError: the model, or the champion, is damaged, changed, foreign or gone.
        BusyError: another writer, or another champion since the gate was asked.
        StoreError: full disk, no permission, an unreadable store; nothing has changed then.
    """
    if force and not reason.strip():
        raise BadInputError(f"{model_id}: whoever forces a promotion says why: add --reason.")
    entry = registry.entry(model_id)
    if alias_now(registry, CHAMPION) == model_id:
        registry.champion()
        return Promotion(model_id, model_id, None, None)
    champion = registry.champion()
    verdict = ask_gate(registry, champion, entry, jury, even_so=force)
    with writing(registry, wait_s=wait_s):
        keep_verdict(registry, entry, champion, verdict)
        change = None
        if verdict.passed or force:
            again = registry.entry(model_id, manifest_sha256=entry.manifest_sha256)
            change = set_champion(
                registry, again, by=by, reason=reason, objections=verdict.reasons, expected=champion.model_id
            )
    return Promotion(model_id, champion.model_id, verdict, change)


def ask_gate(registry: Registry, champion: Entry, entry: Entry, jury: Jury, *, even_so: bool = False) -> Verdict:
    """The gate's verdict on an entry.

    Args:
        registry: where marks on the entry are looked up.
        champion: compared with.
        entry: the challenger.
        jury: whose pictures judge.
        even_so: say in the verdict that nobody could judge, rather than raise.

    Raises:
        BadInputError, StoreError: nothing to judge by, or it cannot be read.
        RubricError: the two models cannot be compared, or were trained for other words.
    """
    marks = next((row.tainted_by for row in list_models(registry) if row.model_id == entry.model_id), ())
    try:
        return try_entries(champion, entry, replace(jury, tainted_by=marks))
    except RubricError:
        raise
    except (BadInputError, StoreError) as error:
        if not even_so:
            raise
        return Verdict(False, (f"the gate could not be asked: {error}",))


def keep_verdict(registry: Registry, entry: Entry, champion: Entry, verdict: Verdict) -> None:
    """Write down what the gate said of a model; the last verdict on it stays.

    Raises:
        StoreError: full disk, no permission.
    """
    folder = registry.folder / VERDICTS
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    told = {
        "model_id": entry.model_id,
        "sha256": entry.manifest_sha256,
        "champion": champion.model_id,
        "champion_sha256": champion.manifest_sha256,
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        **verdict.as_dict(),
    }
    write_json(folder / f"{entry.model_id}.json", told)
