"""What a model says in its own words: whether a label can be read from it, and how near it is to the right words.

Pure but for the judge that a caller may bring. None of it is in the headline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.errors import ClassroomError
from monitor.rubric import Rubric
from trainer.evaluation.gather import Evidence, Spoken
from trainer.evaluation.judge import Judge, Marks
from trainer.evaluation.parsing import UNREADABLE, parse_answer
from trainer.evaluation.similarity import Embedder, Similarity, compare_texts

_SHOWN = 8


@dataclass(frozen=True)
class FreeAnswers:
    """Answers to one question."""

    question: str
    similarity: Similarity
    accuracy: float | None
    """Share of answers that name the true label and no other; None for a question whose answer is no label."""
    unreadable: float | None
    """Share of answers from which no label can be read; they count as wrong."""
    agreement: float | None
    """Share of answers that name the label which scoring found likeliest."""
    commonest: tuple[tuple[str, int], ...]
    """What was said most, and how often."""
    correctness: Marks | None = None
    """The judge's, where one was asked."""


@dataclass(frozen=True)
class Judged:
    """What else the judge was asked."""

    model: str
    consistency: Marks | None
    trouble: str = ""
    """Why the judge's marks are missing."""


def read_free_answers(
    evidence: Evidence, rubric: Rubric, *, embedder: Embedder | None = None, judge: Judge | None = None
) -> tuple[tuple[FreeAnswers, ...], Judged | None]:
    """Figures of every question that was answered in words.

    Args:
        evidence: of one model.
        rubric: whose labels are read from answers.
        embedder: for cosines.
        judge: for marks; where it fails, the rest stands and says why.
    """
    trouble, found = "", []
    for spoken in evidence.spoken:
        named = spoken.question == rubric.question
        answers = _read(spoken, evidence, rubric, embedder) if named else _compare(spoken, embedder)
        if judge and not trouble:
            try:
                answers = _judged(answers, spoken, evidence, rubric, judge)
            except ClassroomError as error:
                trouble = str(error)
        found.append(answers)
    if judge is None or not found:
        return tuple(found), None
    marks = None
    if not trouble:
        try:
            marks = _agree_with_themselves(evidence, rubric, judge)
        except ClassroomError as error:
            trouble = str(error)
    return tuple(found), Judged(judge.settings.model, marks, trouble)


def _compare(spoken: Spoken, embedder: Embedder | None) -> FreeAnswers:
    return FreeAnswers(
        question=spoken.question,
        similarity=compare_texts(spoken.answers, spoken.references, embedder),
        accuracy=None,
        unreadable=None,
        agreement=None,
        commonest=tuple(Counter(spoken.answers).most_common(_SHOWN)),
    )


def _read(spoken: Spoken, evidence: Evidence, rubric: Rubric, embedder: Embedder | None) -> FreeAnswers:
    plain = _compare(spoken, embedder)
    said = _labels(spoken.answers, rubric)
    return FreeAnswers(
        question=plain.question,
        similarity=plain.similarity,
        accuracy=float((said == evidence.truth[spoken.rows]).mean()),
        unreadable=float((said == UNREADABLE).mean()),
        agreement=float((said == evidence.answers[spoken.rows]).mean()),
        commonest=plain.commonest,
    )


def _judged(answers: FreeAnswers, spoken: Spoken, evidence: Evidence, rubric: Rubric, judge: Judge) -> FreeAnswers:
    if answers.accuracy is None:
        right = [given in wordings for given, wordings in zip(spoken.answers, spoken.references, strict=True)]
    else:
        right = list(map(bool, _labels(spoken.answers, rubric) == evidence.truth[spoken.rows]))
    rows = [(spoken.question, meant[0], given) for given, meant in zip(spoken.answers, spoken.references, strict=True)]
    fields = {name: getattr(answers, name) for name in answers.__dataclass_fields__}
    return FreeAnswers(**{**fields, "correctness": judge.correctness(rows, right)})


def _agree_with_themselves(evidence: Evidence, rubric: Rubric, judge: Judge) -> Marks | None:
    """The phrase of the plain answer against the one to the first paraphrase of the question, picture by picture."""
    for run, odds in evidence.runs.items():
        if run.kind == "question":
            phrases = [label.phrase for label in rubric.labels]
            pairs = zip(evidence.answers, odds.argmax(axis=1), strict=True)
            return judge.consistency([(phrases[first], phrases[second]) for first, second in pairs])
    return None


def _labels(answers: Sequence[str], rubric: Rubric) -> NDArray[np.int64]:
    return np.array([parse_answer(answer, rubric) for answer in answers], dtype=np.int64)
