"""Writes an evaluation down: evaluation.json with every figure, predictions.csv with what was said to each picture.

JSON has no NaN: a figure without meaning is null. This file knows no HTML.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.errors import BadInputError
from monitor.rubric import Rubric
from trainer.evaluation.evaluation import Evaluation
from trainer.evaluation.gather import Evidence

FIGURES_FILE = "evaluation.json"
ANSWERS_FILE = "predictions.csv"
REPORT_FILE = "report.html"
FORMAT = 1
_DIGITS = 5


@dataclass(frozen=True)
class WrittenAnswers:
    """What an earlier evaluation's model said, by item."""

    model_id: str
    answers: Mapping[str, int]


def figures_json(evaluation: Evaluation) -> str:
    """All figures as JSON text; the same evaluation gives the same bytes."""
    data = {"format": FORMAT, **_plain(evaluation)}
    data["rubric"] = {"id": evaluation.rubric.rubric_id, "question": evaluation.rubric.question}
    data["label_names"] = list(evaluation.rubric.names)
    data["collapse"]["collapsed"] = evaluation.collapse.collapsed
    null = evaluation.null
    data["null"] = {
        "observed": _plain(null.observed),
        "mean": _plain(null.mean),
        "p95": _plain(float(np.quantile(null.draws, 0.95))),
        "p_value": _plain(null.p_value),
        "beyond_identity": _plain(null.beyond_identity) if null.testable else None,
        "informative_people": null.informative_people,
        "people": null.people,
    }
    for name in ("coverage", "accuracy"):
        data["abstention"][name] = _thinned(data["abstention"][name])
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def answers_csv(evidence: Evidence, rubric: Rubric) -> str:
    """A row a picture: item, person, truth, what was said, and the probability of each label."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["item", "person", "truth", "predicted", *(f"p_{name}" for name in rubric.names)])
    names, shares = rubric.names, np.exp(evidence.logp)
    for row, item in enumerate(evidence.item_ids):
        said = names[evidence.truth[row]], names[evidence.answers[row]]
        writer.writerow([item, evidence.persons[row], *said, *(f"{share:.6f}" for share in shares[row])])
    return out.getvalue()


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8", newline="\n")
    part.replace(path)


def read_answers(folder: Path, rubric: Rubric) -> WrittenAnswers:
    """What an earlier evaluation wrote.

    Raises:
        BadInputError: no evaluation there, or one of other labels.
    """
    try:
        told = json.loads((folder / FIGURES_FILE).read_text(encoding="utf-8"))
        rows = list(csv.DictReader(io.StringIO((folder / ANSWERS_FILE).read_text(encoding="utf-8"))))
        answers = {row["item"]: rubric.names.index(row["predicted"]) for row in rows}
        return WrittenAnswers(str(told["model"]["model_id"]), answers)
    except FileNotFoundError as error:
        raise BadInputError(f"{folder}: no evaluation here ({error.filename} is missing).") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadInputError(
            f"{folder}: not an evaluation under the rubric {rubric.rubric_id!r} ({error}). Evaluate that model again."
        ) from error


def _plain(value: Any) -> Any:
    """Records, arrays and numbers as JSON has them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if dataclasses.is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float | np.floating):
        return None if math.isnan(value) else round(float(value), _DIGITS)
    return value


def _thinned(values: list[float], most: int = 200) -> list[float]:
    """A curve of many points by some of them, the ends among them."""
    if len(values) <= most:
        return values
    places: NDArray[np.int64] = np.linspace(0, len(values) - 1, most).round().astype(np.int64)
    return [values[place] for place in places]
