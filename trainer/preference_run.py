"""One run of `classroom train preference`: asks the policy, pairs what is wrong, trains once; nothing is accepted.

The configuration is that of `classroom train rounds`, of which this is the middle: for one method beside another, or a
first look. This file joins corpora, engine and pairs, and knows their order.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from monitor.errors import BadInputError
from monitor.rubric import Rubric, load_rubric
from trainer.corpora.classroom import note_run
from trainer.corpora.record import NO_LABEL
from trainer.disagreements import Answerer, gaze_disagreements, label_disagreements, require_teachable
from trainer.guards import HistoryWatch
from trainer.noise import invert_pairs
from trainer.pairs import PreferencePair, make_pairs, picture_keys, read_pairs, write_pairs
from trainer.preference.train import RUN_FILE
from trainer.round_data import load_parts
from trainer.round_engine import PolicyEngine
from trainer.round_parts import Job, Parts, balanced_examples
from trainer.round_people import earlier_people, write_people
from trainer.round_run import CACHE_FOLDER, with_epsilon
from trainer.round_settings import RoundsSettings, read_rounds
from trainer.round_stages import PAIRS_FILE, ask_labels, label_figures
from trainer.rounds import Tell


def train_preference_run(
    config: Path, *, method: str | None = None, out: Path | None = None, resume: bool = False, tell: Tell = print
) -> Path:
    """Train a policy on its own wrong answers, once.

    Args:
        config: a TOML file, see `trainer.round_settings.RoundsSettings`.
        method: another method than the configuration's.
        out: folder of the run; None = as the configuration says.
        resume: go on where an earlier run in `out` stopped.
        tell: is told a line now and then.

    Returns:
        the adapter folder.

    Raises:
        BadInputError: a bad configuration, data that cannot teach, nothing that is answered wrongly, out of memory, or
            a folder that holds another run.
        RunRefusedError: the loss was NaN, or the right answers faded; the last good weights are in the folder.
    """
    settings = with_epsilon(_with_method(read_rounds(config), method), tell)
    folder = out or Path(settings.out)
    if (folder / RUN_FILE).is_file() != resume:
        raise BadInputError(
            f"{folder}: no run to resume; start it without --resume."
            if resume
            else f"{folder}: holds a run already; add --resume to go on, or give another --out."
        )
    rubric = load_rubric(settings.rubric, research=settings.research)
    note_run(settings.data.corpora, folder)
    engine = PolicyEngine(settings.model, settings.preference, folder / CACHE_FOLDER, seed=settings.seed)
    earlier = earlier_people(settings, folder, resume=resume)
    parts = load_parts(settings.data, rubric, engine.side_px, settings.seed, earlier=earlier)
    require_teachable(parts.train, rubric, "the train students")
    write_people(folder, parts.part_of)
    start = Path(settings.model.adapter) if settings.model.adapter else None
    before = _figures(engine.answerer(start), parts, rubric)
    pairs = read_pairs(folder / PAIRS_FILE) if resume else _ask(engine.answerer(start), parts, rubric, settings)
    write_pairs(folder / PAIRS_FILE, pairs)
    tell(f"{len(pairs)} pairs out of {len(parts.train)} pictures; method {settings.preference.method}.")
    guard = HistoryWatch(settings.guards, settings.preference.beta)
    trained = engine.train(
        Job(
            pairs=pairs,
            images_rgb=parts.train.images_rgb,
            examples=balanced_examples(parts.train, rubric, settings.seed),
            parent=start,
            seed=settings.seed,
            out=folder,
            begin=lambda _: None,
            report=guard.see,
        )
    )
    after = _figures(engine.answerer(trained.adapter), parts, rubric)
    tell(f"macro-F1 on other people: {before['macro_f1']:.4f} before, {after['macro_f1']:.4f} after.")
    tell(f"Adapter written to {trained.adapter}")
    return trained.adapter


def _with_method(settings: RoundsSettings, method: str | None) -> RoundsSettings:
    return replace(settings, preference=replace(settings.preference, method=method)) if method else settings


def _ask(answerer: Answerer, parts: Parts, rubric: Rubric, settings: RoundsSettings) -> list[PreferencePair]:
    """The policy's wrong answers to the training pictures, as pairs."""
    train, seed = parts.train, settings.seed
    wrong, _ = label_disagreements(answerer, train, parts.item_ids, rubric, settings.sampling, seed)
    if settings.pairs.gaze_share > 0 and rubric.kind == "behaviour" and wrong:
        wrong = wrong + gaze_disagreements(answerer, train, parts.item_ids, settings.sampling)
    keys = picture_keys(train.images_rgb)
    pairs, _ = make_pairs(wrong, rubric, settings.pairs, round_number=1, seed=seed, picture_keys=keys)
    if not pairs:
        right = int(np.count_nonzero(train.labels != NO_LABEL))
        raise BadInputError(f"no wrong answer to any of {right} labelled pictures: there is nothing to prefer.")
    return invert_pairs(pairs, settings.invert_share, seed)


def _figures(answerer: Answerer, parts: Parts, rubric: Rubric) -> dict[str, Any]:
    selection = parts.selection.take(np.flatnonzero(parts.selection.labels != NO_LABEL))
    return label_figures(selection, ask_labels(answerer, selection, rubric), rubric)
