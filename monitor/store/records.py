"""What the store hands out and takes in beside the records of `monitor.schema`. Knows no SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from monitor.rubric import Rubric
from monitor.schema import Box, Presence, require_utc

RUNNING_STATES = ("running", "paused", "ended")


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where a lecture stands: the last moment stored."""

    index: int
    """Of the last moment stored; the next one is index + 1."""
    pts_s: float
    resume_state: str
    """As the moment carried it; empty after an erasure: then the stages start anew."""
    started_at: datetime | None = None
    """UTC of media time 0, or None where it is not known."""


@dataclass(frozen=True, slots=True)
class MonitorStatus:
    """The heartbeat of a running monitor: one row per lecture, overwritten each second or so."""

    state: str = "running"
    """One of RUNNING_STATES."""
    captured: int = 0
    """Frames the source gave so far."""
    dropped: int = 0
    """Frames a live source threw away because a newer one was there."""
    delivered: int = 0
    """Frames that were judged."""
    queued: int = 0
    """Frames waiting at this moment."""
    p50_ms: float | None = None
    """Captured to stored, median of the last minute."""
    p95_ms: float | None = None
    source_state: str = ""
    """For a person: "reading", "camera unplugged, trying again", ..."""
    students: int = 0
    """Students in the newest moment, camera-off ones included."""
    updated_at: datetime | None = None
    """UTC of the heartbeat; the store sets it."""

    def __post_init__(self) -> None:
        if self.state not in RUNNING_STATES:
            raise ValueError(f"a monitor is one of {', '.join(RUNNING_STATES)}, found {self.state!r}")
        require_utc("updated_at", self.updated_at)


@dataclass(frozen=True, slots=True)
class LectureRecord:
    """A lecture as the store knows it."""

    lecture_id: str
    source: str
    rubric: Rubric
    """As it was when the lecture began: labels, phrases and colours need no rubric file."""
    sample_period_s: float
    model_id: str | None
    adapter_id: str | None
    started_at: datetime | None
    """UTC of media time 0, or None where it is not known."""
    opened_at: datetime
    """UTC of the moment the monitor first began it."""
    active_at: datetime
    """UTC of the last moment or heartbeat."""
    ended_at: datetime | None
    """UTC of a clean end; None while it runs, or after a kill."""
    moments: int
    """Sampled moments stored."""
    last_pts_s: float | None
    """Media time of the newest moment."""
    faults: tuple[str, ...] = ()
    """What of the source could not be read, for a person."""


@dataclass(frozen=True, slots=True)
class StoredObservation:
    """One student at one sampled moment, as a row of labels.parquet has it."""

    student_id: str
    index: int
    pts_s: float
    captured_at: datetime | None
    committed_at: datetime
    """UTC of the moment it was stored."""
    box: Box
    presence: Presence
    label: str | None
    """The raw answer, a word of the rubric or "unsure"; None when not judged, as all that follows."""
    best: str | None
    confidence: float | None
    probabilities: Mapping[str, float] | None
    state: str | None
    """The smoothed label."""
    model_id: str | None
    adapter_id: str | None
    crop_id: str | None
    latency_ms: float | None

    @property
    def shown(self) -> str:
        """What a person sees: the smoothed label, or else the presence."""
        return self.state if self.state is not None else self.presence.value


@dataclass(frozen=True, slots=True)
class LatestObservation:
    """The newest row of a student, and how far behind the newest moment it is."""

    observation: StoredObservation
    age_s: float
    """Media time between this row and the newest moment of the lecture: 0 when seen in it."""

    @property
    def present(self) -> bool:
        """Whether the student is in the newest moment."""
        return self.age_s == 0.0


@dataclass(frozen=True, slots=True)
class StateShare:
    """How many observations had each state within one bin of media time."""

    started_s: float
    ended_s: float
    counts: Mapping[str, int]
    """By smoothed label, "unsure" or presence; only what occurred."""

    @property
    def total(self) -> int:
        """Observations in the bin."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """The newest picture of a student in one lecture."""

    jpeg: bytes
    pts_s: float
    keep_until: datetime
    """UTC after which it is purged."""


@dataclass(frozen=True, slots=True)
class KeptCrop:
    """A picture kept for people to label: cut out of a lecture, or a still of a corpus from outside."""

    crop_id: str
    sha256: str
    """Of the bytes of the picture; known also when they are gone."""
    picture: bytes | None
    """PNG or JPEG; None when its time was over, or when it was not asked for."""
    kept_at: datetime
    keep_until: datetime | None
    """UTC after which the picture is purged; None: it stays until it is erased."""
    lecture_id: str | None = None
    """None for a still from outside, as the next two."""
    student_id: str | None = None
    pts_s: float | None = None
    corpus: str | None = None
    """Kind of the corpus; None for a crop of a lecture, as the next three."""
    item_id: str | None = None
    person: str | None = None
    """Who is in it; empty where the corpus does not say."""
    video: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What one person says about one crop."""

    crop_id: str
    label: str | None
    """A word of the rubric; None: can't tell."""
    annotator_id: str
    blind: bool = False
    """Whether the model's answer was hidden: only blind answers tell how good it is."""
    may_train: bool = False
    """Whether those concerned agreed that a model learns from it."""
    prediction_id: int | None = None
    """What the model had said, where that is kept; see `record_prediction`."""
    annotation_id: str = ""
    """Chosen by who asks, so that a click sent twice is stored once; empty: a new one."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """An answer as it is stored; rows are never changed, only superseded."""

    annotation_id: str
    crop_id: str
    rubric_id: str
    label: str | None
    """None: can't tell."""
    annotator_id: str
    blind: bool
    may_train: bool
    created_at: datetime
    prediction_id: int | None = None
    superseded_by: str | None = None
    """annotation_id of the row that counts instead."""
    withdrawn: bool = False
    """An undo of a first answer: it says nothing itself."""


@dataclass(frozen=True, slots=True)
class QueuedCrop:
    """A crop that waits for a person."""

    crop: KeptCrop
    reason: str
    """One of `monitor.store.annotations.REASONS`."""
    priority: float
    answers: int
    """How many others have answered already; their answers are not shown."""
