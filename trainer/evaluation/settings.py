"""What an evaluation does, and how often. Defaults are those of a report that is published."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """The options of one evaluation; all of them are in its JSON."""

    draws: int = 1000
    """Bootstrap draws of people, and shuffles of the null."""
    seed: int = 0
    folds: int = 5
    """Of people, for what is fitted."""
    consistency: bool = True
    probes: bool = True
    free_answers: int = 300
    """At most so many pictures are answered in words; 0 = none. They are drawn evenly over the set."""
    limit: int = 0
    """At most so many pictures, whole people at a time; 0 = all."""
    batch_size: int = 64

    def __post_init__(self) -> None:
        if self.draws < 1 or self.batch_size < 1 or self.folds < 2 or self.limit < 0 or self.free_answers < 0:
            raise ValueError(f"draws and batch_size from 1, folds from 2, limits from 0, found {self}")
