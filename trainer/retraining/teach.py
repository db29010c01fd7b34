"""Teaches a model a class's corrections, in preference rounds, with replayed pictures so that nothing else moves.

All corrected students are learned from: whether the new model is better is judged elsewhere, on students set aside for
ever and through the runtime. What the replayed people decide here is that no label is lost. This file joins lessons,
replay and rounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.errors import BadInputError
from monitor.rubric import Rubric
from trainer.acceptance import AcceptanceSettings
from trainer.corpora.classroom import note_run
from trainer.corpora.record import PictureSet, join
from trainer.pairs import PairSettings
from trainer.preference.settings import PreferenceSettings
from trainer.retraining.lessons import Lessons
from trainer.retraining.replay import PREFIX, load_replay
from trainer.round_engine import PolicyEngine
from trainer.round_parts import Parts
from trainer.round_people import PEOPLE_FILE, read_people
from trainer.round_run import CACHE_FOLDER
from trainer.round_settings import PolicyChoice, RoundData, RoundsSettings
from trainer.round_stages import ask_labels
from trainer.rounds import RUN_FILE, Outcome, Tell, run_rounds
from trainer.split import share_of

METHOD = "hadpo"
_SHARES = (("train", 0.6), ("selection", 0.8), ("final", 1.0))
"""Replayed people are dealt by a hash, so that each stays where they are in every retraining."""


@dataclass(frozen=True, slots=True)
class TeachSettings:
    """How a model is retrained; the defaults suit ten to a few hundred corrections."""

    rounds: int = 2
    steps: int = 80
    """A round."""
    learning_rate: float = 5e-4
    batch_size: int = 16
    sft_batch_size: int = 32
    gamma: float = 1.0
    """Weight of the cross-entropy, of which most is replay: twice the usual, for here staying the same counts as much
    as what is corrected."""
    rank: int = 16
    """Of a new adapter; one that is continued keeps its own."""
    seed: int = 0
    threads: int = 1
    only_right: bool = False
    """Replay only what the model gets right: then it stays as it is, faults included, and wrong lessons meet less
    resistance. Otherwise replayed pictures teach their labels too."""
    lenient: bool = False
    """Keep what was learned even where replayed people lose by it: somebody wants it so and answers for it."""
    replay: Path | None = None
    """Corpus that is replayed, see `load_replay`; None = the renders that ship."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a retraining goes on from."""

    base: Path
    """Folder of the checkpoint."""
    parent: Path | None
    """Adapter on it; None = the base as it is."""


def expected_s(lessons: Lessons, settings: TeachSettings) -> float:
    """Roughly how long it takes on one free core with the embedded model; export and gate included."""
    return 45 + 0.06 * (len(lessons.items) + 288) + settings.rounds * settings.steps * 0.3


def teach(
    store: Path, lessons: Lessons, rubric: Rubric, start: Start, out: Path, settings: TeachSettings, tell: Tell = print
) -> Outcome:
    """Run the rounds; called again after a crash, go on to the same result.

    Args:
        store: whose crops; it remembers that this run learned from it.
        lessons: what is learned.
        rubric: what is asked.
        start: which model.
        out: folder of the run.
        settings: how.
        tell: is told a line now and then.

    Raises:
        BadInputError: nothing to learn, or pictures that cannot be read.
        BundleError: a base or an adapter that cannot be used.
    """
    note_run([store], out)
    rounds = rounds_settings(start.base, start.parent, settings, rubric)
    engine = PolicyEngine(rounds.model, rounds.preference, out / CACHE_FOLDER, seed=settings.seed)
    known = read_people(out) if (out / PEOPLE_FILE).is_file() else _people_before(start.parent)
    class_pictures = lessons.corpus.load(lessons.items, engine.side_px)
    parts = deal(class_pictures, load_replay(rubric, engine.side_px, settings.replay), known)
    if settings.only_right:
        parts = keep_what_is_right(parts, ask_labels(engine.answerer(start.parent), parts.train, rubric))
    tell(f"{len(lessons.items)} crops of the class, {_replayed(parts.train).sum()} replayed to stay the same.")
    parts = repeat_lessons(parts)
    return run_rounds(rounds, rubric, parts, engine, out, resume=(out / RUN_FILE).is_file(), tell=tell)


def rounds_settings(base: Path, parent: Path | None, settings: TeachSettings, rubric: Rubric) -> RoundsSettings:
    """The rounds of a retraining."""
    return RoundsSettings(
        name="retraining",
        rubric=rubric.rubric_id,
        research=True,  # whoever labelled under it was asked
        rounds=settings.rounds,
        seed=settings.seed,
        data=RoundData(("store",)),
        model=PolicyChoice(
            base=str(base), adapter=str(parent) if parent else "", rank=settings.rank, alpha=2.0 * settings.rank
        ),
        pairs=PairSettings(gaze_share=0.0),
        preference=PreferenceSettings(
            method=METHOD,
            gamma=settings.gamma,
            learning_rate=settings.learning_rate,
            batch_size=settings.batch_size,
            sft_batch_size=settings.sft_batch_size,
            steps=settings.steps,
            threads=settings.threads,
        ),
        # The gate is strict, with the quantized bundle and on real students. Some sixty replayed people only say
        # whether anything broke.
        acceptance=AcceptanceSettings(
            least_points=-100.0 if settings.lenient else -8.0,
            least_gain_points=-100.0 if settings.lenient else -3.0,
            level=0.5,
        ),
    )


def deal(class_pictures: PictureSet, replay: PictureSet, known: Mapping[str, str]) -> Parts:
    """Students of the class teach, unless an earlier run used them to judge; replayed people go where their hash says.

    Args:
        class_pictures: those that teach.
        replay: of other people.
        known: owner -> part in an earlier run.

    Raises:
        BadInputError: nobody is left to learn from.
    """
    part_of = {person: known.get(person, "train") for person in class_pictures.persons}
    part_of |= {
        person: next(part for part, below in _SHARES if share_of(person, "retraining") < below)
        for person in replay.persons
    }
    if "train" not in {part_of[person] for person in class_pictures.persons}:
        raise BadInputError("all labelled students were used to judge in an earlier run; label others.")
    both, ids = join([_bare(class_pictures), replay]), _ids(class_pictures, replay)
    rows = {part: [row for row, one in enumerate(both.persons) if part_of[one] == part] for part, _ in _SHARES}
    return Parts(
        train=both.take(rows["train"]),
        item_ids=tuple(ids[row] for row in rows["train"]),
        selection=both.take(rows["selection"]),
        final=both.take(rows["final"]),
        part_of={**known, **part_of},
    )


def keep_what_is_right(parts: Parts, answers: NDArray[np.int64]) -> Parts:
    """Without the replayed pictures that the model gets wrong."""
    train = parts.train
    rows = np.flatnonzero(~_replayed(train) | (answers == train.labels))
    return replace(parts, train=train.take(rows), item_ids=tuple(parts.item_ids[row] for row in rows))


def repeat_lessons(parts: Parts) -> Parts:
    """The class's pictures as often as replayed ones, so that the cross-entropy is of both; pairs stay as they are."""
    replayed = _replayed(parts.train)
    own, others = np.flatnonzero(~replayed), np.flatnonzero(replayed)
    times = max(1, round(len(others) / len(own)))
    rows = np.concatenate([np.tile(own, times), others])
    ids = [f"{parts.item_ids[row]}~{turn}" if turn else parts.item_ids[row] for turn in range(times) for row in own]
    return replace(parts, train=parts.train.take(rows), item_ids=(*ids, *(parts.item_ids[int(row)] for row in others)))


def _replayed(pictures: PictureSet) -> NDArray[np.bool_]:
    """(N,) which of them are not of the class."""
    return np.array([person.startswith(PREFIX) for person in pictures.persons])


def _ids(class_pictures: PictureSet, replay: PictureSet) -> list[str]:
    return [item.item_id for item in class_pictures.items] + [f"replay-{row}" for row in range(len(replay))]


def _bare(pictures: PictureSet) -> PictureSet:
    """Without the columns that replayed pictures lack."""
    return replace(pictures, groups=(), items=())


def _people_before(parent: Path | None) -> dict[str, str]:
    """Where people were in the run that made the adapter."""
    made_by = next((one for one in parent.parents if (one / PEOPLE_FILE).is_file()), None) if parent else None
    return read_people(made_by) if made_by else {}
