"""One lecture as one HTML file that needs nothing else: no network, no script, light and dark.

The same rows give the same bytes: nothing in it depends on when or where it was written. It holds pseudonyms alone;
names stay in students.csv.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray

from monitor.errors import StoreError
from monitor.report_drawing import draw_map, draw_shares, mark
from monitor.rubric import Rubric
from monitor.schema import UNSURE, Presence
from monitor.store.database import StoreReader
from monitor.store.records import LectureRecord

_BINS_MAX = 160
_BIN_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600)
_OFF = "not visible"


@dataclass(frozen=True, slots=True)
class Tally:
    """A lecture counted up: all that the report draws, bounded whatever its length."""

    students: tuple[str, ...]
    states: tuple[str, ...]
    """Labels of the rubric, then unsure, then not visible."""
    bin_s: float
    counts: NDArray[np.int64]
    """Moments, students x states x bins."""
    confidence: NDArray[np.float64]
    """Mean confidence of each student's answers, NaN where there was none."""

    @property
    def judged(self) -> NDArray[np.int64]:
        """The counts without not visible."""
        return self.counts[:, :-1]


def write_report(reader: StoreReader, lecture_id: str, path: Path) -> None:
    """Write the report of a lecture.

    Args:
        reader: the store it lies in.
        lecture_id: which one.
        path: the HTML file; replaced whole or not at all.

    Raises:
        StoreError: no such lecture, or the file cannot be written.
    """
    record = reader.lecture(lecture_id)
    if record is None:
        raise StoreError(f"{reader.path}: no lecture {lecture_id!r} here to report on. Check the id and the store.")
    page = report_html(record, tally(reader, record))
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(page.encode())
        part.replace(path)
    except OSError as error:
        raise StoreError(
            f"{path}: the report cannot be written ({error.strerror}). Check the folder and its space."
        ) from error


def tally(reader: StoreReader, record: LectureRecord) -> Tally:
    """Count the rows of a lecture, read once from front to end."""
    students = tuple(sorted(reader.students(record.lecture_id), key=lambda s: (len(s), s)))
    states = (*record.rubric.names, UNSURE, _OFF)
    row_of = {student: row for row, student in enumerate(students)}
    column_of = {state: column for column, state in enumerate(states)}
    length_s = (record.last_pts_s or 0.0) + record.sample_period_s
    bin_s = _bin_width(length_s, record.sample_period_s)
    counts = np.zeros((len(students), len(states), max(1, int(np.ceil(length_s / bin_s)))), np.int64)
    sums = np.zeros((len(students), 2))
    for seen in reader.observations(record.lecture_id):
        row = row_of[seen.student_id]
        if seen.state is None and seen.presence.judged:
            continue  # seen, not judged yet
        if seen.presence is Presence.ABSENT:
            continue
        column = column_of.get(seen.state or _OFF, len(states) - 1)
        counts[row, column, min(int(seen.pts_s / bin_s), counts.shape[2] - 1)] += 1
        if seen.confidence is not None:
            sums[row] += (seen.confidence, 1.0)
    with np.errstate(invalid="ignore"):
        confidence = sums[:, 0] / sums[:, 1]
    return Tally(students, states, bin_s, counts, confidence)


def report_html(record: LectureRecord, counted: Tally) -> str:
    """The page as text."""
    rubric = record.rubric
    classes = [f"l{number}" for number in range(len(rubric.labels))] + ["unsure"]
    ticks = _ticks(counted)
    template = resources.files("monitor") / "assets" / "report.html"
    return Template(template.read_text(encoding="utf-8")).substitute(
        title=escape(_source_name(record.source)),
        subtitle=escape(_subtitle(record, counted)),
        summary=escape(_summary(rubric, counted)),
        label_styles="\n".join(
            f".l{number} {{ fill: {label.color}; background: {label.color}; }}"
            for number, label in enumerate(rubric.labels)
        ),
        bin=_length_words(counted.bin_s),
        legend=_legend(rubric),
        shares=draw_shares(_shares(counted), classes, ticks),
        who="The names that were read are in students.csv, nowhere else." if counted.students else "",
        map_legend=_legend(rubric) + f"<span>{mark(1, 'off')}{_OFF}: camera off, picture still, or opted out</span>",
        map=draw_map(_dominant(counted), counted.students, [*classes, "off"], ticks),
        head="".join(f"<th>{mark(n, f'l{n}')} {escape(label.phrase)}</th>" for n, label in enumerate(rubric.labels)),
        rows="\n".join(_row(counted, number, record.sample_period_s) for number in range(len(counted.students))),
        ran="".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in _ran(record, counted)),
        limits="".join(f"<li>{escape(line)}</li>" for line in _limits(rubric)),
    )


def _bin_width(length_s: float, period_s: float) -> float:
    wanted = max(length_s / _BINS_MAX, 2 * period_s)
    return float(next((step for step in _BIN_STEPS_S if step >= wanted), np.ceil(wanted)))


def _shares(counted: Tally) -> NDArray[np.float64]:
    """Share of each label in each bin, labels x bins; NaN where nobody was judged."""
    room = counted.judged.sum(axis=0)
    total = room.sum(axis=0)
    return np.where(total > 0, room / np.maximum(total, 1), np.nan)


def _dominant(counted: Tally) -> NDArray[np.int64]:
    """What was seen most in each bin, students x bins; -1 where the student was not there."""
    there = counted.counts.sum(axis=1) > 0
    return np.where(there, counted.counts.argmax(axis=1), -1)


def _ticks(counted: Tally) -> list[tuple[float, str]]:
    length_s = counted.counts.shape[2] * counted.bin_s
    step = next((s for s in (15, 30, 60, 120, 300, 600, 900, 1800) if length_s / s <= 8), 3600)
    return [(at / length_s, _clock(at)) for at in range(0, int(length_s) + 1, step)]


def _legend(rubric: Rubric) -> str:
    labels = [f"<span>{mark(n, f'l{n}')}{escape(label.phrase)}</span>" for n, label in enumerate(rubric.labels)]
    return "".join(labels) + f"<span>{mark(0, 'unsure')}unsure</span>"


def _row(counted: Tally, number: int, period_s: float) -> str:
    total = counted.counts[number].sum(axis=1)
    judged = int(total[:-1].sum())
    cells = [f"<td>{escape(counted.students[number])}</td>", f"<td>{_clock(int(total.sum()) * period_s)}</td>"]
    for label, count in enumerate(total[:-2]):
        fill = f'<i class="l{label}" style="width:{100 * count / judged:.1f}%"></i>' if judged else ""
        cells.append(f'<td><span class="share"><b>{fill}</b><em>{_percent(count, judged)}</em></span></td>')
    cells.append(f"<td>{_percent(total[-2], judged)}</td>")
    sure = counted.confidence[number]
    cells += [f"<td>{_clock(int(total[-1]) * period_s)}</td>", f"<td>{'–' if np.isnan(sure) else f'{sure:.0%}'}</td>"]
    return f"<tr>{''.join(cells)}</tr>"


def _summary(rubric: Rubric, counted: Tally) -> str:
    total = counted.counts.sum(axis=(0, 2))
    judged = int(total[:-1].sum())
    if not judged:
        return "Nobody could be judged in this lecture."
    parts = [f"{_percent(n, judged)} {label.phrase}" for n, label in zip(total, rubric.labels, strict=False)]
    unsure = f", {_percent(total[-2], judged)} unsure" if total[-2] else ""
    return f"Over the whole lecture: {', '.join(parts)}{unsure}."


def _subtitle(record: LectureRecord, counted: Tally) -> str:
    people = f"{len(counted.students)} {'student' if len(counted.students) == 1 else 'students'}"
    started = f", from {record.started_at:%Y-%m-%d %H:%M} UTC" if record.started_at else ""
    length = _clock((record.last_pts_s or 0.0) + record.sample_period_s if record.moments else 0.0)
    return f"{rubric_title(record.rubric)} · {people} · {length} long{started}"


def rubric_title(rubric: Rubric) -> str:
    """The rubric's title, and what kind of label it has where that is not plain behaviour."""
    return rubric.title if rubric.kind == "behaviour" else f"{rubric.title} (research only)"


def _ran(record: LectureRecord, counted: Tally) -> list[tuple[str, str]]:
    rubric = record.rubric
    rows = [
        ("Recording", _source_name(record.source)),
        ("Lecture", record.lecture_id),
        ("Question", f"{rubric.question} (rubric {rubric.rubric_id})"),
        *((label.phrase[:1].upper() + label.phrase[1:], label.definition) for label in rubric.labels),
        ("Unsure", "The likeliest label was not likely enough; the probabilities are kept in labels.parquet."),
        ("Model", record.model_id or "not recorded"),
        ("Adapter", record.adapter_id or "none"),
        ("Sampled", f"every {_length_words(record.sample_period_s)}, {record.moments:,} moments"),
        ("Judged", f"{int(counted.judged.sum()):,} times, {int(counted.counts[:, -1].sum()):,} times not visible"),
    ]
    return rows + [("Could not be read", fault) for fault in record.faults]


def _limits(rubric: Rubric) -> Sequence[str]:
    meaning = (
        "The labels say where head and eyes seem to point. They say nothing about attention, understanding, mood or "
        "effort: who looks at paper may be taking notes, who looks away may be thinking."
        if rubric.kind == "behaviour"
        else "The labels imitate how annotators of a research corpus judged inner states from outside. Nobody's inner "
        "state can be read off a picture; some laws forbid trying to in education."
    )
    return (
        meaning,
        "Each label is the guess of a small model and can be wrong, for one student more often than for another: "
        "glasses, light, camera angle, a second screen and small pictures all matter. Its confidence is no promise.",
        "A camera beside the screen, or a screen beside the camera, shifts every answer of that student.",
        "Not visible is not absent, and absent from the picture is not absent from class.",
        "Not made for grading, discipline or attendance. Use it for the room as a whole, and look yourself first.",
    )


def _source_name(source: str) -> str:
    """The file's name without its folders, which may tell who owns the machine."""
    return "Demo lecture" if source == "demo" else source.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] or source


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f}%" if whole else "–"


def _clock(seconds: float) -> str:
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _length_words(seconds: float) -> str:
    if seconds >= 60 and seconds % 60 == 0:
        return "minute" if seconds == 60 else f"{seconds / 60:g} minutes"
    return "second" if seconds == 1 else f"{seconds:g} seconds"
