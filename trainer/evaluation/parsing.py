"""Reads a label out of a freely written answer, or says that none can be read.

Whole words only: "engaged" is not in "not-engaged", and "screen" inside "away from the screen" is no vote for screen.
What fits two labels, or is negated, is unreadable: it counts as wrong, never as whichever label suits. This file knows
no model; the headline is never made of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from monitor.rubric import Rubric

UNREADABLE = -1
_NEGATIONS = {
    "not",
    "no",
    "never",
    "neither",
    "nor",
    "without",
    "isn't",
    "doesn't",
    "don't",
    "aren't",
    "cannot",
    "can't",
}
_WORD = re.compile(r"[^\W_]+(?:['’\-_][^\W_]+)*")


def parse_answer(text: str, rubric: Rubric) -> int:
    """The label that an answer names.

    Returns:
        its index; UNREADABLE where the answer names none, more than one, or a label beside a negation.
    """
    said = _words(text)
    found = [
        (at, at + len(phrase), label)
        for phrase, label in _phrases(rubric)
        for at in range(len(said) - len(phrase) + 1)
        if said[at : at + len(phrase)] == phrase
    ]
    outermost = [one for one in found if not any(_inside(one, other) for other in found)]
    named = {label for _, _, label in outermost}
    covered = {place for start, end, _ in outermost for place in range(start, end)}
    denied = any(word in _NEGATIONS or word.endswith("n't") for place, word in enumerate(said) if place not in covered)
    return named.pop() if len(named) == 1 and not denied else UNREADABLE


def _phrases(rubric: Rubric) -> Iterator[tuple[list[str], int]]:
    for index, label in enumerate(rubric.labels):
        for text in (label.name, label.phrase, *label.paraphrases):
            yield _words(text), index


def _words(text: str) -> list[str]:
    return [word.replace("’", "'").replace("_", "-") for word in _WORD.findall(text.casefold())]


def _inside(one: tuple[int, int, int], other: tuple[int, int, int]) -> bool:
    """Whether a phrase lies within a longer one."""
    longer = other[1] - other[0] > one[1] - one[0]
    return longer and other[0] <= one[0] and one[1] <= other[1]
