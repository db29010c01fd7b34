"""Whether a round becomes the new champion: no class may lose, on students that no training has seen.

Pure: answers in, a decision out. The students who decide here are others than those of the final figures; a figure that
chose the model is no measure of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from monitor.errors import BadInputError
from trainer.evaluation import counts
from trainer.evaluation.intervals import Interval, bootstrap_counts, counts_by_person, interval


@dataclass(frozen=True, slots=True)
class AcceptanceSettings:
    """When a challenger becomes the champion."""

    least_points: float = -1.0
    """In each class the interval of the difference in F1, challenger minus champion, must stay above this; points are
    hundredths."""
    least_gain_points: float = 0.0
    """The difference in macro-F1 itself must be at least this."""
    level: float = 0.9
    """Share of draws of students inside the interval. A small selection set has wide intervals, and few rounds pass."""
    draws: int = 2000

    def __post_init__(self) -> None:
        if not 0 <= self.level < 1 or self.draws < 100:
            raise BadInputError(
                f"level lies in 0 to below 1 and draws at 100 or more, found {self.level}, {self.draws}"
            )


@dataclass(frozen=True)
class Decision:
    """Challenger against champion, on the selection students."""

    accepted: bool
    by_class: Mapping[str, Interval]
    """Difference in F1 of each label, challenger minus champion, in points."""
    macro_f1: Interval
    """The same of macro-F1."""
    reasons: tuple[str, ...]
    """Why not; empty where it is accepted."""


def decide(
    truth: NDArray[np.int64],
    champion: NDArray[np.int64],
    challenger: NDArray[np.int64],
    persons: Sequence[str],
    names: Sequence[str],
    settings: AcceptanceSettings,
    seed: int = 0,
) -> Decision:
    """Compare two models' answers to the same pictures; both are drawn with the same students.

    Args:
        truth: (N,) labels.
        champion: (N,) answers of the model that is good so far.
        challenger: (N,) answers of the new one.
        persons: (N,) who each row belongs to.
        names: of the labels.
        settings: when it is accepted.
        seed: of the draws.

    Raises:
        BadInputError: a class without a picture: it could lose everything unseen.
    """
    require_every_class(truth, names, "the selection students")
    mine, theirs = (counts_by_person(persons, truth, answers, len(names)) for answers in (challenger, champion))
    drawn_mine, drawn_theirs = (bootstrap_counts(one, draws=settings.draws, seed=seed) for one in (mine, theirs))
    whole_mine, whole_theirs = mine.sum(axis=0), theirs.sum(axis=0)
    values = 100 * (counts.f1(whole_mine) - counts.f1(whole_theirs))
    draws = 100 * (counts.f1(drawn_mine) - counts.f1(drawn_theirs))
    by_class = {name: interval(float(values[k]), draws[:, k], settings.level) for k, name in enumerate(names)}
    macro = interval(
        float(100 * (counts.macro_f1(whole_mine) - counts.macro_f1(whole_theirs))),
        100 * (counts.macro_f1(drawn_mine) - counts.macro_f1(drawn_theirs)),
        settings.level,
    )
    reasons = [
        f"{name}: F1 changes by {one.value:+.1f} points, at worst {one.low:+.1f} (limit {settings.least_points:+.1f})"
        for name, one in by_class.items()
        if not one.low > settings.least_points
    ]
    if not macro.value >= settings.least_gain_points:
        reasons.append(f"macro-F1 changes by {macro.value:+.1f} points (at least {settings.least_gain_points:+.1f})")
    return Decision(not reasons, by_class, macro, tuple(reasons))


def require_every_class(truth: NDArray[np.int64], names: Sequence[str], where: str) -> None:
    """Refuse a held-out set that lacks a class.

    Raises:
        BadInputError: names the class.
    """
    missing = [name for label, name in enumerate(names) if not (truth == label).any()]
    if missing:
        raise BadInputError(
            f"{where}: no picture of {', '.join(missing)} among {len(truth)}; what happens to that class would stay "
            "unseen. Hold out more students, or choose another seed for the split."
        )


def require_different_people(parts: Mapping[str, Sequence[str]]) -> None:
    """Refuse parts that share a person.

    Raises:
        BadInputError: a split that leaks, or a part with nobody in it.
    """
    for name, people in parts.items():
        if not people:
            raise BadInputError(f"the part {name!r} has no picture. Give it a larger share, or add students.")
    for one, other in combinations(parts, 2):
        shared = sorted(set(parts[one]) & set(parts[other]))
        if shared:
            raise BadInputError(
                f"{len(shared)} people are both in {one!r} and in {other!r}, {shared[0]!r} the first: the split "
                "leaks, and figures would be too good. Split by person (trainer/split.py)."
            )
