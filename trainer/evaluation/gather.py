"""Asks a model everything about a set of pictures, once; all figures are made of what comes out.

Pixels are read a part at a time and forgotten. This file knows answerers and corpora, and no figure.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.rubric import Rubric
from monitor.vlm import prompt
from trainer.corpora.record import Corpus, Item, PictureSet, Refusal
from trainer.evaluation.answerer import Answerer
from trainer.evaluation.changes import CHANGES
from trainer.evaluation.consistency import Run
from trainer.evaluation.questions import phrases_of, probe_questions, right_words, worded_runs
from trainer.evaluation.settings import EvaluationSettings

_PART_BYTES = 256 * 2**20
Progress = Callable[[int, int], None]
"""Pictures done, pictures in all."""


@dataclass(frozen=True)
class Spoken:
    """Free answers to one question."""

    question: str
    rows: NDArray[np.int64]
    """Which pictures were asked about."""
    answers: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]
    """Wordings that would be right."""


@dataclass(frozen=True)
class Evidence:
    """What one model answered to each picture; rows are pictures, columns labels."""

    item_ids: tuple[str, ...]
    persons: tuple[str, ...]
    groups: tuple[Mapping[str, Any], ...]
    truth: NDArray[np.int64]
    logp: NDArray[np.float64]
    """(N, L) of the rubric's own question."""
    runs: Mapping[Run, NDArray[np.float64]] = field(default_factory=dict)
    """(N, L) probabilities of each other way to ask."""
    yes: NDArray[np.float64] | None = None
    """(N, L) probability of yes to each label's probe."""
    spoken: tuple[Spoken, ...] = ()
    skipped: tuple[Refusal, ...] = ()
    seconds: float = 0.0
    """Spent on the rubric's own question."""

    @property
    def answers(self) -> NDArray[np.int64]:
        """(N,): the label that was likeliest."""
        likeliest: NDArray[np.int64] = self.logp.argmax(axis=1)
        return likeliest


class _Columns:
    """Answers batch by batch, joined at the end."""

    def __init__(self) -> None:
        self.parts: dict[Any, list[Any]] = defaultdict(list)

    def add(self, key: Any, values: Any) -> None:
        self.parts[key].append(values)

    def joined(self, key: Any) -> NDArray[Any]:
        return np.concatenate(self.parts[key])

    def listed(self, key: Any) -> tuple[Any, ...]:
        return tuple(value for part in self.parts[key] for value in part)


def gather(
    answerer: Answerer,
    corpus: Corpus,
    items: Sequence[Item],
    rubric: Rubric,
    settings: EvaluationSettings,
    *,
    plain_only: bool = False,
    progress: Progress | None = None,
) -> Evidence:
    """Ask about labelled items.

    Args:
        answerer: who is asked.
        corpus: whose the items are.
        items: with a label each.
        rubric: what is asked.
        settings: what else is asked.
        plain_only: the rubric's own question alone.
        progress: told after each batch.

    Raises:
        BadInputError: too many pictures that cannot be read.
    """
    columns, done, seconds = _Columns(), 0, 0.0
    skipped: list[Refusal] = []
    speaking = _speaking(len(items), settings, answerer, plain_only)
    for pictures in _parts(corpus, items, answerer.side_px):
        skipped += pictures.skipped
        for start in range(0, len(pictures), settings.batch_size):
            rows = np.arange(start, min(start + settings.batch_size, len(pictures)))
            batch = pictures.take(rows)
            began = time.perf_counter()
            columns.add("logp", answerer.score(batch.images_rgb, rubric.question, phrases_of(rubric)))
            seconds += time.perf_counter() - began
            if not plain_only:
                _ask_otherwise(columns, answerer, batch, rubric, settings)
                _listen(columns, answerer, batch, rubric, done + np.arange(len(rows)), speaking)
            _note(columns, batch)
            done += len(rows)
            if progress:
                progress(done, len(items))
    return _evidence(columns, skipped, seconds)


def _parts(corpus: Corpus, items: Sequence[Item], side_px: int) -> Iterator[PictureSet]:
    size = max(64, _PART_BYTES // (3 * side_px**2))
    for start in range(0, len(items), size):
        yield corpus.load(items[start : start + size], side_px)


def _speaking(count: int, settings: EvaluationSettings, answerer: Answerer, plain_only: bool) -> NDArray[np.bool_]:
    """Which pictures are asked about in words: spread evenly over the set."""
    asked = np.zeros(count, dtype=bool)
    wanted = 0 if plain_only or not answerer.free else min(settings.free_answers, count)
    if wanted:
        asked[np.linspace(0, count - 1, wanted).round().astype(int)] = True
    return asked


def _note(columns: _Columns, batch: PictureSet) -> None:
    columns.add("truth", batch.labels)
    columns.add("persons", batch.persons)
    columns.add("groups", batch.groups or ({},) * len(batch))
    columns.add("item_ids", tuple(item.item_id for item in batch.items))


def _ask_otherwise(
    columns: _Columns, answerer: Answerer, batch: PictureSet, rubric: Rubric, settings: EvaluationSettings
) -> None:
    images = batch.images_rgb
    if settings.probes and answerer.free:
        for index, question in enumerate(probe_questions(rubric)):
            columns.add(("yes", index), np.exp(answerer.score(images, question, (prompt.YES, prompt.NO)))[:, 0])
    if not settings.consistency:
        return
    if answerer.free:
        for run, (question, phrases) in worded_runs(rubric).items():
            columns.add(run, np.exp(answerer.score(images, question, phrases)))
    for name, change in CHANGES.items():
        changed = change(images, settings.seed)
        columns.add(Run("picture", name), np.exp(answerer.score(changed, rubric.question, phrases_of(rubric))))


def _listen(
    columns: _Columns,
    answerer: Answerer,
    batch: PictureSet,
    rubric: Rubric,
    places: NDArray[np.int64],
    speaking: NDArray[np.bool_],
) -> None:
    asked = np.flatnonzero(speaking[places])
    if not len(asked):
        return
    columns.add(("rows", rubric.question), places[asked])
    columns.add(("said", rubric.question), answerer.generate(batch.images_rgb[asked], rubric.question))
    columns.add(("meant", rubric.question), [right_words(rubric, label) for label in batch.labels[asked]])
    gazes = asked[~np.isnan(batch.angles_deg[asked, 2:]).any(axis=1)]
    if rubric.kind == "behaviour" and len(gazes):
        columns.add(("rows", prompt.GAZE_QUESTION), places[gazes])
        columns.add(("said", prompt.GAZE_QUESTION), answerer.generate(batch.images_rgb[gazes], prompt.GAZE_QUESTION))
        directions = [(prompt.gaze_phrase(*map(float, batch.angles_deg[row, 2:])),) for row in gazes]
        columns.add(("meant", prompt.GAZE_QUESTION), directions)


def _evidence(columns: _Columns, skipped: Sequence[Refusal], seconds: float) -> Evidence:
    probes = [key for key in columns.parts if isinstance(key, tuple) and key[0] == "yes"]
    questions = [key[1] for key in columns.parts if isinstance(key, tuple) and key[0] == "said"]
    return Evidence(
        item_ids=columns.listed("item_ids"),
        persons=columns.listed("persons"),
        groups=columns.listed("groups"),
        truth=columns.joined("truth"),
        logp=columns.joined("logp"),
        runs={key: columns.joined(key) for key in columns.parts if isinstance(key, Run)},
        yes=np.stack([columns.joined(key) for key in probes], axis=1) if probes else None,
        spoken=tuple(
            Spoken(
                question,
                columns.joined(("rows", question)),
                columns.listed(("said", question)),
                columns.listed(("meant", question)),
            )
            for question in questions
        ),
        skipped=tuple(skipped),
        seconds=seconds,
    )
