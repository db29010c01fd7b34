"""Measures answers on sets of pictures: the figures that the manifest keeps and the model card shows.

Probabilities in, plain dictionaries out. It knows neither graphs nor checkpoints.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.figures import (
    Probabilities,
    Truth,
    by_group,
    calibration_error,
    confusion,
    judge,
    macro_f1,
    reliability,
    rounded,
)
from export.heldout import Heldout

SUREST = 0.8
"""Share of answers kept for the figure "the surest 80 %"."""


def measure(
    probabilities: Probabilities,
    pictures: Heldout,
    labels: tuple[str, ...],
    threshold: float,
    unseen: NDArray[np.bool_] | None = None,
) -> dict[str, Any]:
    """All figures of one set.

    Args:
        probabilities: (N, labels), calibrated.
        pictures: their truth; ambiguous ones count for `ambiguous_unsure` alone.
        labels: names.
        threshold: confidence from which an answer is given.
        unseen: (N,) True for people that calibration has not seen; None = all. What calibration moves (error, coverage,
            answers given) is reported on them alone; which label is likeliest it cannot move.
    """
    clear = pictures.clear
    unseen = clear if unseen is None else clear & unseen
    told, answers = pictures.part(clear), probabilities[clear].argmax(axis=1)
    return {
        **judge(told.truth, answers, told.people, labels),
        "calibration_error": rounded(calibration_error(pictures.truth[unseen], probabilities[unseen])),
        "reliability": reliability(pictures.truth[unseen], probabilities[unseen]),
        **_given(probabilities[unseen], pictures.truth[unseen], threshold),
        "surest_80_macro_f1": rounded(surest_macro_f1(probabilities[unseen], pictures.truth[unseen])),
        "ambiguous_unsure": _share_unsure(probabilities[~clear], threshold),
        "groups": by_group(told.truth, answers, told.people, told.groups, len(labels)),
    }


def surest_macro_f1(probabilities: Probabilities, truth: Truth, share: float = SUREST) -> float:
    """Macro-F1 when only the surest share of pictures is answered."""
    kept = np.argsort(-probabilities.max(axis=1), kind="stable")[: max(1, round(share * len(truth)))]
    return float(macro_f1(confusion(truth[kept], probabilities[kept].argmax(axis=1), probabilities.shape[1])))


def _given(probabilities: Probabilities, truth: Truth, threshold: float) -> dict[str, Any]:
    sure = probabilities.max(axis=1) >= threshold
    answers = probabilities.argmax(axis=1)
    score = macro_f1(confusion(truth[sure], answers[sure], probabilities.shape[1]))
    return {
        "coverage": rounded(sure.mean()),
        "macro_f1_when_sure": rounded(score),
        "accuracy_when_sure": rounded((answers == truth)[sure].mean()) if sure.any() else None,
    }


def _share_unsure(probabilities: Probabilities, threshold: float) -> float | None:
    return rounded((probabilities.max(axis=1) < threshold).mean()) if len(probabilities) else None
