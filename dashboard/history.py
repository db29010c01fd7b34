"""From the store to what the page of past lectures shows, in plain data. Reads only; knows no Streamlit."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from dashboard import wording
from dashboard.charts import OFF_COLOR, UNSURE_COLOR
from monitor.rubric import Rubric
from monitor.schema import UNSURE, Presence
from monitor.store.database import StoreReader
from monitor.store.records import LectureRecord

_OFF_WORD = "not visible"
_BINS = 120
CELLS = 60
"""Stretches of time that a row of the heat map has, at most."""
_BIN_STEPS_S = (5, 10, 15, 30, 60, 120, 300, 600)
EPISODES_MAX = 20_000
"""More than a browser draws with ease: beyond it the shortest are left out."""


@dataclass(frozen=True, slots=True)
class LectureSummary:
    """One line of the list of lectures."""

    lecture_id: str
    title: str
    facts: str
    parts: tuple[tuple[str, str, float], ...]
    """(what a person reads, colour, share from 0 to 1) of each label and unsure, over the whole lecture."""


@dataclass(frozen=True, slots=True)
class LectureDetail:
    """All that the charts of one lecture draw."""

    until_s: float
    colors: dict[str, str]
    label_colors: dict[str, str]
    shares: list[dict[str, object]]
    students: list[str]
    episodes: list[dict[str, object]]
    cells: list[dict[str, object]]
    titles: dict[str, str]
    """student_id -> what stands for the student."""


def summarize(reader: StoreReader, record: LectureRecord) -> LectureSummary:
    """Count a whole lecture; one query."""
    length_s = _length_s(record)
    counts: Counter[str] = Counter()
    for share in reader.shares(record.lecture_id, bin_s=length_s + 1.0):
        counts.update(share.counts)
    labels = _label_colors(record.rubric)
    judged = [counts[name] for name in (*record.rubric.names, UNSURE)]
    total = sum(judged)
    people = len(reader.students(record.lecture_id))
    going_on = "" if record.ended_at else ", not ended"
    return LectureSummary(
        lecture_id=record.lecture_id,
        title=wording.source_words(record.source),
        facts=f"{wording.started_words(record.started_at or record.opened_at)} · "
        f"{wording.duration_words(length_s)} long{going_on} · {people} {'student' if people == 1 else 'students'}",
        parts=tuple(
            (phrase, color, n / total if total else 0.0) for (phrase, color), n in zip(labels, judged, strict=True)
        ),
    )


def detail(reader: StoreReader, record: LectureRecord) -> LectureDetail:
    """Shares over time and episodes of one lecture, under the names that are known."""
    length_s = _length_s(record)
    labels = dict(_label_colors(record.rubric))
    names = reader.names()
    words = _state_words(record.rubric)
    ids = sorted(reader.students(record.lecture_id), key=lambda s: (len(s), s))
    titles = _titles(ids, names)
    episodes = [e for e in reader.episodes(record.lecture_id) if e.state != Presence.ABSENT]
    if len(episodes) > EPISODES_MAX:
        episodes = sorted(episodes, key=lambda e: e.started_s - e.ended_s)[:EPISODES_MAX]
    seen = [words.get(e.state, e.state) for e in episodes]
    return LectureDetail(
        until_s=length_s,
        colors=labels | ({_OFF_WORD: OFF_COLOR} if any(word not in labels for word in seen) else {}),
        label_colors=labels,
        shares=_share_rows(reader, record, length_s),
        students=[titles[student] for student in ids],
        episodes=[
            {
                "student": titles[e.student_id],
                "state": word,
                "kind": word if word in labels else _OFF_WORD,
                "from_s": e.started_s,
                "to_s": e.ended_s,
                "when": wording.duration_words(e.started_s),
                "long": wording.duration_words(e.ended_s - e.started_s),
            }
            for e, word in zip(episodes, seen, strict=True)
        ],
        cells=_cells(reader, record, length_s, titles),
        titles=titles,
    )


def _cells(
    reader: StoreReader, record: LectureRecord, length_s: float, titles: dict[str, str]
) -> list[dict[str, object]]:
    """What each student did most in each stretch of time."""
    words = _state_words(record.rubric)
    labels = dict(_label_colors(record.rubric))
    wanted = max(length_s / CELLS, 2 * record.sample_period_s)
    bin_s = float(next((step for step in _BIN_STEPS_S if step >= wanted), wanted))
    counts: dict[tuple[str, int], Counter[str]] = {}
    for student, place, shown, count in reader.student_shares(record.lecture_id, bin_s):
        word = words.get(shown, shown)
        counts.setdefault((student, place), Counter())[word if word in labels else _OFF_WORD] += count
    cells: list[dict[str, object]] = []
    for (student, place), seen in counts.items():
        state, most = max(seen.items(), key=lambda item: (item[1], item[0]))
        cells.append(
            {
                "student": titles.get(student, student),
                "student_id": student,
                "state": state,
                "from_s": place * bin_s,
                "to_s": min((place + 1) * bin_s, max(length_s, place * bin_s + record.sample_period_s)),
                "share": most / seen.total(),
                "when": wording.duration_words(place * bin_s),
            }
        )
    return cells


def _share_rows(reader: StoreReader, record: LectureRecord, length_s: float) -> list[dict[str, object]]:
    wanted = max(length_s / _BINS, 2 * record.sample_period_s)
    bin_s = float(next((step for step in _BIN_STEPS_S if step >= wanted), wanted))
    shares = {round(share.started_s / bin_s): share.counts for share in reader.shares(record.lecture_id, bin_s=bin_s)}
    rows: list[dict[str, object]] = []
    bins = max(shares, default=-1) + 1
    # In the middle of their bins, but the first and the last reach to the edges of the chart.
    places = [(0, 0.0), *((place, (place + 0.5) * bin_s) for place in range(1, bins - 1)), (bins - 1, length_s)]
    for place, at_s in places if bins else []:
        counts = [shares.get(place, {}).get(name, 0) for name in (*record.rubric.names, UNSURE)]
        total = max(1, sum(counts))  # a bin in which nobody was judged is empty, not bridged
        when = wording.duration_words(place * bin_s)
        for order, ((phrase, _), count) in enumerate(zip(_label_colors(record.rubric), counts, strict=True)):
            rows.append({"at_s": at_s, "label": phrase, "order": order, "share": count / total, "when": when})
    return rows


def _titles(ids: list[str], names: dict[str, str]) -> dict[str, str]:
    """What stands for each student; two of the same name are told apart by their pseudonyms."""
    times = Counter(names.get(student, student) for student in ids)
    titles = {}
    for student in ids:
        name = names.get(student, student)
        titles[student] = name if times[name] == 1 else f"{name} ({student})"
    return titles


def _label_colors(rubric: Rubric) -> list[tuple[str, str]]:
    return [(label.phrase, label.color) for label in rubric.labels] + [(wording.UNSURE_WORD, UNSURE_COLOR)]


def _state_words(rubric: Rubric) -> dict[str, str]:
    words = {label.name: label.phrase for label in rubric.labels} | {UNSURE: wording.UNSURE_WORD}
    return words | {state.value: word for state, word in wording.PRESENCE_WORDS.items()}


def _length_s(record: LectureRecord) -> float:
    return (record.last_pts_s or 0.0) + record.sample_period_s if record.moments else 0.0
