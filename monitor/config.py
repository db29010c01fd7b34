"""Settings of a run: defaults, limits, environment. Knows no stage, only what may be chosen."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from monitor.errors import BadInputError
from monitor.sources.webrtc.settings import IngestSettings

LAYOUTS = ("auto", "gallery", "faces", "single")
QUANTIZATIONS = ("nf4", "int8")
MIN_RATE, MAX_RATE = 0.02, 10.0


def _face_model_of_environment() -> Path | None:
    text = os.environ.get("CLASSROOM_FACE_MODEL", "")
    return Path(text).expanduser() if text else None


def _sha256_of_environment() -> str | None:
    return os.environ.get("CLASSROOM_FACE_MODEL_SHA256") or None


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
    """Folder of another model; None follows the registry: its champion, else the one in the package."""
    models: Path | None = field(default=None, kw_only=True)
    """Folder of the registry; None is `models` beside the store, for `score` and `label` beside the user's own."""
    keep_pictures: bool = True
    """Keep pictures until their retention time is over: the newest thumbnail of each student for the dashboard, and
    crops worth a person's look."""
    review_crops_per_hour: int | None = None
    """How many crops of a lecture hour are kept for review, at most; None is what the store's settings say."""
    face_model: Path | None = field(default_factory=_face_model_of_environment)
    """A YuNet file (.onnx) that finds the faces; CLASSROOM_FACE_MODEL. None is the finder that ships."""
    face_model_sha256: str | None = field(default_factory=_sha256_of_environment)
    """What that file must be, in hexadecimal; CLASSROOM_FACE_MODEL_SHA256. None takes any."""
    ingest: IngestSettings = field(default_factory=IngestSettings)
    """Where publishers connect, for the source webrtc."""
    model: str | None = None
    """A checkpoint to run by torch in the bundle's place: a folder, an id of the hub, or "embedded"."""
    quantize: str | None = None
    """One of QUANTIZATIONS, for that checkpoint; None runs it as it is."""
    adapter: Path | None = field(default=None, kw_only=True)
    """Folder of an adapter for that checkpoint, as PEFT or `classroom train` wrote it."""
    download: bool = False
    """Allow fetching that checkpoint from the hub."""

    def __post_init__(self) -> None:
        if not MIN_RATE <= self.rate <= MAX_RATE:
            raise BadInputError(
                f"--rate must lie between {MIN_RATE} and {MAX_RATE} samples a second, found {self.rate}"
            )
        if self.layout not in LAYOUTS:
            raise BadInputError(f"--layout must be one of {', '.join(LAYOUTS)}, found {self.layout!r}")
        if self.review_crops_per_hour is not None and not 0 <= self.review_crops_per_hour <= 3600:
            raise BadInputError(
                f"review_crops_per_hour must lie between 0 and 3600, found {self.review_crops_per_hour}"
            )
        if self.face_model_sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", self.face_model_sha256):
            raise BadInputError(
                "face_model_sha256 (CLASSROOM_FACE_MODEL_SHA256) must be 64 hexadecimal digits, found "
                f"{self.face_model_sha256!r}. Print it: sha256sum FILE"
            )
        self._check_model()

    def _check_model(self) -> None:
        if self.model is not None and self.bundle is not None:
            raise BadInputError("--model and --bundle: give one of them, found both")
        if self.quantize is not None and self.quantize not in QUANTIZATIONS:
            raise BadInputError(f"--quantize must be one of {', '.join(QUANTIZATIONS)}, found {self.quantize!r}")
        alone = {"--adapter": self.adapter, "--quantize": self.quantize, "--download": self.download or None}
        option = next((name for name, value in alone.items() if value is not None), None)
        if self.model is None and option:
            raise BadInputError(f"{option} needs a checkpoint: add --model FOLDER or an id of the hub")

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
