"""How values lie in the columns of the store: times as text, probabilities as bytes, a rubric as JSON. No SQL."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import numpy as np

from monitor.errors import StoreError
from monitor.rubric import Label, Rubric


def time_text(moment: datetime) -> str:
    """UTC as text of one length, so that the order of the texts is the order of the times."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def time_of(text: str) -> datetime:
    """Back from `time_text`."""
    return datetime.fromisoformat(text)


def rubric_json(rubric: Rubric) -> str:
    """A snapshot that needs no rubric file later."""
    return json.dumps(asdict(rubric), ensure_ascii=False, separators=(",", ":"))


def rubric_of(text: str) -> Rubric:
    """Back from `rubric_json`."""
    data = json.loads(text)
    labels = tuple(Label(**{**entry, "paraphrases": tuple(entry["paraphrases"])}) for entry in data.pop("labels"))
    return Rubric(**{**data, "labels": labels, "paraphrases": tuple(data["paraphrases"])})


def pack_probabilities(probabilities: Mapping[str, float], labels: Sequence[str], crop_id: str) -> bytes:
    """Little-endian float32 in the order of the rubric's labels: four bytes a label.

    Raises:
        StoreError: other labels than the lecture's rubric has.
    """
    if len(probabilities) != len(labels) or any(label not in probabilities for label in labels):
        raise StoreError(
            f"{crop_id}: probabilities over {', '.join(probabilities)}, expected the labels of this lecture's rubric, "
            f"{', '.join(labels)}. Start another lecture for another rubric."
        )
    return np.array([probabilities[label] for label in labels], dtype="<f4").tobytes()


def unpack_probabilities(packed: bytes, labels: Sequence[str]) -> dict[str, float]:
    """Back from `pack_probabilities`."""
    return dict(zip(labels, np.frombuffer(packed, dtype="<f4").tolist(), strict=True))
