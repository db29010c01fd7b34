"""Everything that a model is asked in an evaluation: the rubric's question, other words for it, and probes.

This file knows the words, and no model.
"""

from __future__ import annotations

from collections.abc import Sequence

from monitor.rubric import Rubric
from monitor.vlm import prompt
from trainer.evaluation.consistency import Run

GENERIC_QUESTIONS = ("Describe the picture.", "What do you notice in this picture?")
"""Questions that name no task: how much a specific question is worth shows against them."""


def phrases_of(rubric: Rubric) -> tuple[str, ...]:
    """The answers that are scored."""
    return tuple(label.phrase for label in rubric.labels)


def worded_runs(rubric: Rubric) -> dict[Run, tuple[str, Sequence[str]]]:
    """Other ways to ask: run -> question and the answers to score, in the order of the labels."""
    plain = phrases_of(rubric)
    runs: dict[Run, tuple[str, Sequence[str]]] = {
        Run("question", text): (text, plain) for text in rubric.paraphrases if text != rubric.question
    }
    depth = min(len(label.paraphrases) for label in rubric.labels)
    for index in range(depth):
        words = tuple(label.paraphrases[index] for label in rubric.labels)
        runs[Run("answer", " / ".join(words))] = (rubric.question, words)
    for text in GENERIC_QUESTIONS:
        runs[Run("generic", text)] = (text, plain)
    return runs


def probe_questions(rubric: Rubric) -> tuple[str, ...]:
    """A yes/no question a label; none for rubrics that are not about where somebody looks."""
    if rubric.kind != "behaviour":
        return ()
    return tuple(prompt.probe_question(label.phrase) for label in rubric.labels)


def right_words(rubric: Rubric, label: int) -> tuple[str, ...]:
    """All wordings of a label that would be right."""
    return (rubric.labels[label].phrase, *rubric.labels[label].paraphrases)
