"""The lanes of one lecture's timeline, for programs of those who code behaviour: who said what from when to when.

One lane a student and coder; the model is a coder among the people. Records in, plain lanes out; no file format.
"""

from __future__ import annotations

from dataclasses import dataclass

from monitor.errors import StoreError
from monitor.schema import UNSURE, Presence
from monitor.store.reader import StoreReader
from monitor.store.records import LectureRecord

CANNOT_TELL = "cannot_tell"
MODEL = "model"


@dataclass(frozen=True, slots=True)
class Stretch:
    """One code from when to when, in whole milliseconds of media time; stretches of a lane never overlap."""

    from_ms: int
    to_ms: int
    code: str


@dataclass(frozen=True, slots=True)
class Lane:
    """What one coder said about one student."""

    student_id: str
    coder: str
    """MODEL, or the id of a person."""
    stretches: tuple[Stretch, ...]


def lecture_of(reader: StoreReader, lecture_id: str) -> LectureRecord:
    """The lecture.

    Raises:
        StoreError: no such lecture.
    """
    lecture = reader.lecture(lecture_id)
    if lecture is None:
        raise StoreError(f"{reader.path}: no lecture {lecture_id!r} here to export. Check the id and the store.")
    return lecture


def codes_of(lecture: LectureRecord) -> dict[str, str]:
    """Every code that may occur -> what it means."""
    codes = {label.name: label.phrase for label in lecture.rubric.labels}
    codes |= {UNSURE: "the model was not sure", CANNOT_TELL: "the person could not tell"}
    return codes | {state.value: state.value.replace("_", " ") for state in Presence if not state.judged}


def lanes_of(reader: StoreReader, lecture_id: str) -> list[Lane]:
    """The model's lanes (smoothed episodes), then those of people (one sample long an answer), by student."""
    lecture = lecture_of(reader, lecture_id)
    said: dict[tuple[str, str], list[tuple[float, float, str]]] = {}
    for episode in reader.episodes(lecture_id):
        lane = said.setdefault((episode.student_id, MODEL), [])
        lane.append((episode.started_s, episode.ended_s, episode.state))
    rows = reader.rows(
        "SELECT student_id, annotator_id, c.pts_s, a.label FROM annotations a JOIN crops c USING (crop_no) "
        "JOIN lectures l USING (lecture_no) JOIN students USING (student_no) WHERE l.lecture_id = ? "
        "AND a.rubric_id = l.rubric_id AND a.superseded_by IS NULL AND NOT a.withdrawn "
        "ORDER BY c.pts_s, a.annotation_no",
        lecture_id,
    )
    for student_id, annotator, pts_s, label in rows:
        # "person:" keeps a person who calls themselves "model" apart from the model.
        lane = said.setdefault((student_id, f"person:{annotator}"), [])
        lane.append((pts_s, pts_s + lecture.sample_period_s, label or CANNOT_TELL))
    order = sorted(said, key=lambda key: (len(key[0]), key[0], key[1] != MODEL, key[1]))
    lanes = (Lane(student, coder.removeprefix("person:"), _apart(said[student, coder])) for student, coder in order)
    return [lane for lane in lanes if lane.stretches]


def _apart(said: list[tuple[float, float, str]]) -> tuple[Stretch, ...]:
    """In order, each cut where the next begins; what is then empty is left out."""
    ordered = sorted(said)
    found = []
    for place, (from_s, to_s, code) in enumerate(ordered):
        end_s = min(to_s, ordered[place + 1][0]) if place + 1 < len(ordered) else to_s
        from_ms, to_ms = round(1000 * from_s), round(1000 * end_s)
        if to_ms > from_ms:
            found.append(Stretch(from_ms, to_ms, code))
    return tuple(found)
