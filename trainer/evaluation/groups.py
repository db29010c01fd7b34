"""Figures by group: does the model serve one kind of picture or person worse than another?

Pure. Groups too small to say anything are left out and counted, never shown as a number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation import counts
from trainer.evaluation.counts import Counts
from trainer.evaluation.intervals import Interval, bootstrap_counts, counts_by_person, interval

FEWEST_PICTURES = 30
FEWEST_PEOPLE = 3
MOST_VALUES = 12
"""A column with more values is a name or a measurement, not a group."""


@dataclass(frozen=True, slots=True)
class Group:
    """One value of one column."""

    value: str
    pictures: int
    people: int
    accuracy: Interval
    macro_f1: Interval
    gap: Interval
    """Accuracy in the group minus accuracy outside it."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """One column of the corpus."""

    name: str
    groups: tuple[Group, ...]
    too_small: int
    """Values that were left out."""


def by_group(
    truth: NDArray[np.int64],
    answers: NDArray[np.int64],
    persons: Sequence[str],
    groups: Sequence[Mapping[str, Any]],
    labels: int,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[Grouping, ...]:
    """Figures for every column that has two groups or more which are large enough.

    Args:
        truth: (N,).
        answers: (N,).
        persons: (N,) whose each row is.
        groups: (N,) columns and values of each row, or empty.
        labels: how many labels there are.
        draws: of the bootstrap over people.
        seed: of the draws.
    """
    found = []
    for name in sorted({name for row in groups for name in row}):
        column = np.array([str(row.get(name, "")) for row in groups])
        values = [value for value in np.unique(column) if value != ""]
        if not 2 <= len(values) <= MOST_VALUES:
            continue
        kept = []
        for value in values:
            inside = column == value
            if _large_enough(inside, persons):
                # One matrix a person for the inside and one for the outside: the outside is a second block of labels.
                block = np.where(inside, 0, labels)
                both = counts_by_person(persons, truth + block, answers + block, 2 * labels)
                people = len(np.unique(np.asarray(persons)[inside]))
                drawn = bootstrap_counts(both, draws=draws, seed=seed)
                kept.append(_group(str(value), people, both.sum(axis=0), drawn))
        if len(kept) >= 2:
            found.append(Grouping(name, tuple(kept), len(values) - len(kept)))
    return tuple(found)


def _large_enough(inside: NDArray[np.bool_], persons: Sequence[str]) -> bool:
    people = {person for person, there in zip(persons, inside, strict=True) if there}
    return int(inside.sum()) >= FEWEST_PICTURES and len(people) >= FEWEST_PEOPLE


def _group(value: str, people: int, whole: Counts, drawn: Counts) -> Group:
    """People are drawn among all, so that those with pictures inside and outside come along with both."""
    labels = whole.shape[-1] // 2
    here, there = (slice(0, labels),) * 2, (slice(labels, None),) * 2
    accuracy, outside = float(counts.accuracy(whole[here])), float(counts.accuracy(whole[there]))
    accuracies, outsides = counts.accuracy(drawn[:, *here]), counts.accuracy(drawn[:, *there])
    return Group(
        value=value,
        pictures=int(whole[here].sum()),
        people=people,
        accuracy=interval(accuracy, accuracies),
        macro_f1=interval(float(counts.macro_f1(whole[here])), counts.macro_f1(drawn[:, *here])),
        gap=interval(accuracy - outside, accuracies - outsides),
    )
