"""All figures of one model on one set: evidence in, one record out.

Pure but for the judge that a caller may bring. It knows neither models nor files; what a figure means is told where it
is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.rubric import Rubric
from trainer.evaluation import counts
from trainer.evaluation.abstention import Abstention, Point, abstain, at_threshold
from trainer.evaluation.calibration import Calibration, calibrate
from trainer.evaluation.collapse import Collapse, find_collapse
from trainer.evaluation.compare import Comparison, compare
from trainer.evaluation.consistency import Consistency, measure_consistency
from trainer.evaluation.free_answers import FreeAnswers, Judged, read_free_answers
from trainer.evaluation.gather import Evidence
from trainer.evaluation.groups import Grouping, by_group
from trainer.evaluation.humans import HumanAgreement
from trainer.evaluation.intervals import Interval, bootstrap_counts, counts_by_person, interval
from trainer.evaluation.judge import Judge
from trainer.evaluation.metrics import majority_baseline
from trainer.evaluation.permutation import PermutationNull, permute_within
from trainer.evaluation.probes import (
    Probes,
    adversarial_labels,
    cross_adversarial,
    popular_labels,
    probe,
    random_labels,
)
from trainer.evaluation.settings import EvaluationSettings
from trainer.evaluation.similarity import Embedder


@dataclass(frozen=True)
class LabelFigures:
    """One label."""

    name: str
    pictures: int
    """That have it in truth."""
    answered: int
    """That were given it."""
    precision: Interval
    recall: Interval
    f1: Interval


@dataclass(frozen=True)
class Elsewhere:
    """Another set, of other people: what adversarial and popular probes are made from."""

    name: str
    confusion: NDArray[np.int64]
    """(L, L), rows the truth: this model's on that set."""


@dataclass(frozen=True)
class Rival:
    """Another model's answers to the same pictures."""

    name: str
    answers: NDArray[np.int64]
    """(N,) in the rows of the evidence."""


@dataclass(frozen=True)
class Beside:
    """What an evaluation may have beside one model and one set."""

    elsewhere: Elsewhere | None = None
    """Another set, for probes; None makes them of the other half of the people."""
    rival: Callable[[Evidence], Rival] | None = None
    """Gives another model's answers to the same pictures, for the paired comparison."""
    judge: Judge | None = None
    """Marks free answers."""
    embedder: Embedder | None = None
    """For the similarity of free answers."""
    set_name: str = ""
    """What the set is called."""
    humans: HumanAgreement | None = None
    """How far two people agree on crops of the same corpus."""


@dataclass(frozen=True)
class Evaluation:
    """One model on one set. A section that is None or empty has its reason in `notes`."""

    model: Mapping[str, str]
    data: Mapping[str, Any]
    rubric: Rubric
    settings: EvaluationSettings
    headline: Mapping[str, Interval]
    """Figures of counts.HEADLINE, with 95 % intervals over people."""
    majority: Mapping[str, float]
    """The same figures for always answering the commonest label."""
    confusion: NDArray[np.int64]
    """(L, L): rows are the truth, columns what the model said."""
    labels: tuple[LabelFigures, ...]
    null: PermutationNull
    calibration: Calibration
    abstention: Abstention
    own_threshold: Point | None
    """What the threshold gives with which the model ships."""
    collapse: Collapse
    consistency: Consistency | None
    probes: Probes | None
    free_answers: tuple[FreeAnswers, ...]
    judged: Judged | None
    groups: tuple[Grouping, ...]
    rival: str
    comparison: Comparison | None
    humans: HumanAgreement | None
    notes: tuple[str, ...]


def assess(
    evidence: Evidence,
    rubric: Rubric,
    settings: EvaluationSettings,
    *,
    model: Mapping[str, str],
    data: Mapping[str, Any],
    threshold: float | None = None,
    beside: Beside | None = None,
) -> Evaluation:
    """Compute every figure.

    Args:
        evidence: what the model answered.
        rubric: what it was asked.
        settings: draws, seed, folds.
        model: what the report says of the model.
        data: what the report says of the set.
        threshold: confidence below which the model ships as unsure.
        beside: what else there is.
    """
    extra = beside or Beside()
    rival = extra.rival(evidence) if extra.rival else None
    shares, truth, answers = np.exp(evidence.logp), evidence.truth, evidence.answers
    persons, count = evidence.persons, len(rubric.labels)
    draws, seed = settings.draws, settings.seed
    by_person = counts_by_person(persons, truth, answers, count)
    whole, drawn = by_person.sum(axis=0), bootstrap_counts(by_person, draws=draws, seed=seed)
    majority = majority_baseline(truth, count).confusion
    spoken, judged = read_free_answers(evidence, rubric, embedder=extra.embedder, judge=extra.judge)
    result = Evaluation(
        model=model,
        data={**data, "set": extra.set_name, **_tally(evidence)},
        rubric=rubric,
        settings=settings,
        headline={name: interval(float(figure(whole)), figure(drawn)) for name, figure in counts.HEADLINE.items()},
        majority={name: float(figure(majority)) for name, figure in counts.HEADLINE.items()},
        confusion=whole,
        labels=_labels(rubric, whole, drawn),
        null=permute_within(persons, truth, answers, count, draws=draws, seed=seed),
        calibration=calibrate(evidence.logp, truth, persons, folds=settings.folds, seed=seed),
        abstention=abstain(shares, truth, persons, folds=settings.folds, seed=seed),
        own_threshold=None if threshold is None else at_threshold(shares, truth, threshold),
        collapse=find_collapse(shares, truth),
        consistency=measure_consistency(shares, evidence.runs, truth, persons, draws=draws, seed=seed)
        if evidence.runs
        else None,
        probes=_probes(evidence, extra.elsewhere, seed),
        free_answers=spoken,
        judged=judged,
        groups=by_group(truth, answers, persons, evidence.groups, count, draws=draws, seed=seed),
        rival=rival.name if rival else "",
        comparison=compare(truth, answers, rival.answers, persons, count, draws=draws, seed=seed) if rival else None,
        humans=extra.humans,
        notes=(),
    )
    return replace(result, notes=_notes(result, evidence))


def _labels(rubric: Rubric, whole: counts.Counts, drawn: counts.Counts) -> tuple[LabelFigures, ...]:
    figures = {name: getattr(counts, name) for name in ("precision", "recall", "f1")}
    return tuple(
        LabelFigures(
            name=name,
            pictures=int(whole[index].sum()),
            answered=int(whole[:, index].sum()),
            **{kind: interval(float(f(whole)[index]), f(drawn)[:, index]) for kind, f in figures.items()},
        )
        for index, name in enumerate(rubric.names)
    )


def _probes(evidence: Evidence, elsewhere: Elsewhere | None, seed: int) -> Probes | None:
    if evidence.yes is None:
        return None
    truth, labels = evidence.truth, evidence.yes.shape[1]
    # Never this set's own confusions on the very people who are asked about: those would be chosen after the fact.
    prior = np.bincount(truth, minlength=labels).astype(np.float64)
    if elsewhere is not None:
        prior = elsewhere.confusion.sum(axis=1).astype(np.float64)
    chosen = {"random": random_labels(truth, labels, seed), "popular": popular_labels(truth, prior)}
    source = ""
    if elsewhere is not None:
        source = elsewhere.name
        chosen["adversarial"] = adversarial_labels(truth, elsewhere.confusion, prior)
    elif len(set(evidence.persons)) > 1:
        source = "the other half of the people"
        chosen["adversarial"] = cross_adversarial(truth, evidence.answers, evidence.persons, prior, seed)
    return probe(evidence.yes, truth, evidence.answers, chosen, adversarial_from=source)


def _tally(evidence: Evidence) -> dict[str, Any]:
    pictures = len(evidence.truth)
    return {
        "pictures": pictures,
        "people": len(set(evidence.persons)),
        "skipped": [f"{refusal.what}: {refusal.why}" for refusal in evidence.skipped],
        "ms_per_picture": 1e3 * evidence.seconds / pictures,
    }


def _notes(result: Evaluation, evidence: Evidence) -> tuple[str, ...]:
    """Why a section is missing or says little."""
    people = result.data["people"]
    told = [
        (people < 10, f"Only {people} {'person' if people == 1 else 'people'}: intervals over so few are too narrow."),
        (bool(evidence.skipped), f"{len(evidence.skipped)} pictures could not be read and are not counted."),
        (
            not result.null.testable,
            "No person has pictures of two labels, so that the null within people is not defined.",
        ),
        (not result.calibration.temperatures, "One person alone: no temperature can be fitted on others."),
        (result.consistency is None, "Consistency was not asked for."),
        (result.probes is None, "No yes/no probes: not asked for, a bundle, or a rubric without probes."),
        (not result.free_answers, "No free answers: not asked for, or a model that only scores."),
        (not result.groups, "No groups: the corpus names none, or none is large enough."),
        (bool(result.judged and result.judged.trouble), result.judged.trouble if result.judged else ""),
    ]
    return tuple(text for holds, text in told if holds)
