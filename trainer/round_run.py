"""One run of `classroom train rounds`: configuration in, rounds and a champion out.

This file joins corpora, engine and loop, and knows their order.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from monitor.errors import BadInputError
from monitor.rubric import load_rubric
from trainer.corpora.classroom import doubly_labelled, note_run
from trainer.noise import estimate_noise
from trainer.round_data import load_parts
from trainer.round_engine import PolicyEngine
from trainer.round_people import earlier_people
from trainer.round_settings import RoundsSettings, read_rounds
from trainer.rounds import RUN_FILE, Outcome, Tell, run_rounds

CACHE_FOLDER = "cache"


def train_rounds(config: Path, *, out: Path | None = None, resume: bool = False, tell: Tell = print) -> Outcome:
    """Run the rounds of a configuration.

    Args:
        config: a TOML file, see `trainer.round_settings.RoundsSettings`.
        out: folder of the run; None = as the configuration says.
        resume: go on where an earlier run in `out` stopped.
        tell: is told a line now and then.

    Raises:
        BadInputError: a bad configuration, data that cannot teach or that leaks, or a folder that holds another run.
        BundleError: a base or an adapter that cannot be used.
    """
    settings = with_epsilon(read_rounds(config), tell)
    folder = out or Path(settings.out)
    if (folder / RUN_FILE).is_file() and not resume:  # before anything long begins
        raise BadInputError(f"{folder}: holds a run already; add --resume to go on, or give another --out.")
    rubric = load_rubric(settings.rubric, research=settings.research)
    note_run(settings.data.corpora, folder)
    engine = PolicyEngine(settings.model, settings.preference, folder / CACHE_FOLDER, seed=settings.seed)
    earlier = earlier_people(settings, folder, resume=resume)
    parts = load_parts(settings.data, rubric, engine.side_px, settings.seed, earlier=earlier)
    tell(
        f"{len(parts.train)} pictures to learn from, {len(parts.selection)} to choose by, {len(parts.final)} to report "
        f"on; {len(set(parts.train.persons))}, {len(set(parts.selection.persons))} and "
        f"{len(set(parts.final.persons))} people."
    )
    return run_rounds(settings, rubric, parts, engine, folder, resume=resume, tell=tell)


def with_epsilon(settings: RoundsSettings, tell: Tell) -> RoundsSettings:
    """The settings with the share of inverted pairs that doubly annotated crops tell, where `double_labels` is given.

    Raises:
        BadInputError: too few such crops, or so many inverted pairs that nothing can be learned from them.
        StoreError: no such store.
    """
    if not settings.double_labels:
        return settings
    rubric = load_rubric(settings.rubric, research=settings.research)
    found = estimate_noise(doubly_labelled(Path(settings.double_labels), rubric), len(rubric.labels))
    tell(
        f"{found.crops} crops were annotated twice: {found.wrong_labels:.1%} of labels are wrong, {found.epsilon:.1%}"
        f" of pairs inverted ({found.low:.1%} to {found.high:.1%})."
    )
    return replace(settings, preference=replace(settings.preference, epsilon=round(found.epsilon, 4)))
