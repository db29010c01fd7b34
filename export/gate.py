"""The gate: whether a challenger may become the champion, from both models' answers to the same pictures.

No class and no group may lose: the paired bootstrap over students must stay above a point's loss in each. Confidence
must stay honest, the runtime must answer as the trainer did, and enough students must have been asked. Pure:
probabilities in, a verdict out; formulas are those of `export.figures`. This file knows no files and no models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.figures import Counts, Probabilities, Truth, calibration_error, f1_per_label, macro_f1, rounded

Difference = tuple[float, float, float]
"""Challenger minus champion in points (hundredths of F1): value, lower and upper end of the interval."""


@dataclass(frozen=True, slots=True)
class GateSettings:
    """What a challenger must reach."""

    least_points: float = -1.0
    """In each class and group the lower end of the difference must be above this."""
    level: float = 0.9
    """Share of draws of students inside an interval; its lower end leaves half of the rest below."""
    draws: int = 2000
    fewest_students: int = 5
    """Of real students, set aside and labelled; with fewer, somebody has to answer for it by name."""
    fewest_in_group: int = 30
    """Pictures that a group must have to be judged, of `fewest_students` people at least."""
    calibration_slack: float = 0.02
    """By so much the calibration error may grow..."""
    calibration_free: float = 0.05
    """...and up to this it is honest enough anyway."""
    agreement: float = 0.99
    """Share of crops with one label through trainer and runtime, as the export measured it."""


@dataclass(frozen=True)
class Verdict:
    """What the gate says, and why."""

    passed: bool
    reasons: tuple[str, ...]
    """Why not; empty where it passed."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """For people and for JSON: everything that was compared, small groups included."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as the registry keeps them."""
        return {"passed": self.passed, "reasons": list(self.reasons), "figures": dict(self.figures)}


@dataclass(frozen=True)
class Circumstances:
    """What beside the answers decides."""

    rendered: NDArray[np.bool_] | None = None
    """(N,) True for rendered people, who do not count as students; None = all are real."""
    agreement: float | None = None
    """Of the challenger's runtime with its trainer; None = nobody measured it."""
    objections: tuple[str, ...] = ()
    """What is wrong with the challenger whatever it answers, such as having learned from those who judge it."""


@dataclass(frozen=True)
class Judged:
    """The pictures that both models answered."""

    truth: Truth
    """(N,) index of the true label."""
    students: Sequence[str]
    """(N,) whose picture each is."""
    groups: Sequence[Mapping[str, str]]
    """(N,) such as {"glasses": "clear"}."""
    labels: Sequence[str]
    """Names of the labels, in order."""


def judge(
    champion_answers: Probabilities,
    challenger_answers: Probabilities,
    pictures: Judged,
    around: Circumstances | None = None,
    settings: GateSettings | None = None,
) -> Verdict:
    """Compare two models' answers to the same pictures; both are drawn with the same students.

    Args:
        champion_answers: (N, labels) calibrated probabilities of the model in use.
        challenger_answers: (N, labels) of the one that would take its place.
        pictures: N of them, with their truth.
        around: whatever else decides.
        settings: what it takes.

    Raises:
        ValueError: columns of different length, or not a single picture.
    """
    around, bars = around or Circumstances(), settings or GateSettings()
    truth, labels = pictures.truth, pictures.labels
    if not len(truth) or len({len(truth), len(champion_answers), len(challenger_answers), len(pictures.students)}) > 1:
        raise ValueError(f"expected as many answers as pictures, and one at least, found {len(truth)} pictures")
    people = np.asarray(pictures.students)
    old, new = champion_answers.argmax(axis=1), challenger_answers.argmax(axis=1)
    pair = _Pair(truth, old, new, people, len(labels), bars)
    classes = dict(zip(labels, pair.by_class(), strict=True))
    judged, small = _groups(pair, pictures.groups, bars)
    errors = (calibration_error(truth, champion_answers), calibration_error(truth, challenger_answers))
    real = people if around.rendered is None else people[~around.rendered]
    reasons = [
        *around.objections,
        *_few_students(len(np.unique(real)), bars),
        *(f"no picture shows {name!r}, so nobody knows what happens to it" for name in _absent(truth, labels)),
        *_losses("", classes, bars),
        *(loss for key, values in judged.items() for loss in _losses(f"{key.replace('_', ' ')} = ", values, bars)),
        *_dishonest(errors, bars),
        *_unlike(around.agreement, bars),
    ]
    figures = {
        "pictures": len(truth),
        "students": len(np.unique(real)),
        "rendered_people": len(np.unique(people)) - len(np.unique(real)),
        "changed_answers": int((old != new).sum()),
        "macro_f1": {"champion": pair.macro(old), "challenger": pair.macro(new), "points": _told(pair.all())},
        "classes": {name: _told(one) for name, one in classes.items()},
        "groups": {key: {value: _told(one) for value, one in values.items()} for key, values in judged.items()},
        "groups_too_small": small,
        "calibration_error": {"champion": rounded(errors[0]), "challenger": rounded(errors[1])},
        "agreement": around.agreement,
        "bars": asdict(bars),
    }
    return Verdict(not reasons, tuple(reasons), figures)


class _Pair:
    """Two models on the same pictures, as confusion matrices a person."""

    def __init__(
        self, truth: Truth, old: Truth, new: Truth, people: NDArray[np.str_], count: int, bars: GateSettings
    ) -> None:
        self._truth, self._people, self._count, self._bars = truth, people, count, bars
        self._answers = (old, new)
        self._everywhere = np.ones(len(truth), dtype=np.bool_)
        self._overall = self._counts(self._everywhere)

    def by_class(self) -> list[Difference]:
        """Of each label, over all pictures."""
        (old, new), (drawn_old, drawn_new) = self._overall
        values = f1_per_label(new) - f1_per_label(old)
        draws = f1_per_label(drawn_new) - f1_per_label(drawn_old)
        return [_interval(values[label], draws[:, label], self._bars.level) for label in range(self._count)]

    def all(self) -> Difference:
        """Of macro-F1 over all pictures."""
        return self._macro_points(*self._overall)

    def of(self, rows: NDArray[np.bool_]) -> Difference:
        """Of macro-F1 over some pictures."""
        return self._macro_points(*self._counts(rows))

    def _macro_points(self, whole: list[Counts], drawn: list[Counts]) -> Difference:
        (old, new), (drawn_old, drawn_new) = whole, drawn
        return _interval(macro_f1(new) - macro_f1(old), macro_f1(drawn_new) - macro_f1(drawn_old), self._bars.level)

    def macro(self, answers: Truth) -> float | None:
        """Macro-F1 of one model's answers."""
        return rounded(macro_f1(self._by_person(answers, self._everywhere).sum(axis=0)))

    def people(self, rows: NDArray[np.bool_]) -> int:
        """How many are in some pictures."""
        return len(np.unique(self._people[rows]))

    def _counts(self, rows: NDArray[np.bool_]) -> tuple[list[Counts], list[Counts]]:
        """Whole counts of both models, and (draws, L, L) of people drawn anew: the same people for both."""
        found = [self._by_person(answers, rows) for answers in self._answers]
        number = len(found[0])
        weights = np.random.default_rng(0).multinomial(number, np.full(number, 1 / number), size=self._bars.draws)
        drawn = [
            np.rint(weights.astype(np.float64) @ one.reshape(number, -1).astype(np.float64)).astype(np.int64)
            for one in found
        ]
        shape = (self._bars.draws, self._count, self._count)
        return [one.sum(axis=0) for one in found], [one.reshape(shape) for one in drawn]

    def _by_person(self, answers: Truth, rows: NDArray[np.bool_]) -> Counts:
        names, owner = np.unique(self._people[rows], return_inverse=True)
        places = (owner * self._count + self._truth[rows]) * self._count + answers[rows]
        counts = np.bincount(places, minlength=len(names) * self._count**2)
        return counts.reshape(len(names), self._count, self._count)


def _groups(
    pair: _Pair, groups: Sequence[Mapping[str, str]], bars: GateSettings
) -> tuple[dict[str, dict[str, Difference]], list[str]]:
    """The difference in each group that is large enough, and the names of those that are not."""
    judged: dict[str, dict[str, Difference]] = {}
    small: list[str] = []
    for key in sorted({key for group in groups for key in group}):
        values = np.array([group.get(key, "") for group in groups])
        for value in np.unique(values[values != ""]):
            rows = values == value
            if rows.all():
                continue
            if rows.sum() < bars.fewest_in_group or pair.people(rows) < bars.fewest_students:
                small.append(f"{key} = {value}: {int(rows.sum())} pictures of {pair.people(rows)} people")
            else:
                judged.setdefault(key, {})[str(value)] = pair.of(rows)
    return judged, small


def _losses(where: str, found: Mapping[str, Difference], bars: GateSettings) -> list[str]:
    return [
        f"{where}{name}: F1 changes by {value:+.1f} points, at worst {low:+.1f} (limit {bars.least_points:+.1f})"
        + (": too few pictures to be sure" if value > bars.least_points else "")
        for name, (value, low, _) in found.items()
        if low <= bars.least_points  # NaN, a label that nobody has, is told by itself
    ]


def _few_students(found: int, bars: GateSettings) -> list[str]:
    if found >= bars.fewest_students:
        return []
    return [
        f"{found} students judge, expected {bars.fewest_students} at least: those of the store who are set aside and "
        "have labelled crops. Label more of them under Review, or force it with a reason"
    ]


def _absent(truth: Truth, labels: Sequence[str]) -> list[str]:
    return [name for label, name in enumerate(labels) if not (truth == label).any()]


def _dishonest(errors: tuple[float, float], bars: GateSettings) -> list[str]:
    limit = max(errors[0] + bars.calibration_slack, bars.calibration_free)
    if errors[1] <= limit:
        return []
    return [f"calibration error {errors[1]:.3f}, champion {errors[0]:.3f} (limit {limit:.3f})"]


def _unlike(agreement: float | None, bars: GateSettings) -> list[str]:
    if agreement is None:
        return ["nobody measured whether the runtime answers as the trainer does: export it again"]
    if agreement < bars.agreement:
        return [f"the runtime gives the trainer's label in {agreement:.2%} of crops (limit {bars.agreement:.0%})"]
    return []


def _interval(value: NDArray[np.float64], draws: NDArray[np.float64], level: float) -> Difference:
    known = draws[~np.isnan(draws)]
    if not len(known):
        return float("nan"), float("nan"), float("nan")
    edge = (1 - level) / 2
    low, high = np.quantile(known, [edge, 1 - edge])
    return 100 * float(value), 100 * float(low), 100 * float(high)


def _told(found: Difference) -> list[float | None]:
    return [None if np.isnan(one) else round(one, 2) for one in found]
