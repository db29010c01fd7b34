"""Lectures for the dashboard's tests, written by the real store: students who look here and there, and every odd state.

`python -m tests.dashboard.lectures STORE --students 25 --live` goes on once a second, to look at the page by eye.
"""

from __future__ import annotations

import argparse
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np

from monitor.schema import UNSURE, Episode, Lecture, Moment, Observation, Presence, ReviewCrop
from monitor.store.database import MonitorStatus, Store
from monitor.store.keeping import commit_with_crops
from monitor.store.wishes import acknowledge
from tests.monitor.builders import LABELS, observation, prediction

NAMES = (
    "Ada Lovelace", "Emmy Noether", "José Núñez", "Mei Lin", "Noor al-Hassan", "<script>alert(1)</script>",
    "Wilhelmina van der Vandenberghe-Smith", "Øyvind Å", "Sofia K.", "Tariq", "Anna & Ben", "Zoë Quinn", "李 小龍",
)  # fmt: skip
ODD_STATES = {
    4: Presence.CAMERA_OFF,
    7: Presence.PICTURE_STILL,
    9: Presence.OPTED_OUT,
    10: Presence.UNIDENTIFIED,
}
"""Students, by number, who are not simply visible."""
UNSURE_NUMBER, STALE_NUMBER, GONE_NUMBER = 3, 6, 8
LIKELY = (0.62, 0.24, 0.14)


def thumbnail(number: int) -> bytes:
    """A small JPEG of a drawn head, another colour for each student."""
    rng = np.random.default_rng(number)
    image = np.full((112, 112, 3), rng.integers(150, 225, 3), np.uint8)
    shirt, skin, hair = (tuple(int(v) for v in rng.integers(30, 200, 3)) for _ in range(3))
    cv2.ellipse(image, (56, 122), (52, 38), 0, 0, 360, shirt, -1, cv2.LINE_AA)
    cv2.ellipse(image, (56, 50), (31, 35), 0, 0, 360, hair, -1, cv2.LINE_AA)
    cv2.ellipse(image, (56, 58), (26, 31), 0, 0, 360, skin, -1, cv2.LINE_AA)
    encoded = cv2.imencode(".jpg", image)[1]
    return bytes(encoded.tobytes())


class Room:
    """Students of one lecture, second after second, the same for the same seed."""

    def __init__(self, students: int, *, lecture_id: str, start: datetime, odd: bool = True, seed: int = 0) -> None:
        self.lecture_id = lecture_id
        self.start = start
        self.odd = odd
        self.ids = [f"s{number + 1:02d}" for number in range(students)]
        self._rng = random.Random(seed)
        self._states = [self._rng.choices(LABELS, LIKELY)[0] for _ in self.ids]
        self._open: dict[str, Episode] = {}

    def moments(self, seconds: int, *, first: int = 0, gone_from_s: int | None = None) -> Iterator[Moment]:
        """One moment a second; a few students leave or fall silent near `gone_from_s`."""
        for index in range(first, first + seconds):
            yield self.moment(index, gone_from_s if gone_from_s is not None else 1 << 40)

    def moment(self, index: int, gone_from_s: int) -> Moment:
        seen = [
            self._look(number, student, index)
            for number, student in enumerate(self.ids)
            if not (self.odd and self._missing(number, index, gone_from_s))
        ]
        named = {s: NAMES[n] for n, s in enumerate(self.ids) if n < len(NAMES) and (n != 10 or not self.odd)}
        return Moment(
            lecture_id=self.lecture_id,
            index=index,
            pts_s=float(index),
            captured_at=self.start + timedelta(seconds=index),
            observations=tuple(seen),
            episodes=tuple(self._episode(row, index) for row in seen),
            resume_state="{}",
            thumbnails={s: thumbnail(n) for n, s in enumerate(self.ids) if n % 5 != 1} if index % 2 == 0 else {},
            names=named if index == 0 else {},
        )

    def _missing(self, number: int, index: int, gone_from_s: int) -> bool:
        if number == GONE_NUMBER:
            return index >= gone_from_s - 60
        # Seen again once in a while, so that the wait never grows into having left.
        return number == STALE_NUMBER and index >= gone_from_s - 8 and (index - gone_from_s) % 20 != 10

    def _look(self, number: int, student: str, index: int) -> Observation:
        presence = ODD_STATES.get(number, Presence.VISIBLE) if self.odd else Presence.VISIBLE
        if not presence.judged:
            return observation(student, index, presence=presence)
        if self._rng.random() < 0.04:
            self._states[number] = self._rng.choices(LABELS, LIKELY)[0]
        if self.odd and number == UNSURE_NUMBER:
            doubtful = prediction(student, index, "paper", 0.41, sure=False)
            plain = observation(student, index)
            return Observation(student, plain.box, presence, doubtful, UNSURE)
        confidence = 0.72 + 0.27 * self._rng.random()
        return observation(student, index, self._states[number], confidence=confidence, presence=presence)

    def _episode(self, row: Observation, index: int) -> Episode:
        state = row.state or row.presence.value
        before = self._open.get(row.student_id)
        if before is None or before.state != state:
            confidence = 0.85 if row.state else None
            before = Episode(row.student_id, state, float(index), float(index), confidence)
        grown = Episode(row.student_id, state, before.started_s, index + 1.0, before.confidence)
        self._open[row.student_id] = grown
        return grown


def write_lecture(
    path: Path, students: int = 12, seconds: int = 120, *, lecture_id: str = "algebra", source: str = "demo",
    ended: bool = False, odd: bool = True, start: datetime | None = None, crops: int = 0,
) -> Room:  # fmt: skip
    """A lecture that began `seconds` ago, and its room to go on with; the first `crops` moments have one to review."""
    start = start or datetime.now(UTC) - timedelta(seconds=seconds)
    room = Room(students, lecture_id=lecture_id, start=start, odd=odd)
    with Store.open(path, durable=False) as store:
        acknowledge(store, "Test")
        store.begin_lecture(Lecture(lecture_id, source, "attention", start), model_id="classroom-tiny-0.1-4f2a9c")
        for moment in room.moments(seconds, gone_from_s=seconds):
            commit_with_crops(store, with_crops(moment) if moment.index < crops else moment)
        store.heartbeat(lecture_id, running(seconds))
        if ended:
            store.end_lecture(lecture_id)
    return room


def with_crops(moment: Moment) -> Moment:
    """The moment with a crop of one of its students, another kind each time."""
    judged = [seen.student_id for seen in moment.observations if seen.prediction]
    student = judged[moment.index % len(judged)]
    reasons = (("uncertain", 3.5), ("flicker", 1.5), ("random", 2.0))
    reason, priority = reasons[moment.index % len(reasons)]
    crop = ReviewCrop(student, thumbnail(int(student[1:]) - 1), reason, priority - moment.index / 1000)
    return replace(moment, to_review=(crop,))


def running(moments: int, state: str = "running") -> MonitorStatus:
    return MonitorStatus(state, captured=moments + 2, dropped=2, delivered=moments, p50_ms=310.0, p95_ms=420.0)


def go_on(path: Path, room: Room, *, first: int, gone_from_s: int, stop: threading.Event) -> None:
    """Write a moment each second until told to stop."""
    with Store.open(path, durable=False) as store:
        store.resume_point(room.lecture_id)
        for index in range(first, 1 << 30):
            room.start = datetime.now(UTC) - timedelta(seconds=index)
            store.commit(room.moment(index, gone_from_s))
            store.heartbeat(room.lecture_id, running(index))
            if stop.wait(1.0):
                return


@contextmanager
def going_on(path: Path, students: int = 12, seconds: int = 120, lecture_id: str = "algebra") -> Iterator[Room]:
    """A lecture that began `seconds` ago and goes on while the block runs."""
    room = write_lecture(path, students, seconds, lecture_id=lecture_id)
    stop = threading.Event()
    keywords = {"first": seconds, "gone_from_s": seconds, "stop": stop}
    writer = threading.Thread(target=go_on, args=(path, room), kwargs=keywords)
    writer.start()
    try:
        yield room
    finally:
        stop.set()
        writer.join()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--students", type=int, default=25)
    parser.add_argument("--seconds", type=int, default=400)
    parser.add_argument("--id", default="algebra")
    parser.add_argument("--crops", type=int, default=0)
    parser.add_argument("--live", action="store_true")
    options = parser.parse_args()
    written = write_lecture(
        options.store,
        options.students,
        options.seconds,
        lecture_id=options.id,
        ended=not options.live,
        crops=options.crops,
    )
    if options.live:
        go_on(options.store, written, first=options.seconds, gone_from_s=options.seconds, stop=threading.Event())
