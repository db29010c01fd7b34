"""How many preference pairs are inverted: estimated from crops that two people annotated, and made on purpose.

A pair (chosen, rejected) is inverted where the rejected phrase is the true one. That is not the share of wrong labels:
pairs are made only where label and model disagree, and there wrong labels gather. A good model and careless annotators
give many inverted pairs; the `robust` loss must know their share. Pure; this file knows no files and no model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from monitor.errors import BadInputError
from trainer.pairs import PreferencePair

FEWEST = 30
"""Crops below which an estimate says nothing."""


@dataclass(frozen=True, slots=True)
class DoubleLabel:
    """One crop that two people annotated, each without seeing the other's word."""

    person: str
    """Who is in it."""
    first: int
    """Label of the annotator whose word becomes `chosen`."""
    second: int
    """Label of the other one."""
    predicted: int | None = None
    """What the model said, where it is known: it becomes `rejected`."""


@dataclass(frozen=True, slots=True)
class NoiseEstimate:
    """What doubly annotated crops say of the annotations."""

    crops: int
    disagreed: float
    """Share of crops on which the two people differ."""
    wrong_labels: float
    """Share of one person's labels that are wrong, if errors are independent and go to any other label alike."""
    epsilon: float
    """Share of preference pairs that are inverted: what `robust` wants."""
    low: float
    high: float
    """95 % interval of epsilon over the students in the crops."""
    pairs: int
    """Crops on which the model and the first person differ: what epsilon is counted on; 0 where no answers are known,
    then it is computed from the shares."""


def estimate_noise(crops: Sequence[DoubleLabel], labels: int, *, draws: int = 500, seed: int = 0) -> NoiseEstimate:
    """Estimate the share of inverted pairs.

    With the model's answers it is counted where it matters, among the crops that become pairs: how often does the
    second person side with the model there? The second person errs too, which is taken out. Without the answers the
    share of wrong labels stands for it, which is too little for a good model (see the top of this file).

    Args:
        crops: annotated twice; those on which somebody could not tell are left out before.
        labels: how many the rubric has.
        draws: of the bootstrap over students.
        seed: of the draws.

    Raises:
        BadInputError: too few crops, or a label outside the rubric.
    """
    if len(crops) < FEWEST:
        raise BadInputError(
            f"{len(crops)} crops were annotated by two people, expected at least {FEWEST} to estimate how many pairs "
            "are inverted. Have a second person annotate some, or give epsilon yourself."
        )
    for one in crops:
        for label in (one.first, one.second, one.predicted):
            if label is not None and not 0 <= label < labels:
                raise BadInputError(f"a doubly annotated crop has label number {label}, the rubric has {labels}.")
    owners: dict[str, list[DoubleLabel]] = {}
    for one in crops:
        owners.setdefault(one.person, []).append(one)
    groups = list(owners.values())
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(draws):
        picked = [one for index in rng.integers(0, len(groups), len(groups)) for one in groups[index]]
        drawn.append(_epsilon(picked, labels)[2])
    disagreed, wrong, epsilon, pairs = _epsilon(crops, labels)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return NoiseEstimate(len(crops), disagreed, wrong, epsilon, float(low), float(high), pairs)


def wrong_share(disagreed: float, labels: int) -> float:
    """Share of one person's labels that are wrong, from how often two people differ.

    Two people err independently, each in a share e of crops and to each other label alike; they agree where both are
    right or both wrong the same way: 1 - d = (1 - e)^2 + e^2 / (L - 1). The smaller root is taken: people are right
    more often than not. From d = (L - 1) / L on they agree no more than by chance.
    """
    most = (labels - 1) / labels
    return most * (1 - math.sqrt(max(0.0, 1 - disagreed / most)))


def invert_pairs(pairs: Sequence[PreferencePair], share: float, seed: int) -> list[PreferencePair]:
    """Swap chosen and rejected in a share of the pairs, for experiments with noise; the order stays.

    Raises:
        BadInputError: a share outside 0 to 1.
    """
    if not 0 <= share <= 1:
        raise BadInputError(f"the share of pairs to invert must lie in 0 to 1, found {share}")
    order = np.random.default_rng(seed).permutation(len(pairs))
    turned = {int(index) for index in order[: round(share * len(pairs))]}
    return [
        replace(pair, chosen=pair.rejected, rejected=pair.chosen) if index in turned else pair
        for index, pair in enumerate(pairs)
    ]


def _epsilon(crops: Sequence[DoubleLabel], labels: int) -> tuple[float, float, float, int]:
    """(share of disagreement, share of wrong labels, share of inverted pairs, crops it is counted on)."""
    disagreed = sum(one.first != one.second for one in crops) / len(crops)
    wrong = wrong_share(disagreed, labels)
    pairs = [one for one in crops if one.predicted is not None and one.predicted != one.first]
    if not pairs:
        return disagreed, wrong, wrong, 0
    sided = sum(one.second == one.predicted for one in pairs) / len(pairs)
    # The second person says the model's word where it is true and they are right, or where they err to it.
    by_chance = wrong / (labels - 1)
    span = 1 - wrong - by_chance
    epsilon = (sided - by_chance) / span if span > 0 else 0.5
    return disagreed, wrong, float(min(1.0, max(0.0, epsilon))), len(pairs)
