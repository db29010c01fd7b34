"""Scores recordings: every sampled frame, as fast as it goes, into a store beside the results.

Interrupted runs go on from the last stored moment. This file knows no terminal: progress is reported to a callable.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from monitor.config import MonitorSettings
from monitor.errors import SourceError
from monitor.pipeline import Pipeline
from monitor.results import ScoredRecording, write_results
from monitor.rubric import load_rubric
from monitor.schema import Lecture
from monitor.sources.source import Source, open_source
from monitor.store.database import Store
from monitor.store.exports import RESULTS, note_export
from monitor.store.keeping import commit_with_crops
from monitor.store.wishes import DAY_S, current_wishes
from monitor.students.facemodel import FindsFaces, open_face_finder
from monitor.vlm.choice import choose_classifier
from monitor.vlm.classifier import Classifier

ProgressReport = Callable[[str, float, float | None], None]
"""Called with the recording's name, seconds of media done, and its length in seconds where known."""

STORE_NAME = "classroom.db"
FINGERPRINT_BYTES = 1 << 20


@dataclass
class ScoreResult:
    """What a run of `classroom score` wrote and what went wrong."""

    written: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def score_recordings(
    recordings: Sequence[Path],
    out: Path,
    settings: MonitorSettings,
    *,
    report: ProgressReport = lambda name, done_s, duration_s: None,
    restart: bool = False,
) -> ScoreResult:
    """Score each recording and write the results into `out`.

    A recording that cannot be opened is reported and the others are still scored; what can be read of a damaged one
    is scored and the damage reported as a warning.

    Raises:
        RubricError, BundleError, StoreError: before anything is scored, or when the disk is full.
    """
    rubric = load_rubric(settings.rubric, research=settings.research)
    classifier = choose_classifier(settings, rubric)
    faces = open_face_finder(settings.face_model, settings.face_model_sha256)
    out.mkdir(parents=True, exist_ok=True)
    if restart:
        _forget(out)
    result = ScoreResult()
    scored: list[ScoredRecording] = []
    with Store.open(out / STORE_NAME, durable=False) as store:
        run = BatchRun(store, settings, classifier, faces, report)
        for recording in recordings:
            try:
                scored.append(run.score(recording))
            except SourceError as error:
                result.errors.append(str(error))
    if not scored:
        return result
    result.written, summaries = write_results(
        out / STORE_NAME, out, scored, settings, classifier, face_finder=faces.model_id
    )
    with Store.open(out / STORE_NAME, durable=False) as store:
        note_export(store, RESULTS, str(out.resolve()), [one.lecture_id for one in scored])
    for summary in summaries:
        result.warnings.extend(f"{summary.recording}: {fault}" for fault in summary.faults)
        if summary.students == 0:
            result.errors.append(
                f"{summary.recording}: no student was found in any of {summary.samples} samples; "
                "if there are students in it, try --layout faces or --layout single"
            )
    return result


@dataclass(frozen=True)
class BatchRun:
    """What all recordings of one run share."""

    store: Store
    settings: MonitorSettings
    classifier: Classifier
    faces: FindsFaces
    report: ProgressReport

    def score(self, recording: Path) -> ScoredRecording:
        """Score one recording from where its lecture stands.

        Raises:
            SourceError: it cannot be opened, or gives no frame.
        """
        settings, lecture_id = self.settings, self._lecture_id(recording)
        with open_source(str(recording), rate=settings.rate) as whole:
            scored = ScoredRecording(lecture_id, recording.name, whole.duration_s)
            point = self.store.resume_point(lecture_id)
            if self.store.ended(lecture_id):
                return scored
            if point is None:
                self._begin(lecture_id, recording, whole.started_at)
                self._watch(whole, scored, None)
                return scored
        with open_source(str(recording), rate=settings.rate, start_s=(point.index + 1) / settings.rate) as rest:
            self._watch(rest, scored, point.resume_state or None)
        return scored

    def _begin(self, lecture_id: str, recording: Path, started_at: datetime | None) -> None:
        rubric = self.classifier.rubric
        self.store.begin_lecture(
            Lecture(lecture_id, recording.name, rubric.rubric_id, started_at),
            rubric,
            sample_period_s=self.settings.sample_period_s,
            model_id=self.classifier.model_id,
            adapter_id=self.classifier.adapter_id,
        )

    def _watch(self, source: Source, scored: ScoredRecording, resume_state: str | None) -> None:
        pipeline = Pipeline(
            scored.lecture_id,
            self.classifier,
            layout=self.settings.layout,
            sample_period_s=self.settings.sample_period_s,
            known_names={} if resume_state else self.store.known_names(),
            opted_out=self.store.opted_out(scored.lecture_id),
            keep_pictures=False,
            resume_state=resume_state,
            faces=self.faces,
        )
        wishes, chosen = current_wishes(self.store), self.settings.review_crops_per_hour
        crops = wishes.review_crops_per_hour if chosen is None else chosen
        kept = self.settings.keep_pictures and not wishes.room_only
        pipeline.keep(pictures=False, names=not wishes.room_only, review_per_hour=crops if kept else 0)
        try:
            for frame in source.frames():
                moment = pipeline.process(frame)
                commit_with_crops(self.store, moment, kept_s=wishes.pictures_kept_days * DAY_S)
                self.report(scored.recording, frame.pts_s, scored.duration_s)
        finally:
            pipeline.close()
        self.store.end_lecture(scored.lecture_id, faults=source.faults)

    def _lecture_id(self, recording: Path) -> str:
        """Named by what it is made of: the same recording under the same settings is the same lecture."""
        settings, classifier = self.settings, self.classifier
        made_of: tuple[str, ...] = (
            f"{settings.rate:g}",
            settings.layout,
            classifier.rubric.rubric_id,
            classifier.model_id,
            fingerprint(recording),
        )
        if classifier.adapter_id is not None:
            made_of += (classifier.adapter_id,)
        if settings.face_model is not None:
            made_of += (self.faces.model_id,)
        return f"rec-{hashlib.sha256('|'.join(made_of).encode()).hexdigest()[:12]}"


def fingerprint(recording: Path) -> str:
    """Tells recordings apart by size and by their first and last mebibyte; a folder by its names and sizes.

    A path that cannot be read has the empty fingerprint: opening it says why.
    """
    digest = hashlib.sha256()
    if not recording.exists():
        return ""
    if recording.is_dir():
        for entry in sorted(path for path in recording.iterdir() if path.is_file()):
            digest.update(f"{entry.name}:{entry.stat().st_size};".encode())
        return digest.hexdigest()
    size = recording.stat().st_size
    digest.update(str(size).encode())
    with recording.open("rb") as file:
        digest.update(file.read(FINGERPRINT_BYTES))
        file.seek(max(0, size - FINGERPRINT_BYTES))
        digest.update(file.read(FINGERPRINT_BYTES))
    return digest.hexdigest()


def _forget(out: Path) -> None:
    for name in (STORE_NAME, f"{STORE_NAME}-wal", f"{STORE_NAME}-shm"):
        (out / name).unlink(missing_ok=True)
