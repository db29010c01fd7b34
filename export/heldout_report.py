"""Calibrates on half of the held-out people and reports on the other half: for a bundle and for an adapter alike.

Pure: scores and truth in, numbers out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.calibrate import COVERAGE, Calibration, choose_threshold, describe, fit_temperature
from export.figures import calibration_error, rounded, softmax
from export.heldout import Heldout
from export.measure import measure
from monitor.errors import BadInputError


def calibrate_and_report(
    scores: NDArray[np.float32], labels: tuple[str, ...], crops: Heldout
) -> tuple[Calibration, dict[str, Any]]:
    """Fit on one half of the people; what the fit moves is reported on the other half.

    Args:
        scores: (N, labels) label log-probabilities of all held-out crops, quantized as they will be.
        labels: names.
        crops: their truth.

    Raises:
        BadInputError: too few people or labels.
    """
    fitting = crops.in_first_half & crops.clear
    telling = ~crops.in_first_half & crops.clear
    if not telling.any():
        raise BadInputError("all held-out crops show the same few people: render more people to report figures on")
    temperature = fit_temperature(scores[fitting], crops.truth[fitting])
    probabilities = softmax(scores, temperature)
    calibration = Calibration(temperature, choose_threshold(probabilities[crops.clear]))
    return calibration, {
        "calibration": {
            "temperature": f"least negative log-likelihood on {int(fitting.sum())} clear held-out crops of people who "
            "are not in the report",
            "threshold": f"highest that answers {COVERAGE:.0%} of all {int(crops.clear.sum())} clear held-out crops; "
            "their truth is not looked at",
            "error_before": rounded(calibration_error(crops.truth[telling], softmax(scores[telling]))),
            **describe(probabilities[crops.clear], crops.truth[crops.clear], calibration.abstain_threshold),
        },
        "heldout": measure(probabilities, crops, labels, calibration.abstain_threshold, ~crops.in_first_half),
    }
