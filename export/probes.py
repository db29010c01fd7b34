"""Yes/no probes: "Is the student looking at paper?", asked about every label of every picture.

A model that only learned to name classes would fail them. Measured on the checkpoint, for the label graph answers one
question. Figures are those of `trainer.evaluation.probes`; a test holds both to the same numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from export.answers import Question, answer
from export.checkpoint import Asked, Checkpoint
from export.figures import Probabilities, Truth, rounded
from export.heldout import Heldout
from monitor.vlm.prompt import NO, YES, probe_question


def probe(checkpoint: Checkpoint, asked: Asked, pictures: Heldout) -> tuple[dict[str, Any], Probabilities]:
    """Ask the checkpoint about clear pictures.

    Returns:
        the figures, and the label log-probabilities of the direct question, (clear pictures, labels).
    """
    told = pictures.part(pictures.clear)
    questions: list[Question] = [(asked.question, asked.phrases)]
    questions += [(probe_question(phrase), (YES, NO)) for phrase in asked.phrases]
    direct, *yes_no = answer(checkpoint, told.pixels, questions)
    yes = np.stack([np.exp(column[:, 0]) for column in yes_no], axis=1)
    return hang_together(yes, told.truth, direct.argmax(axis=1)), direct


def hang_together(yes: Probabilities, truth: Truth, direct: Truth) -> dict[str, Any]:
    """How the answers to the probes fit each other, the truth, and the direct answer.

    Args:
        yes: (N, labels) probability of yes to each label's question.
        truth: (N,).
        direct: (N,) label that is answered to the rubric's own question.
    """
    said = yes >= 0.5
    likeliest = yes.argmax(axis=1)
    rows = np.arange(len(truth))
    wrong = said.copy()
    wrong[rows, truth] = False
    labels = yes.shape[1]
    return {
        "pictures": len(truth),
        "exactly_one_yes": rounded((said.sum(axis=1) == 1).mean()),
        "no_yes": rounded((said.sum(axis=1) == 0).mean()),
        "agreement": rounded((likeliest == direct).mean()),
        "accuracy_by_likeliest_yes": rounded((likeliest == truth).mean()),
        "yes_to_the_true_label": rounded(said[rows, truth].mean()),
        "yes_to_a_false_label": rounded(wrong.sum() / max(1, len(truth) * (labels - 1))),
    }
