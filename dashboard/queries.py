"""From the store to what a page shows, in plain data: texts, numbers, lists. Reads only; knows no Streamlit.

Every query is bounded (the newest row of each student, the last minutes), so that a refresh costs the same at the start
and at the end of a long lecture.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from dashboard import wording
from monitor.errors import StoreError
from monitor.rubric import Rubric
from monitor.schema import UNSURE, Episode, Presence
from monitor.store.control import notes_of, pause_asked
from monitor.store.corrections import Correction, newest_corrections
from monitor.store.database import StoreReader
from monitor.store.location import store_path
from monitor.store.records import LatestObservation, LectureRecord, MonitorStatus, StateShare
from monitor.store.wishes import Wishes, wishes_of

WINDOW_S = 300.0
"""How far back the live chart reaches."""
BIN_S = 10.0
LEFT_AFTER_S = 30.0
"""A student missing from the picture for longer has left the room."""
FORGET_AFTER_S = WINDOW_S
"""A student gone for longer has no tile any more."""
SILENT_AFTER_S = 10.0
"""A monitor not heard from for longer is shown as stopped; where samples are rare, after three of them."""

NOTES_SHOWN = 30
ALERT_BIN_S = 5.0
NEAR_LABELS = ("screen", "paper")
"""Labels that are no reason for an alert; a rubric without them has none."""

_STATUS_WORDS = {
    "live": "Live",
    "paused": "Paused",
    "waiting": "Starting",
    "stalled": "No signal",
    "ended": "Ended",
}
_PAST_WORDS = {"ended": "As it stood at the end. ", "stalled": "As it stood when last heard. "}


@dataclass(frozen=True, slots=True)
class Seat:
    """One student as the page shows them."""

    student_id: str
    name: str
    shown: str
    """A label of the rubric, "unsure", "waiting" (seen, not judged yet), or a presence."""
    unidentified: bool
    confidence: float | None
    """Mean over the stretch that is shown: the newest answer alone may speak for another label."""
    age_s: float | None
    """Wall time since the picture was taken; None once the lecture is over."""
    stale: bool
    """Whether the label is too old to be trusted as the present."""
    lost: bool
    """Missing from the newest pictures, though not for long."""
    corrected: Correction | None = None
    """A person's word on the stretch that is shown: it stands until the monitor sees something new."""


def open_reader(location: str | None) -> StoreReader | None:
    """Open the store for one look, or None where none has been made yet; close it after use.

    Raises:
        StoreError: there is a file, and it cannot be read.
    """
    return StoreReader(location) if store_path(location).is_file() else None


def lecture_choices(reader: StoreReader) -> dict[str, str]:
    """Lectures to pick from, newest first: id -> what a person reads."""
    return {record.lecture_id: lecture_title(record) for record in reader.lectures()}


def lecture_title(record: LectureRecord) -> str:
    """One line that names a lecture: "Demo lecture · Sun 22 Nov, 10:52"."""
    when = wording.started_words(record.started_at or record.opened_at)
    return f"{wording.source_words(record.source)} · {when}"


def room_view(reader: StoreReader, lecture_id: str, now: datetime | None = None) -> dict[str, Any]:
    """All that the live page shows of one lecture, as plain data for the page's script.

    Args:
        reader: the open store.
        lecture_id: which lecture.
        now: UTC, for ages; the clock by default.

    Raises:
        StoreError: no such lecture.
    """
    now = now or datetime.now(UTC)
    record = reader.lecture(lecture_id)
    if record is None:
        raise StoreError(f"{reader.path}: lecture {lecture_id} is no longer here. Choose another one.")
    status = reader.status(lecture_id)
    state = monitor_state(record, status, now)
    names = reader.names()
    wishes = wishes_of(reader)
    newest = {episode.student_id: episode for episode in reader.episodes(lecture_id, record.last_pts_s or 0.0)}
    corrections = newest_corrections(reader, lecture_id)
    seats = [
        _put_right(seat, corrections.get(seat.student_id), newest.get(seat.student_id), record.rubric)
        for row in reader.latest(lecture_id)
        if (seat := _seat(row, names, record, newest, None if state == "ended" else now)) is not None
    ]
    # Who left goes to the end; the others keep their places, s100 after s20.
    seats.sort(key=lambda seat: (seat.shown == Presence.ABSENT, len(seat.student_id), seat.student_id))
    return {
        "painted": now.timestamp(),
        "status": {"state": state, "word": _STATUS_WORDS[state], "context": _context(record, status, state, now)},
        "past": state in _PAST_WORDS,
        "sentence": _sentence(record.rubric, seats),
        "aside": _PAST_WORDS.get(state, "") + _aside(record.rubric, seats),
        "chart": _chart(reader, record, live=state in ("live", "waiting")),
        "students": [] if wishes.room_only else [_tile(reader, record, seat) for seat in seats],
        "room_only": wishes.room_only,
        "facts": _facts(record, status),
        "lecture": lecture_id,
        "labels": [
            {"name": label.name, "phrase": label.phrase, "color": label.color, "mark": number}
            for number, label in enumerate(record.rubric.labels)
        ],
        "running": state in ("live", "paused", "waiting"),
        "pause_asked": pause_asked(reader, lecture_id),
        "alert": _alert(reader, record, wishes) if state == "live" else "",
        "notes": [
            {"id": note.note_id, "at_s": note.pts_s, "text": note.text, "when": wording.duration_words(note.pts_s)}
            for note in notes_of(reader, lecture_id)
        ][-NOTES_SHOWN:],
    }


def monitor_state(record: LectureRecord, status: MonitorStatus | None, now: datetime) -> str:
    """What the monitor of a lecture is doing: "live", "paused", "waiting", "stalled" or "ended"."""
    if record.ended_at is not None or (status is not None and status.state == "ended"):
        return "ended"
    heard_at = max(filter(None, (record.active_at, status.updated_at if status else None)))
    if (now - heard_at).total_seconds() > max(SILENT_AFTER_S, 3 * record.sample_period_s):
        return "stalled"
    if status is not None and status.state == "paused":
        return "paused"
    return "live" if record.moments else "waiting"


def _seat(
    row: LatestObservation,
    names: Mapping[str, str],
    record: LectureRecord,
    newest: Mapping[str, Episode],
    now: datetime | None,
) -> Seat | None:
    """A student's place; None for who is gone for good. `now` is None once the lecture is over."""
    seen = row.observation
    old_s = max(wording.STALE_S, 2 * record.sample_period_s)
    if row.age_s > FORGET_AFTER_S:
        return None
    taken_at = seen.captured_at or seen.committed_at
    age_s = max(0.0, (now - taken_at).total_seconds()) if now else None
    if row.age_s > max(LEFT_AFTER_S, old_s) or seen.presence is Presence.ABSENT:
        shown, confidence = Presence.ABSENT.value, None
    elif seen.presence.judged:
        shown = seen.state or "waiting"
        episode = newest.get(seen.student_id)
        confidence = episode.confidence if episode is not None and episode.state == shown else seen.confidence
    else:
        shown, confidence = seen.presence.value, None
    return Seat(
        student_id=seen.student_id,
        name=names.get(seen.student_id, seen.student_id),
        shown=shown,
        unidentified=seen.presence is Presence.UNIDENTIFIED,
        confidence=confidence,
        age_s=age_s,
        stale=age_s is not None and age_s > old_s and shown != Presence.ABSENT,
        lost=row.age_s > old_s and shown != Presence.ABSENT,
    )


def _put_right(seat: Seat, said: Correction | None, episode: Episode | None, rubric: Rubric) -> Seat:
    """The seat under the label that a person gave to the stretch which is shown."""
    judged = seat.shown in rubric.names or seat.shown == UNSURE
    if said is None or not judged or said.label not in rubric.names or (episode and said.pts_s < episode.started_s):
        return seat
    return replace(seat, shown=said.label, confidence=None, corrected=said)


def _alert(reader: StoreReader, record: LectureRecord, wishes: Wishes) -> str:
    """What to say when the room has looked away for long; empty otherwise."""
    near = [name for name in record.rubric.names if name in NEAR_LABELS]
    bin_s = max(ALERT_BIN_S, 2 * record.sample_period_s)
    bins = max(1, -(-int(wishes.alert_after_s) // int(bin_s)))
    from_s = (record.last_pts_s or 0.0) + record.sample_period_s - bins * bin_s
    if not near or from_s < 0.0 or wishes.alert_share >= 1.0:
        return ""
    shares = []
    for share in reader.shares(record.lecture_id, from_s, bin_s=bin_s):
        judged = sum(share.counts.get(name, 0) for name in record.rubric.names)
        away = judged - sum(share.counts.get(name, 0) for name in near)
        if judged:
            shares.append(away / judged)
    if len(shares) < bins or min(shares) <= wishes.alert_share:
        return ""
    return f"For {wording.duration_words(bins * bin_s)}, {shares[-1]:.0%} of the room has looked elsewhere"


def _context(record: LectureRecord, status: MonitorStatus | None, state: str, now: datetime) -> str:
    length = wording.duration_words(record.last_pts_s or 0.0)
    title = lecture_title(record)
    if state == "stalled":
        silent = wording.age_words((now - record.active_at).total_seconds())
        return f"{title} · last heard {silent}; start the same command again to go on"
    if state == "waiting":
        return f"{title} · waiting for the first picture"
    trouble = status.source_state if status and status.source_state not in ("", "reading") else ""
    return (
        f"{title} · {length} long"
        if state == "ended"
        else " · ".join(filter(None, (title, f"running {length}", trouble)))
    )


def _sentence(rubric: Rubric, seats: Sequence[Seat]) -> list[dict[str, Any]]:
    here = [seat for seat in seats if seat.shown != Presence.ABSENT]
    count = Counter(seat.shown for seat in here if not seat.lost)
    parts = wording.room_sentence([(label.phrase, count[label.name]) for label in rubric.labels], len(here))
    if len(parts) != len(rubric.labels):
        return [{"text": part, "color": None, "mark": 0} for part in parts]
    return [
        {"text": part, "color": label.color, "mark": number}
        for number, (part, label) in enumerate(zip(parts, rubric.labels, strict=True))
    ]


def _aside(rubric: Rubric, seats: Sequence[Seat]) -> str:
    others = ("lost" if seat.lost else seat.shown for seat in seats if seat.lost or seat.shown not in rubric.names)
    return wording.aside_sentence(Counter(others))


def _chart(reader: StoreReader, record: LectureRecord, *, live: bool) -> dict[str, Any]:
    bin_s = max(BIN_S, 2 * record.sample_period_s)
    last_s = (record.last_pts_s or 0.0) + record.sample_period_s
    from_s = max(0.0, last_s - WINDOW_S)
    from_s -= from_s % bin_s  # whole bins only, so that none changes as it grows old
    until_s = max(last_s, from_s + 60.0) if live else max(last_s, from_s + bin_s)
    shares = reader.shares(record.lecture_id, from_s, bin_s=bin_s) if record.moments else []
    labels = [*record.rubric.names, UNSURE]
    columns = [_bin_shares(share, labels) for share in shares]
    series = [
        {"phrase": label.phrase, "color": label.color, "mark": number, "shares": [c and c[number] for c in columns]}
        for number, label in enumerate(record.rubric.labels)
    ]
    series.append({"phrase": wording.UNSURE_WORD, "color": None, "mark": 0, "shares": [c and c[-1] for c in columns]})
    times = [(share.started_s + min(share.ended_s, last_s)) / 2 for share in shares]  # the newest bin is still filling
    return {
        "from_s": from_s,
        "until_s": until_s,
        "bin_s": bin_s,
        "times": times,
        "moments": [_moment_words(t, last_s, live=live) for t in times],
        "series": series,
        "ticks": _ticks(from_s, until_s, last_s, live=live),
        "summary": f"Share of each label over the last {wording.duration_words(until_s - from_s)}",
    }


def _bin_shares(share: StateShare, labels: Sequence[str]) -> list[float] | None:
    """Shares of those judged, in the order of the labels; None where nobody was."""
    counts = [share.counts.get(label, 0) for label in labels]
    total = sum(counts)
    return [count / total for count in counts] if total else None


def _moment_words(at_s: float, last_s: float, *, live: bool) -> str:
    if not live:
        return f"at {wording.duration_words(at_s)}"
    back_s = max(0.0, last_s - at_s)
    return wording.age_words(back_s) if back_s < 60 else f"{wording.duration_words(back_s)} min ago"


def _ticks(from_s: float, until_s: float, last_s: float, *, live: bool) -> list[dict[str, Any]]:
    """Marks of the time axis: a minute apart, or less where the chart is young."""
    step = 60 if until_s - from_s > 150 else 15
    if not live:
        first = -(-from_s // step) * step
        count = int((until_s - first) // step) + 1
        return [{"t": first + k * step, "text": wording.duration_words(first + k * step)} for k in range(count)]
    ticks = [{"t": last_s, "text": "now"}]
    for back in range(step, int(last_s - from_s) + 1, step):
        text = f"{back // 60} min ago" if step == 60 else f"{back} s ago"
        ticks.append({"t": last_s - back, "text": text})
    return ticks


def _tile(reader: StoreReader, record: LectureRecord, seat: Seat) -> dict[str, Any]:
    number = record.rubric.names.index(seat.shown) if seat.shown in record.rubric.names else None
    label = record.rubric.labels[number] if number is not None else None
    word = label.phrase if label else _word(seat.shown)
    hidden = seat.shown in (Presence.OPTED_OUT, Presence.CAMERA_OFF, Presence.ABSENT)
    picture = None if hidden else reader.thumbnail(record.lecture_id, seat.student_id)
    judged = label is not None or seat.shown == UNSURE
    age = wording.age_words(seat.age_s) if judged or seat.stale else ""
    return {
        "id": seat.student_id,
        "name": seat.name,
        "initials": wording.initials(seat.name),
        "image": f"data:image/jpeg;base64,{base64.b64encode(picture.jpeg).decode()}" if picture else None,
        "kind": "label" if label else "unsure" if seat.shown == UNSURE else "presence",
        "word": word,
        "color": label.color if label else None,
        "mark": number or 0,
        "icon": None if label else seat.shown,
        "confidence": seat.confidence,
        "age": age,
        "stale": seat.stale,
        "tag": wording.PRESENCE_WORDS[Presence.UNIDENTIFIED] if seat.unidentified else None,
        "label": seat.shown if label else None,
        "corrected": seat.corrected.annotation_id if seat.corrected else None,
        "correctable": picture is not None and judged,
        "summary": ", ".join(filter(None, (seat.name, word, age))),
    }


def _word(shown: str) -> str:
    if shown == UNSURE:
        return wording.UNSURE_WORD
    return "not read yet" if shown == "waiting" else wording.PRESENCE_WORDS[Presence(shown)]


def _facts(record: LectureRecord, status: MonitorStatus | None) -> list[dict[str, str]]:
    facts = []
    if status is not None:
        delay = f"{status.p50_ms / 1000:.1f} s" if status.p50_ms is not None else "–"
        facts = [
            ("Pictures taken", f"{status.captured:,}", "Pictures that the source gave so far"),
            ("Skipped", f"{status.dropped:,}", "Pictures left out because a newer one was there"),
            ("Label ready after", delay, "From picture to stored label, the middle of the last minute"),
        ]
    whole = " with ".join(filter(None, (record.model_id, record.adapter_id)))
    facts.append(("Model", wording.model_words(record.adapter_id or record.model_id or "–"), whole or "Not known yet"))
    return [{"name": name, "value": value, "hint": hint} for name, value, hint in facts]
