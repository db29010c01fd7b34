"""Consistency: does the answer stay when only the words of the question, or unimportant pixels, change?

Pure: probabilities of each run in, figures out. Consistent is not correct: a model that always says the same is
perfectly consistent, so that the share of consistent and wrong answers stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation import counts
from trainer.evaluation.intervals import Interval, bootstrap_counts, counts_by_person, interval
from trainer.evaluation.metrics import score

Probabilities = NDArray[np.float64]
"""(N, L)."""
REPEATED = ("question", "picture")
"""Kinds of runs that ask the same again."""
REPEATS = 5
"""How often "the same question asked again" is asked."""


@dataclass(frozen=True, slots=True)
class Run:
    """One way to ask about the same pictures."""

    kind: str
    """One of "question" (asked in other words), "answer" (labels in other words), "picture" (slightly changed) and
    "generic" (a question that names no task)."""
    name: str
    """The words asked, or the name of the change."""


@dataclass(frozen=True, slots=True)
class RunFigures:
    """One run against the plain one."""

    run: Run
    agreement: Interval
    """Share of pictures that get the same label as in the plain run."""
    drift: float
    """Mean total variation between the probabilities, 0 to 1."""
    accuracy: float
    macro_f1: Interval


@dataclass(frozen=True)
class Consistency:
    """The plain run, other wordings of the question and changed pictures together. A generic question, or answers in
    words the model was never taught, are told apart: a change of the task is no repetition of it."""

    runs: tuple[RunFigures, ...]
    unanimous: float
    """Share of pictures with one label over all runs."""
    unanimous_wrong: float
    """Share of pictures with one label over all runs, and a wrong one."""
    fleiss_kappa: float
    """Agreement of the runs beyond chance; NaN where all runs say one label to all pictures."""
    accuracy_span: tuple[float, float]
    """Worst and best run."""
    sampled_agreement: float
    """Chance that two answers sampled from the same probabilities agree: asked again at temperature 1, exactly."""
    sampled_unanimous: float
    """The same for REPEATS answers in a row."""


def measure_consistency(
    plain: Probabilities,
    runs: Mapping[Run, Probabilities],
    truth: NDArray[np.int64],
    persons: Sequence[str],
    *,
    draws: int = 1000,
    seed: int = 0,
) -> Consistency:
    """Compare the runs.

    Args:
        plain: (N, L) of the rubric's own question on untouched pictures.
        runs: the others, rows in the same order.
        truth: (N,).
        persons: (N,) whose each row is.
        draws: of the bootstrap over people.
        seed: of the draws.
    """
    compared = tuple(_compare(run, odds, plain, truth, persons, draws, seed) for run, odds in runs.items())
    kept = [plain, *(odds for run, odds in runs.items() if run.kind in REPEATED)]
    answers = np.stack([odds.argmax(axis=1) for odds in kept], axis=1)
    same = (answers == answers[:, :1]).all(axis=1)
    right = (answers == truth[:, None]).mean(axis=0)
    return Consistency(
        runs=compared,
        unanimous=float(same.mean()),
        unanimous_wrong=float((same & (answers[:, 0] != truth)).mean()),
        fleiss_kappa=fleiss_kappa(answers, plain.shape[1]),
        accuracy_span=(float(right.min()), float(right.max())),
        sampled_agreement=float((plain**2).sum(axis=1).mean()),
        sampled_unanimous=float((plain**REPEATS).sum(axis=1).mean()),
    )


def fleiss_kappa(answers: NDArray[np.int64], labels: int) -> float:
    """Agreement of several raters beyond chance: (N, R) label indices; NaN for a single rater or a single label."""
    raters = answers.shape[1]
    if raters < 2:
        return float("nan")
    tally = np.stack([(answers == label).sum(axis=1) for label in range(labels)], axis=1)
    agreed = ((tally**2).sum(axis=1) - raters) / (raters * (raters - 1))
    chance = float(((tally.sum(axis=0) / tally.sum()) ** 2).sum())
    return float((agreed.mean() - chance) / (1 - chance)) if chance < 1 - 1e-12 else float("nan")


def _compare(
    run: Run,
    odds: Probabilities,
    plain: Probabilities,
    truth: NDArray[np.int64],
    persons: Sequence[str],
    draws: int,
    seed: int,
) -> RunFigures:
    labels = plain.shape[1]
    answers, before = odds.argmax(axis=1), plain.argmax(axis=1)
    agreed = bootstrap_counts(counts_by_person(persons, before, answers, labels), draws=draws, seed=seed)
    judged = bootstrap_counts(counts_by_person(persons, truth, answers, labels), draws=draws, seed=seed)
    scores = score(truth, answers, labels)
    return RunFigures(
        run=run,
        agreement=interval(float((answers == before).mean()), counts.accuracy(agreed)),
        drift=float(np.abs(odds - plain).sum(axis=1).mean() / 2),
        accuracy=scores.accuracy,
        macro_f1=interval(scores.macro_f1, counts.macro_f1(judged)),
    )
