"""Figures of all arms with intervals over students, and what the best supervised training of equal cost leaves to gain.

Pure: answers in, rows and a markdown table out. A draw of students is the same for all arms and seeds of a set, and a
figure of an arm is the mean over its seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.iterations.arms import Answers
from trainer.corpora.record import PictureSet
from trainer.evaluation import counts
from trainer.evaluation.counts import Counts
from trainer.evaluation.intervals import Interval, bootstrap_counts, counts_by_person, interval

SFT_ARMS = ("sft-generic", "sft-specific", "sft-longer")
"""What rounds must beat; the one that is best on the selection students stands for them, seed by seed."""
DRAWS = 1000
DEPLOYED = "deployed"
"""All final people, each label weighing as often as it occurs where the model is used. The imbalanced set is the same
mix with a handful of pictures of the rarest label, on which a third of its macro-F1 then hangs."""
WHOLE = 1_000_000
"""Pictures that a weighted confusion matrix stands for, so that shares stay whole numbers."""


@dataclass(frozen=True)
class Figures:
    """Macro-F1 of one arm on one set."""

    value: Interval
    over_sft: Interval | None
    """Difference to the best supervised arm; None where there is none, or for that arm itself."""


@dataclass(frozen=True)
class _Drawn:
    value: float
    draws: NDArray[np.float64]


class Table:
    """Everything that was answered."""

    def __init__(
        self,
        sets: Mapping[str, PictureSet],
        labels: int,
        answers: Mapping[tuple[str, int], Answers],
        prior: Sequence[float],
    ) -> None:
        """`answers` of (arm, seed); `prior`: how often each label occurs where the model is used."""
        self.sets, self.labels, self.answers = sets, labels, answers
        self.prior = np.asarray(prior)
        self.arms = list(dict.fromkeys(arm for arm, _ in answers))
        self.seeds = sorted({seed for _, seed in answers})
        self._known: dict[tuple[str, int, str], _Drawn] = {}

    def figures(self, arm: str, name: str) -> Figures | None:
        """Of one arm on one set, over all its seeds; None where it has no answers."""
        seeds = [seed for seed in self.seeds if _source(name) in self.answers.get((arm, seed), {})]
        if not seeds:
            return None
        mine = [self._drawn(arm, seed, name) for seed in seeds]
        best = [self.best_sft(seed) for seed in seeds]
        over = None
        if arm not in SFT_ARMS and all(best):
            theirs = [self._drawn(str(other), seed, name) for other, seed in zip(best, seeds, strict=True)]
            over = _mean_interval(
                [one.value - other.value for one, other in zip(mine, theirs, strict=True)],
                [one.draws - other.draws for one, other in zip(mine, theirs, strict=True)],
            )
        return Figures(_mean_interval([one.value for one in mine], [one.draws for one in mine]), over)

    def best_sft(self, seed: int) -> str | None:
        """The supervised arm that the selection students prefer."""
        there = [arm for arm in SFT_ARMS if (arm, seed) in self.answers]
        return max(there, key=lambda arm: self._drawn(arm, seed, "selection").value) if there else None

    def markdown(self) -> str:
        """Rows are arms, columns sets: macro-F1, its 95 % interval, and the difference to the best supervised arm."""
        shown = [name for name in self.sets if name != "selection"]
        if "final" in shown:
            shown.insert(shown.index("imbalanced") + 1 if "imbalanced" in shown else 1, DEPLOYED)
        rows = [["arm", *shown], ["---"] * (len(shown) + 1)]
        for arm in self.arms:
            rows.append([arm, *(_cell(self.figures(arm, name)) for name in shown)])
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)

    def headline(self) -> dict[str, float | int | None]:
        """What the issue asks: the gain of rounds, and what inverted pairs cost."""
        told: dict[str, float | int | None] = {"arms": len(self.arms), "seeds": len(self.seeds)}
        for name in ("balanced", "imbalanced", DEPLOYED, "hard"):
            found = self.figures("rounds-hadpo", name) if _source(name) in self.sets else None
            told[f"gain_{name}"] = round(100 * found.over_sft.value, 2) if found and found.over_sft else None
        lost = {method: self._lost(method) for method in ("dpo", "robust")}
        return told | {f"{method}_loses_by_inversion": points for method, points in lost.items()}

    def _lost(self, method: str) -> float | None:
        clean, inverted = (self.figures(f"{kind}-{method}", "balanced") for kind in ("once", "inverted"))
        return round(100 * (clean.value.value - inverted.value.value), 2) if clean and inverted else None

    def _drawn(self, arm: str, seed: int, name: str) -> _Drawn:
        key = (arm, seed, name)
        if key not in self._known:
            source = _source(name)
            pictures, said = self.sets[source], self.answers[arm, seed][source]
            by_person = counts_by_person(pictures.persons, pictures.labels, said, self.labels)
            whole, drawn = by_person.sum(axis=0), bootstrap_counts(by_person, draws=DRAWS, seed=0)
            if name == DEPLOYED:
                whole, drawn = weighted(whole, self.prior), weighted(drawn, self.prior)
            self._known[key] = _Drawn(float(counts.macro_f1(whole)), counts.macro_f1(drawn))
        return self._known[key]


def weighted(confusion: Counts, prior: NDArray[np.float64]) -> Counts:
    """Confusion matrices (..., L, L) as they would be if the true labels occurred as often as `prior` (L,) says."""
    shares = np.nan_to_num(confusion / confusion.sum(axis=-1, keepdims=True))
    mixed: Counts = np.rint(shares * (WHOLE * prior[:, None])).astype(np.int64)
    return mixed


def _source(name: str) -> str:
    """The set whose pictures and answers a column is made of."""
    return "final" if name == DEPLOYED else name


def _mean_interval(values: Sequence[float], draws: Sequence[NDArray[np.float64]]) -> Interval:
    return interval(float(np.mean(values)), np.mean(draws, axis=0))


def _cell(found: Figures | None) -> str:
    if found is None:
        return "–"
    text = f"{found.value.value:.3f} ({found.value.low:.3f}–{found.value.high:.3f})"
    if found.over_sft is None:
        return text
    over = found.over_sft
    return f"{text} {100 * over.value:+.1f} ({100 * over.low:+.1f} to {100 * over.high:+.1f})"
