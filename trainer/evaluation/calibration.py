"""How far confidence can be believed: reliability, calibration error, and a temperature fitted on other people.

Pure: log-probabilities and truth in, numbers out. A temperature fitted on the pictures that it is judged by would
flatter, so that each fold of people gets the temperature of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.folds import folds_by_person
from trainer.evaluation.intervals import Interval, bootstrap_by_person
from trainer.evaluation.metrics import expected_calibration_error

BINS = 10
COLDEST, HOTTEST = 0.05, 20.0
"""Temperatures that are tried; an end as the result means that the confidence carries nothing."""
_INTERVAL_DRAWS = 300
_GOLDEN = (np.sqrt(5) - 1) / 2

LogProbabilities = NDArray[np.float64]
"""(N, L); the exponentials of a row sum to one."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of about one confidence."""

    low: float
    high: float
    answers: int
    confidence: float
    """Mean; NaN for no answers."""
    accuracy: float
    """Share that was right; NaN for no answers."""


@dataclass(frozen=True)
class Calibration:
    """Confidence against accuracy, as the model says it and after temperature scaling."""

    ece: Interval
    brier: float
    """Mean squared distance of the probabilities from the truth, 0 to 2."""
    surprise: float
    """Mean negative log-likelihood of the truth, nats."""
    bins: tuple[Bin, ...]
    temperatures: tuple[float, ...]
    """One a fold of people, fitted on the others; empty where there are too few people."""
    scaled_ece: Interval | None
    scaled_surprise: float | None
    scaled_bins: tuple[Bin, ...]


def calibrate(
    logp: LogProbabilities, truth: NDArray[np.int64], persons: Sequence[str], *, folds: int = 5, seed: int = 0
) -> Calibration:
    """Measure calibration, as it is and with temperatures fitted on other people."""
    shares = np.exp(logp)
    scaled, temperatures = cross_fit(logp, truth, persons, folds=folds, seed=seed)
    fitted = bool(temperatures)
    return Calibration(
        ece=_ece(shares, truth, persons, seed),
        brier=brier(shares, truth),
        surprise=surprise(logp, truth),
        bins=reliability(shares, truth),
        temperatures=temperatures,
        scaled_ece=_ece(np.exp(scaled), truth, persons, seed) if fitted else None,
        scaled_surprise=surprise(scaled, truth) if fitted else None,
        scaled_bins=reliability(np.exp(scaled), truth) if fitted else (),
    )


def reliability(probabilities: NDArray[np.float64], truth: NDArray[np.int64], bins: int = BINS) -> tuple[Bin, ...]:
    """Equal-width bins of confidence, from 0 to 1; the empty ones too."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    found = []
    for index in range(bins):
        inside = place == index
        count = int(inside.sum())
        means = (float(confidence[inside].mean()), float(right[inside].mean())) if count else (np.nan, np.nan)
        found.append(Bin(index / bins, (index + 1) / bins, count, *means))
    return tuple(found)


def brier(probabilities: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """Mean squared distance from the truth, summed over labels: 0 is perfect, 2 is sure and wrong."""
    return float(((probabilities - np.eye(probabilities.shape[1])[truth]) ** 2).sum(axis=1).mean())


def surprise(logp: LogProbabilities, truth: NDArray[np.int64]) -> float:
    """Mean negative log-likelihood of the truth, nats."""
    return float(-logp[np.arange(len(truth)), truth].mean())


def scale(logp: LogProbabilities, temperature: float | NDArray[np.float64]) -> LogProbabilities:
    """Log-probabilities divided by a temperature (one, or (N, 1)) and renormalised."""
    odds = logp / temperature
    odds = odds - odds.max(axis=1, keepdims=True)
    scaled: LogProbabilities = odds - np.log(np.exp(odds).sum(axis=1, keepdims=True))
    return scaled


def fit_temperature(logp: LogProbabilities, truth: NDArray[np.int64]) -> float:
    """The temperature with the least surprise, between COLDEST and HOTTEST.

    Raises:
        ValueError: nothing to fit on.
    """
    if not len(truth):
        raise ValueError("a temperature needs at least one answer to fit on")

    def loss(log_temperature: float) -> float:
        return surprise(scale(logp, float(np.exp(log_temperature))), truth)

    # The surprise is convex in 1/T, so it has a single valley in log T too: golden-section search finds it.
    low, high = np.log(COLDEST), np.log(HOTTEST)
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = loss(left), loss(right)
    while high - low > 1e-4:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = loss(right)
    return float(np.exp((low + high) / 2))


def cross_fit(
    logp: LogProbabilities, truth: NDArray[np.int64], persons: Sequence[str], *, folds: int = 5, seed: int = 0
) -> tuple[LogProbabilities, tuple[float, ...]]:
    """Scale each fold of people by the temperature of the others.

    Returns:
        scaled log-probabilities, and the temperature of each fold; as they were and () with fewer than two people.
    """
    if len(set(persons)) < 2:
        return logp, ()
    fold = folds_by_person(persons, folds, seed)
    temperatures = np.array([fit_temperature(logp[fold != k], truth[fold != k]) for k in range(fold.max() + 1)])
    return scale(logp, temperatures[fold][:, None]), tuple(map(float, temperatures))


def _ece(shares: NDArray[np.float64], truth: NDArray[np.int64], persons: Sequence[str], seed: int) -> Interval:
    def figure(rows: NDArray[np.int64]) -> float:
        return expected_calibration_error(shares[rows], truth[rows], BINS)

    low, high = bootstrap_by_person(persons, figure, draws=_INTERVAL_DRAWS, seed=seed)
    return Interval(expected_calibration_error(shares, truth, BINS), low, high)
