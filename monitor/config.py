"""Settings of a run: defaults, limits, environment. Knows no stage, only what may be chosen."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from monitor.errors import BadInputError

LAYOUTS = ("auto", "gallery", "faces", "single")
MIN_RATE, MAX_RATE = 0.02, 10.0


@dataclass(frozen=True, slots=True)
class MonitorSettings:
    """What shapes the labels of a lecture. Two runs with equal settings over one recording give the same bytes."""

    rate: float = 1.0
    """Samples a second."""
    rubric: str = "attention"
    """Id of a shipped rubric, or a path to a TOML file."""
    layout: str = "auto"
    """How students are looked for: one of LAYOUTS."""
    research: bool = False
    """Allow rubrics whose labels name affect."""
    bundle: Path | None = None
    """Folder of another model; None is the one in the package."""
    keep_pictures: bool = True
    """Keep the newest thumbnail of each student for the dashboard, until its retention time is over."""

    def __post_init__(self) -> None:
        if not MIN_RATE <= self.rate <= MAX_RATE:
            raise BadInputError(
                f"--rate must lie between {MIN_RATE} and {MAX_RATE} samples a second, found {self.rate}"
            )
        if self.layout not in LAYOUTS:
            raise BadInputError(f"--layout must be one of {', '.join(LAYOUTS)}, found {self.layout!r}")

    @property
    def sample_period_s(self) -> float:
        """Seconds between two samples."""
        return 1.0 / self.rate


def inference_threads() -> int:
    """Threads for the label graph: CLASSROOM_THREADS, else one, so that a live monitor leaves the laptop to the class.

    Raises:
        BadInputError: the variable is not a positive number.
    """
    text = os.environ.get("CLASSROOM_THREADS", "1")
    if not text.isdigit() or int(text) < 1:
        raise BadInputError(f"CLASSROOM_THREADS must be a positive whole number, found {text!r}")
    return int(text)
