"""Writes what a batch run gives away: tables, a summary and a report, all from the store.

The same store gives the same bytes: nothing here reads a clock. Names go into students.csv and nowhere else.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from monitor.config import MonitorSettings
from monitor.report import write_report
from monitor.rubric import Rubric
from monitor.store.exchange import write_episodes_csv, write_labels_parquet, write_students_csv
from monitor.store.reader import StoreReader
from monitor.vlm.classifier import Classifier

LABELS, STUDENTS, EPISODES, SUMMARY, REPORT = (
    "labels.parquet",
    "students.csv",
    "episodes.csv",
    "lecture.json",
    "report.html",
)


@dataclass(frozen=True, slots=True)
class ScoredRecording:
    """One recording that was scored, wholly or as far as it could be read."""

    lecture_id: str
    recording: str
    """File name, without its folder: results may be handed on, paths of a machine may not."""
    duration_s: float | None
    """Length of the whole recording, where it is known."""


@dataclass(frozen=True, slots=True)
class RecordingSummary:
    """What was found in one recording."""

    lecture_id: str
    recording: str
    duration_s: float | None
    samples: int
    students: int
    rows: int
    presence: dict[str, int]
    """Rows of each presence."""
    labels: dict[str, int]
    """Rows of each raw answer."""
    label_shares: dict[str, float]
    """The same as shares of all judged rows."""
    state_shares: dict[str, float]
    """Shares of the smoothed states."""
    faults: tuple[str, ...]
    """What could not be read, and why."""


def summarize(reader: StoreReader, scored: ScoredRecording, rubric: Rubric) -> RecordingSummary:
    """Count the rows of one lecture; memory does not grow with its length."""
    lecture = reader.lecture(scored.lecture_id)
    presence: Counter[str] = Counter()
    labels: Counter[str] = Counter(dict.fromkeys(rubric.names, 0))
    states: Counter[str] = Counter(dict.fromkeys(rubric.names, 0))
    for row in reader.observations(scored.lecture_id):
        presence[row.presence.value] += 1
        if row.label is not None:
            labels[row.label] += 1
        if row.state is not None:
            states[row.state] += 1
    return RecordingSummary(
        lecture_id=scored.lecture_id,
        recording=scored.recording,
        duration_s=scored.duration_s,
        samples=lecture.moments if lecture else 0,
        students=len(reader.students(scored.lecture_id)) if lecture else 0,
        rows=presence.total(),
        presence=dict(sorted(presence.items())),
        labels=dict(labels),
        label_shares=_shares(labels),
        state_shares=_shares(states),
        faults=lecture.faults if lecture else (),
    )


def write_results(
    store: Path,
    out: Path,
    scored: Sequence[ScoredRecording],
    settings: MonitorSettings,
    classifier: Classifier,
    *,
    face_finder: str,
) -> tuple[list[str], list[RecordingSummary]]:
    """Write all files of a batch run into `out`; each appears whole or not at all.

    Returns the names of the files and the summary of each recording.

    Raises:
        StoreError: the store cannot be read, or a file cannot be written.
    """
    ids = [recording.lecture_id for recording in scored]
    recordings = {recording.lecture_id: recording.recording for recording in scored}
    with StoreReader(store) as reader:
        write_labels_parquet(reader, ids, out / LABELS, recordings=recordings)
        write_students_csv(reader, ids, out / STUDENTS)
        write_episodes_csv(reader, ids, out / EPISODES, recordings=recordings)
        summaries = [summarize(reader, recording, classifier.rubric) for recording in scored]
        summary = _summary_json(summaries, settings, classifier, face_finder)
        (out / SUMMARY).write_text(summary, encoding="utf-8")
        reports = _write_reports(reader, out, scored)
    return [LABELS, STUDENTS, EPISODES, SUMMARY, *reports], summaries


def refresh_results(store: Path) -> list[str]:
    """Write the results that lie beside a store anew, after something was taken out of it.

    Returns:
        names of the files; none where `classroom score` did not write there.

    Raises:
        StoreError: the store cannot be read, or a file cannot be written.
    """
    out = store.parent
    try:
        told = json.loads((out / SUMMARY).read_text(encoding="utf-8"))
        scored = [ScoredRecording(one["lecture_id"], one["recording"], one["duration_s"]) for one in told["recordings"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    ids = [recording.lecture_id for recording in scored]
    recordings = {recording.lecture_id: recording.recording for recording in scored}
    with StoreReader(store) as reader:
        found = reader.lecture(ids[0]) if ids else None
        if found is None:
            return []
        write_labels_parquet(reader, ids, out / LABELS, recordings=recordings)
        write_students_csv(reader, ids, out / STUDENTS)
        write_episodes_csv(reader, ids, out / EPISODES, recordings=recordings)
        told["recordings"] = [asdict(summarize(reader, recording, found.rubric)) for recording in scored]
        (out / SUMMARY).write_text(json.dumps(told, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        reports = _write_reports(reader, out, scored)
    return [LABELS, STUDENTS, EPISODES, SUMMARY, *reports]


def _write_reports(reader: StoreReader, out: Path, scored: Sequence[ScoredRecording]) -> list[str]:
    """One report.html, or one per recording where there are several."""
    if len(scored) == 1:
        write_report(reader, scored[0].lecture_id, out / REPORT)
        return [REPORT]
    names = []
    for number, recording in enumerate(scored, start=1):
        names.append(f"report-{number}.html")
        write_report(reader, recording.lecture_id, out / names[-1])
    return names


def _summary_json(
    summaries: Sequence[RecordingSummary], settings: MonitorSettings, classifier: Classifier, face_finder: str
) -> str:
    summary: dict[str, Any] = {
        "classroom_monitor": version("classroom-monitor"),
        "model_id": classifier.model_id,
        "adapter_id": classifier.adapter_id,
        "face_finder": face_finder,
        "rubric_id": classifier.rubric.rubric_id,
        "labels": list(classifier.rubric.names),
        "rate": settings.rate,
        "layout": settings.layout,
        "libraries": {name: version(name) for name in _libraries(settings)},
        "recordings": [asdict(one) for one in summaries],
    }
    return json.dumps(summary, ensure_ascii=False, indent=2) + "\n"


def _libraries(settings: MonitorSettings) -> tuple[str, ...]:
    always = ("av", "numpy", "onnxruntime", "opencv-python")
    return always if settings.model is None else (*always, "torch", "transformers")


def _shares(counts: Counter[str]) -> dict[str, float]:
    total = counts.total()
    return {name: round(count / total, 4) if total else 0.0 for name, count in counts.items()}
