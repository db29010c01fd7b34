"""Erases a student everywhere this machine can reach: training runs, the registry's marks, the store, its results.

The store goes last: it is what tells where to look, so an erasure that was killed is simply begun again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from export.registry.entries import mark_tainted
from monitor.errors import BusyError
from monitor.registry import Registry, models_folder
from monitor.results import refresh_results
from monitor.store.database import Store
from monitor.store.erasure import Erased, Traces, erase_corpus_person, erase_student, find_person, traces_of
from monitor.store.exports import RESULTS, TRAINING, Export, exports_of
from monitor.store.reader import StoreReader
from trainer.erasure import Scrubbed, Wanted, scrub_runs


@dataclass(frozen=True)
class Found:
    """What there is of a student, before anything is done."""

    store: Path
    traces: Traces
    exports: tuple[Export, ...]
    """What left the store with one of the student's lectures in it; training runs are not among them."""
    runs: tuple[Path, ...]
    """Folders of training runs to look through."""


@dataclass(frozen=True)
class Done:
    """What an erasure came to."""

    erased: Erased
    scrubbed: tuple[Scrubbed, ...]
    tainted: tuple[str, ...]
    """Models that learned from the student: marked, and to be trained anew."""
    rewritten: tuple[str, ...]
    """Results beside the store, without the student now."""
    left: tuple[Export, ...]
    """Copies that are not in our hands."""
    log_emptied: bool
    """False: somebody reads the store just now, so a copy may still lie in its log."""


def look(store: str | Path | None, who: str, runs: Sequence[Path] = ()) -> Found:
    """Find out what there is of somebody; nothing is changed.

    Args:
        store: as `monitor.store.location.store_path` takes it.
        who: pseudonym or name of a student, or a person of a corpus.
        runs: folders of training runs beside those that the store knows of.

    Raises:
        BadInputError: a name that several have.
        StoreError: nobody of that name, or no store.
    """
    with StoreReader(store) as reader:
        traces = traces_of(reader, find_person(reader, who))
        known = exports_of(reader)
        lectures = None if traces.from_corpus else traces.lecture_ids
        left = exports_of(reader, lectures)
        path = reader.path
    noted = [Path(one.place) for one in known if one.kind == TRAINING]
    return Found(
        path,
        traces,
        tuple(one for one in left if one.kind != TRAINING),
        tuple(dict.fromkeys(run.resolve() for run in (*noted, *runs))),
    )


def erase(found: Found, models: Path | None = None) -> Done:
    """Do it.

    Args:
        found: from `look`.
        models: folder of the registry; None = the one beside the store.

    Raises:
        BusyError, StoreError: the store or the registry cannot be written; what was done by then stays done.
    """
    traces = found.traces
    wanted = Wanted(traces.pseudonyms, traces.crop_ids, traces.names, traces.pictures)
    scrubbed = scrub_runs(found.runs, wanted)
    tainted = mark_tainted(Registry(models or models_folder(found.store)), sorted(traces.pseudonyms))
    with Store.open(found.store) as store:
        if traces.from_corpus:
            erased = Erased((), 0, 0, 0, erase_corpus_person(store, traces.student_id))
        else:
            erased = erase_student(store, traces.student_id)
        try:
            emptied = store.compact()
        except BusyError:
            emptied = store.empty_log()
    rewritten = refresh_results(found.store)
    beside = str(found.store.parent.resolve())
    left = tuple(one for one in found.exports if not (one.kind == RESULTS and one.place == beside and rewritten))
    return Done(erased, tuple(scrubbed), tainted, tuple(rewritten), left, emptied)
