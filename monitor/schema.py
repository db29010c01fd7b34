"""The records that flow through the house, validated at birth.

One record per hand-over; all are frozen. This file knows no database, no model and no picture library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""H x W x 3, uint8, blue-green-red as OpenCV has it."""

UNSURE = "unsure"
"""The label of a prediction whose confidence is below the calibrated threshold. Never a word of a rubric."""


class Presence(StrEnum):
    """Whether a student can be judged at all: a state of its own, beside any label."""

    VISIBLE = "visible"
    CAMERA_OFF = "camera_off"
    PICTURE_STILL = "picture_still"
    """A picture that has not moved for long: a photograph or a frozen connection."""
    UNIDENTIFIED = "unidentified"
    """Seen and judged, but the name could not be read."""
    OPTED_OUT = "opted_out"
    """Never inferred, at the student's own wish."""
    ABSENT = "absent"

    @property
    def judged(self) -> bool:
        """Whether the model is asked about a student in this state."""
        return self in (Presence.VISIBLE, Presence.UNIDENTIFIED)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of its frame, end-exclusive: 0 <= x1 < x2, 0 <= y1 < y2."""

    x1: int
    y1: int
    x2: int
    y2: int

    def __post_init__(self) -> None:
        if not (0 <= self.x1 < self.x2 and 0 <= self.y1 < self.y2):
            raise ValueError(f"a box needs 0 <= x1 < x2 and 0 <= y1 < y2, found {self.as_tuple()}")

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.x2 - self.x1

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.y2 - self.y1

    @property
    def area(self) -> int:
        """Pixels covered."""
        return self.width * self.height

    @property
    def center(self) -> tuple[float, float]:
        """The middle, (x, y) in pixels."""
        return (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2

    def as_tuple(self) -> tuple[int, int, int, int]:
        """(x1, y1, x2, y2)."""
        return self.x1, self.y1, self.x2, self.y2

    def iou(self, other: Box) -> float:
        """Intersection over union with another box, 0 to 1."""
        width = min(self.x2, other.x2) - max(self.x1, other.x1)
        height = min(self.y2, other.y2) - max(self.y1, other.y1)
        if width <= 0 or height <= 0:
            return 0.0
        shared = width * height
        return shared / (self.area + other.area - shared)

    def cut(self, image: Image) -> Image:
        """The part of an image inside the box; a view, not a copy."""
        return image[self.y1 : self.y2, self.x1 : self.x2]


@dataclass(frozen=True, slots=True)
class Lecture:
    """One class meeting; every row in the store names its lecture."""

    lecture_id: str
    source: str
    """What was opened: a URI or path, as the user gave it."""
    rubric_id: str
    started_at: datetime | None = None
    """UTC of media time 0, or None where it is not known (most recordings)."""

    def __post_init__(self) -> None:
        require_id("lecture_id", self.lecture_id)
        require_utc("started_at", self.started_at)


@dataclass(frozen=True, slots=True)
class Frame:
    """One sampled picture. It lives in memory only."""

    index: int
    """Count of samples since the source was opened, from 0."""
    pts_s: float
    """Media time in seconds; 0 is the start of the recording or of the stream."""
    image_bgr: Image
    captured_at: datetime | None
    """UTC of the moment, or None for recordings without a clock."""
    monotonic_ns: int
    """time.monotonic_ns() when the picture reached this process: latencies start here."""
    stream: str = ""
    """Which of a source's streams it belongs to; empty where a source has only one."""

    def __post_init__(self) -> None:
        if self.image_bgr.ndim != 3 or self.image_bgr.shape[2] != 3 or self.image_bgr.dtype != np.uint8:
            raise ValueError(
                f"a frame needs an H x W x 3 uint8 image, found {self.image_bgr.shape} {self.image_bgr.dtype}"
            )
        require_utc("captured_at", self.captured_at)


@dataclass(frozen=True, slots=True)
class Detection:
    """Something found in one frame, before anybody knows who it is."""

    kind: str
    """"tile" or "face"."""
    box: Box
    score: float
    """0 to 1."""

    def __post_init__(self) -> None:
        if self.kind not in ("tile", "face"):
            raise ValueError(f'a detection is a "tile" or a "face", found {self.kind!r}')


@dataclass(frozen=True, slots=True)
class Track:
    """One student in one frame: who, where, and whether they can be judged."""

    student_id: str
    """A pseudonym, the same through every reflow of the lecture."""
    box: Box
    """The tile in a gallery, else the face."""
    presence: Presence
    face: Box | None = None
    """The head inside the box, in pixels of the frame; None where none was found."""

    def __post_init__(self) -> None:
        require_id("student_id", self.student_id)


@dataclass(frozen=True, slots=True)
class Crop:
    """A student's cut-out, as the model sees it."""

    crop_id: str
    """Unique: lecture, student and media time."""
    student_id: str
    pts_s: float
    box: Box
    """Where it was cut, in pixels of the frame."""
    pixels_bgr: Image
    captured_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model answers for one crop."""

    crop_id: str
    student_id: str
    pts_s: float
    label: str
    """A word of the rubric, or "unsure" below the threshold."""
    best: str
    """The likeliest word of the rubric, sure or not: a rejected answer is made of it."""
    probabilities: Mapping[str, float]
    """Calibrated, over the rubric's labels in its order; they sum to one."""
    model_id: str
    rubric_id: str
    adapter_id: str | None = None
    latency_ms: float = 0.0
    """This crop's share of its batch."""
    shadow: Prediction | None = None
    """What a challenger answered about the same crop: stored beside, never shown as the label."""

    def __post_init__(self) -> None:
        total = sum(self.probabilities.values())
        if not abs(total - 1.0) <= 1e-4:  # so that "not a number" is refused, too
            raise ValueError(f"probabilities of {self.crop_id} sum to {total:.6f}, expected 1")
        if self.best not in self.probabilities:
            raise ValueError(f"{self.best!r} is not one of the labels {sorted(self.probabilities)}")
        if self.label not in (self.best, UNSURE):
            raise ValueError(f"the label of {self.crop_id} is {self.label!r}, expected {self.best!r} or {UNSURE!r}")
        if self.shadow is not None and self.shadow.crop_id != self.crop_id:
            raise ValueError(f"the challenger of {self.crop_id} was asked about {self.shadow.crop_id}")

    @property
    def confidence(self) -> float:
        """Probability of the likeliest label, 0 to 1."""
        return self.probabilities[self.best]


@dataclass(frozen=True, slots=True)
class Observation:
    """One student at one sampled moment: a row of labels.parquet."""

    student_id: str
    box: Box
    presence: Presence
    prediction: Prediction | None
    """None unless the presence is judged."""
    state: str | None
    """The smoothed label, or None unless the presence is judged."""

    def __post_init__(self) -> None:
        if self.prediction is not None and not self.presence.judged:
            raise ValueError(f"{self.student_id} is {self.presence} and yet has a prediction")


@dataclass(frozen=True, slots=True)
class Episode:
    """A stretch of one smoothed state: what a person sees on the timeline."""

    student_id: str
    state: str
    """A label of the rubric, "unsure", or a presence other than visible."""
    started_s: float
    ended_s: float
    """Media time, end-exclusive; grows while the episode is open."""
    confidence: float | None
    """Mean probability of the label over the stretch; None for a presence."""

    def __post_init__(self) -> None:
        if self.ended_s < self.started_s:
            raise ValueError(f"an episode cannot end ({self.ended_s} s) before it starts ({self.started_s} s)")


@dataclass(frozen=True, slots=True)
class ReviewCrop:
    """A crop of one moment that is worth a person's look; the moment holds the prediction on it."""

    student_id: str
    picture: bytes
    """JPEG."""
    reason: str
    """One of `monitor.store.annotations.REASONS`."""
    priority: float
    """The highest is shown first."""


@dataclass(frozen=True, slots=True)
class Moment:
    """All that one sampled frame gave. The store takes it whole or not at all."""

    lecture_id: str
    index: int
    """Count of samples in the lecture, from 0."""
    pts_s: float
    captured_at: datetime | None
    observations: tuple[Observation, ...]
    episodes: tuple[Episode, ...]
    """The episodes that this moment opened, prolonged or closed, as they now stand."""
    resume_state: str
    """JSON from which the pipeline goes on as if it had never stopped."""
    thumbnails: Mapping[str, bytes] = field(default_factory=dict)
    """Newest JPEG of a student, by student_id; empty where pictures are not kept."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Names read at this moment, by student_id."""
    merges: Mapping[str, str] = field(default_factory=dict)
    """Provisional pseudonym -> the known student it turned out to be."""
    to_review: tuple[ReviewCrop, ...] = ()
    """Crops worth a person's look; empty where no pictures are kept."""


def require_id(name: str, value: str) -> None:
    """Refuse an empty identifier, or one with white space or slashes (ids end up in file names and URLs)."""
    if not value or any(c.isspace() or c in "/\\" for c in value):
        raise ValueError(f"{name} must be a short word without spaces or slashes, found {value!r}")


def require_utc(name: str, value: datetime | None) -> None:
    """Refuse a time without a zone: two clocks are kept, and they must not be mixed up."""
    if value is not None and value.tzinfo is None:
        raise ValueError(f"{name} must carry a time zone (UTC), found the naive {value.isoformat()}")
