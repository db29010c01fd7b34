"""One builder for records in tests: a lecture full of students who are looked at, with as little said as possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from monitor.schema import UNSURE, Box, Episode, Lecture, Moment, Observation, Prediction, Presence

LABELS = ("screen", "paper", "wander")
START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 11, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def lecture(lecture_id: str = "algebra", source: str = "webcam:0", rubric_id: str = "attention") -> Lecture:
    return Lecture(lecture_id, source, rubric_id, started_at=START)


def probabilities(best: str, confidence: float, labels: Sequence[str] = LABELS) -> dict[str, float]:
    rest = (1.0 - confidence) / (len(labels) - 1)
    return {label: confidence if label == best else rest for label in labels}


def prediction(
    student_id: str = "s01",
    pts_s: float = 0.0,
    best: str = "screen",
    confidence: float = 0.9,
    *,
    sure: bool = True,
    labels: Sequence[str] = LABELS,
) -> Prediction:
    return Prediction(
        crop_id=f"algebra.{student_id}.{round(pts_s * 1000):09d}",
        student_id=student_id,
        pts_s=pts_s,
        label=best if sure else UNSURE,
        best=best,
        probabilities=probabilities(best, confidence, labels),
        model_id="tiny-1",
        rubric_id="attention",
        latency_ms=2.5,
    )


def observation(
    student_id: str = "s01",
    pts_s: float = 0.0,
    best: str = "screen",
    *,
    confidence: float = 0.9,
    state: str | None = None,
    presence: Presence = Presence.VISIBLE,
) -> Observation:
    """A student in the tile of the number in the pseudonym; judged where the presence allows it."""
    left = 160 * (int(student_id[1:]) % 5 if student_id[1:].isdigit() else 0)
    judged = presence.judged
    return Observation(
        student_id=student_id,
        box=Box(left, 0, left + 160, 90),
        presence=presence,
        prediction=prediction(student_id, pts_s, best, confidence) if judged else None,
        state=(state or best) if judged else None,
    )


def moment(
    index: int = 0,
    observations: Sequence[Observation] | None = None,
    *,
    students: Sequence[str] = ("s01",),
    lecture_id: str = "algebra",
    pts_s: float | None = None,
    episodes: Sequence[Episode] = (),
    names: Mapping[str, str] | None = None,
    merges: Mapping[str, str] | None = None,
    thumbnails: Mapping[str, bytes] | None = None,
) -> Moment:
    """One sample a second; by default each of the students looks at the screen."""
    at_s = float(index) if pts_s is None else pts_s
    rows = observations if observations is not None else [observation(student, at_s) for student in students]
    return Moment(
        lecture_id=lecture_id,
        index=index,
        pts_s=at_s,
        captured_at=START + timedelta(seconds=at_s),
        observations=tuple(rows),
        episodes=tuple(episodes),
        resume_state=f'{{"after":{index}}}',
        thumbnails=thumbnails or {},
        names=names or {},
        merges=merges or {},
    )
