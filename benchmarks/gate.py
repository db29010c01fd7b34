"""How often the gate lets a challenger through that is worse, as good, or better on the students who judge it.

    python -m benchmarks.gate [--trials 30] [--students 10] [--seed 0]

No model is asked: answers are drawn. The champion is right in 85 % of the crops, of each student in another share. The
challenger answers some crops otherwise, half of these for the worse, and on top so many more of the students' crops are
right or wrong. On the rendered people who ship with the gate both are as good. Each trial draws everything anew. The
last line is one JSON object: `passed`, the share of challengers that pass, by how many answers they change however good
they are, and by the points that they truly differ; `classes_alone`, the same if no groups were known.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.gate import Circumstances, Judged, judge
from export.held_aside import RENDERS, SET, STORE, describe_renders
from monitor.rubric import load_rubric

CROPS = 30
"""Labelled, of each student."""
POINTS = (-5, -2, 0, 5)
"""Hundredths of the students' crops that are right in addition."""
RIGHT, SPREAD = 0.85, 0.08
"""Share of right answers of the champion: mean and standard deviation over people."""
RESTLESS = (0.0, 0.002, 0.005, 0.02)
"""Shares of all answers that a challenger changes for the worse and, as many, for the better, however good it is."""
SURE = 0.85
"""Confidence of every answer, which is then honest on the whole."""


@dataclass(frozen=True, slots=True)
class Change:
    """How a challenger differs."""

    restless: float
    """Share of answers changed for the worse, and as many for the better."""
    gain: float
    """Share of the students' crops that are right in addition; negative: wrong."""


@dataclass(frozen=True)
class Asked:
    """Pictures that judge, rendered people first."""

    truth: NDArray[np.int64]
    people: NDArray[np.str_]
    groups: tuple[dict[str, str], ...]
    rendered: NDArray[np.bool_]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--students", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    labels = load_rubric("attention").names
    renders = describe_renders(labels)
    told: dict[str, dict[str, dict[str, float]]] = {"passed": {}, "classes_alone": {}}
    for restless in RESTLESS:
        for points in POINTS:
            rng = np.random.default_rng([given.seed, given.students, round(restless * 1e4), points + 100])
            found = np.array(
                [
                    passes(
                        draw_pictures(labels, renders, given.students, rng), labels, Change(restless, points / 100), rng
                    )
                    for _ in range(given.trials)
                ]
            )
            for name, share in zip(told, found.mean(axis=0), strict=True):
                told[name].setdefault(f"{restless:.1%} restless", {})[f"{points:+d}"] = round(float(share), 3)
            print(f"{restless:.1%} restless, {points:+d} points: {found[:, 0].mean():.0%} pass", flush=True)
    print(json.dumps({**told, "trials": given.trials, "students": given.students, "crops_a_student": CROPS}))


def passes(asked: Asked, labels: tuple[str, ...], change: Change, rng: np.random.Generator) -> tuple[bool, bool]:
    """Whether one challenger passes, and whether it would if no groups were known."""
    old = draw_champion(asked, len(labels), rng)
    new = draw_challenger(asked, old, len(labels), change, rng)
    around = Circumstances(rendered=asked.rendered, agreement=1.0)
    answers = _sure(old, len(labels)), _sure(new, len(labels))
    nobody: tuple[dict[str, str], ...] = ({},) * len(asked.truth)
    with_groups, without = (
        judge(*answers, Judged(asked.truth, list(asked.people), groups, labels), around).passed
        for groups in (asked.groups, nobody)
    )
    return with_groups, without


def draw_pictures(
    labels: tuple[str, ...], renders: Sequence[dict[str, Any]], students: int, rng: np.random.Generator
) -> Asked:
    """The renders that ship, and so many students with `CROPS` crops each."""
    truth = [labels.index(str(row["label"])) for row in renders]
    people = [f"{RENDERS}/{row['person_id']}" for row in renders]
    groups: list[dict[str, Any]] = [{**row["groups"], SET: RENDERS} for row in renders]
    for number in range(students):
        truth += rng.integers(0, len(labels), CROPS).tolist()
        people += [f"{STORE}/{number}"] * CROPS
        groups += [{SET: STORE}] * CROPS
    rendered = np.arange(len(truth)) < len(renders)
    return Asked(np.array(truth), np.array(people), tuple(groups), rendered)


def draw_champion(asked: Asked, labels: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Answers, right in `RIGHT` of the pictures; how often differs from person to person."""
    _, owner = np.unique(asked.people, return_inverse=True)
    weight = RIGHT * (1 - RIGHT) / SPREAD**2 - 1
    share = rng.beta(RIGHT * weight, (1 - RIGHT) * weight, owner.max() + 1)[owner]
    return np.where(rng.random(len(owner)) < share, asked.truth, _another(asked.truth, labels, rng))


def draw_challenger(
    asked: Asked, old: NDArray[np.int64], labels: int, change: Change, rng: np.random.Generator
) -> NDArray[np.int64]:
    """The champion's answers with some changed."""
    gain = np.where(asked.rendered, 0.0, change.gain)
    right = old == asked.truth
    to_wrong = (change.restless + np.maximum(-gain, 0)) / RIGHT
    to_right = np.minimum(1.0, (change.restless + np.maximum(gain, 0)) / (1 - RIGHT))
    turned = rng.random(len(old)) < np.where(right, to_wrong, to_right)
    other = np.where(right, _another(asked.truth, labels, rng), asked.truth)
    return np.where(turned, other, old)


def _another(truth: NDArray[np.int64], labels: int, rng: np.random.Generator) -> NDArray[np.int64]:
    wrong: NDArray[np.int64] = (truth + rng.integers(1, labels, len(truth))) % labels
    return wrong


def _sure(answers: NDArray[np.int64], labels: int) -> NDArray[np.float64]:
    """Every answer with the same confidence, (N, labels)."""
    rest = (1 - SURE) / (labels - 1)
    return np.where(np.arange(labels) == answers[:, None], SURE, rest)


if __name__ == "__main__":
    main()
