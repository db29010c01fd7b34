"""Which picture comes when, and what is asked about it: all of it a pure function of seed and step.

Nothing here has a state, so that a resumed run deals the same lessons as a straight one. This file knows no tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from monitor.rubric import Rubric
from monitor.vlm import prompt
from trainer.evaluation.questions import GENERIC_QUESTIONS


@dataclass(frozen=True, slots=True)
class Lesson:
    """One picture with a question and all answers that compete; the right one is named by its place."""

    row: int
    question: str
    answers: tuple[str, ...]
    right: int


class Deck:
    """Deals rows of pictures, each class in turn, each picture of a class once before any comes again."""

    def __init__(self, labels: NDArray[np.int64], seed: int, *, balanced: bool) -> None:
        """Take pictures up.

        Args:
            labels: (N,), each a class.
            seed: of the order.
            balanced: classes take turns; otherwise pictures come as often as they are.
        """
        if balanced:
            self._pools = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        else:
            self._pools = [np.arange(len(labels))]
        self._seed = seed
        self._order = lru_cache(maxsize=2 * len(self._pools))(self._shuffled)

    def rows(self, step: int, batch_size: int) -> list[int]:
        """The rows of one step, counted from 0."""
        return [self._row(number) for number in range(step * batch_size, (step + 1) * batch_size)]

    def _row(self, number: int) -> int:
        turn, pool = divmod(number, len(self._pools))
        round_, place = divmod(turn, len(self._pools[pool]))
        return int(self._order(pool, round_)[place])

    def _shuffled(self, pool: int, round_: int) -> NDArray[np.int64]:
        rng = np.random.default_rng([self._seed, pool, round_])
        return rng.permutation(self._pools[pool])


class Teaching:
    """Turns rows into lessons under one rubric."""

    def __init__(self, rubric: Rubric, *, prompts: str, paraphrased: float, probes: float, seed: int) -> None:
        """Fix the words.

        Args:
            rubric: question, paraphrases and phrases.
            prompts: "specific" or "generic".
            paraphrased: share of questions in other words.
            probes: share of yes/no questions, half of them with "yes" as the right answer.
            seed: of the choice.
        """
        self._phrases = tuple(label.phrase for label in rubric.labels)
        self._questions: Sequence[str] = (rubric.question, *rubric.paraphrases)
        if prompts == "generic":
            self._questions = GENERIC_QUESTIONS
        self._paraphrased, self._probes, self._seed = paraphrased, probes, seed

    @property
    def question(self) -> str:
        """What is asked when nothing is paraphrased."""
        return self._questions[0]

    def lessons(self, rows: Sequence[int], labels: NDArray[np.int64], step: int) -> list[Lesson]:
        """The lessons of one step."""
        rng = np.random.default_rng([self._seed, step])
        return [self._lesson(row, int(labels[row]), rng) for row in rows]

    def _lesson(self, row: int, label: int, rng: np.random.Generator) -> Lesson:
        probed, other, which, said = rng.random(), rng.random(), rng.random(), rng.random()
        if probed < self._probes:
            wrong = [index for index in range(len(self._phrases)) if index != label]
            about = label if said < 0.5 else wrong[int(which * len(wrong))]
            return Lesson(
                row, prompt.probe_question(self._phrases[about]), (prompt.YES, prompt.NO), int(about != label)
            )
        question = self._questions[0]
        if len(self._questions) > 1 and other < self._paraphrased:
            question = self._questions[1 + int(which * (len(self._questions) - 1))]
        return Lesson(row, question, self._phrases, label)
