"""Scores recordings: every sampled frame, as fast as it goes, into a store beside the results.

Interrupted runs go on from the last stored moment. This file knows no terminal: progress is reported to a callable.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from monitor.bundle import Bundle, open_bundle
from monitor.config import MonitorSettings, inference_threads
from monitor.errors import BadInputError, SourceError
from monitor.pipeline import Pipeline
from monitor.results import RunFacts, write_results
from monitor.rubric import Rubric, load_rubric
from monitor.schema import Frame, Lecture
from monitor.sources.source import Source, open_source
from monitor.store.database import Store
from monitor.vlm.bundled import BundledClassifier

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
        BadInputError: nothing to score, or the folder holds a run with other settings.
        BundleError, RubricError, StoreError: before anything is scored.
    """
    rubric = load_rubric(settings.rubric, research=settings.research)
    bundle = open_bundle(settings.bundle)
    classifier = BundledClassifier(bundle, rubric, threads=inference_threads())
    out.mkdir(parents=True, exist_ok=True)
    if restart:
        _forget(out)
    result, facts = ScoreResult(), []
    with Store.open(out / STORE_NAME) as store:
        for recording in recordings:
            try:
                facts.append(_score_one(store, recording, settings, rubric, bundle, classifier, report))
            except SourceError as error:
                result.errors.append(str(error))
        if facts:
            result.written = write_results(store.path, out, facts, settings, rubric, bundle)
    for fact in facts:
        result.warnings.extend(fact.faults)
        if fact.students == 0:
            result.errors.append(
                f"{fact.recording}: no student was found in any of {fact.samples} samples; "
                "if there are students, try --layout faces or --layout single"
            )
    return result


def _score_one(  # noqa: PLR0913 - the parts of one run, each made once outside
    store: Store,
    recording: Path,
    settings: MonitorSettings,
    rubric: Rubric,
    bundle: Bundle,
    classifier: BundledClassifier,
    report: ProgressReport,
) -> RunFacts:
    with open_source(str(recording), rate=settings.rate) as probe:
        faults, duration_s, started_at = list(probe.faults), probe.duration_s, probe.started_at
    run_key = f"{settings.rate:g}|{settings.layout}|{bundle.model_id}|{rubric.rubric_id}|{fingerprint(recording)}"
    lecture_id = f"rec-{hashlib.sha256(run_key.encode()).hexdigest()[:12]}"
    point = store.resume_point(lecture_id)
    if point is None:
        lecture = Lecture(lecture_id, recording.name, rubric.rubric_id, started_at)
        store.begin_lecture(lecture, rubric=rubric, sample_period_s=settings.sample_period_s, model_id=bundle.model_id)
    pipeline = Pipeline(
        lecture_id,
        classifier,
        layout=settings.layout,
        sample_period_s=settings.sample_period_s,
        known_names=store.known_names(),
        keep_pictures=False,
        resume_state=point.resume_state if point else None,
    )
    start_s = (point.index + 1) / settings.rate if point else 0.0
    ended = point is not None and store.ended(lecture_id)
    if not ended:
        with open_source(str(recording), rate=settings.rate, start_s=start_s) as source:
            for frame in _frames(source):
                store.commit(pipeline.process(frame))
                report(recording.name, frame.pts_s, duration_s)
            faults = list(source.faults)
        store.end_lecture(lecture_id, faults=faults)
    pipeline.close()
    return RunFacts.from_store(store.path, lecture_id, recording, duration_s)


def _frames(source: Source) -> Iterator[Frame]:
    """Frames in order; decoding runs ahead on its own thread by a frame or two."""
    yield from source.frames()


def fingerprint(recording: Path) -> str:
    """Tells recordings apart by size and by their first and last mebibyte; a folder by its names and sizes."""
    digest = hashlib.sha256()
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


def _refuse_foreign(out: Path) -> None:
    raise BadInputError(f"{out}: holds results of another kind")
