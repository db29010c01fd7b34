"""Rendered lectures: students who behave over time, composed to a gallery recording with its truth and transcript.

It joins actors, behaviour and the gallery; drawing tiles, and what a second of truth looks like, is theirs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.progress import track

from monitor.errors import BadInputError
from monitor.schema import Image
from trainer.synthetic.actor import ACTOR, StudentActor
from trainer.synthetic.behaviour import Story, draw_habit, draw_story
from trainer.synthetic.gallery import MEET, TEAMS, ZOOM
from trainer.synthetic.gallery_video import (
    Attendee,
    Event,
    Recording,
    Schedule,
    encode_h264,
    frame_at,
    truth_of,
)
from trainer.synthetic.lecture_script import CAST, SENTENCES, SHARING
from trainer.synthetic.people import cell_of
from trainer.synthetic.renderer import Renderer
from trainer.synthetic.shards import require_seeds
from trainer.synthetic.share import Share, draw_share

STYLES = {"zoom": ZOOM, "meet": MEET, "teams": TEAMS}

_CRF = 30
"""H.264 quality: a little coarser than a cloud recording."""

_AHEAD = 16
"""Pictures of one student that are rendered at once; more cost memory, fewer cost time."""


@dataclass(frozen=True, slots=True)
class Student:
    """One participant: who, looking how, doing what."""

    attendee_id: str
    name: str
    actor: StudentActor
    story: Story


class Camera:
    """What one student's webcam shows over time, rendered a little ahead."""

    def __init__(self, student: Student, renderer: Renderer, fps: int, count: int) -> None:
        """`count` is the number of pictures in the whole lecture."""
        self._student, self._renderer, self._fps, self._count = student, renderer, fps, count
        self._first = -_AHEAD
        self._pictures: list[Image] = []

    def picture_at(self, time_s: float) -> Image:
        """The picture at a media time, BGR."""
        index = round(time_s * self._fps)
        if not self._first <= index < self._first + _AHEAD:
            self._first = index
            moments = [self._student.story.at((index + k) / self._fps) for k in range(min(_AHEAD, self._count - index))]
            shots = self._student.actor.render(self._renderer, moments, index)
            self._pictures = [cv2.cvtColor(shot.image_rgb, cv2.COLOR_RGB2BGR).astype(np.uint8) for shot in shots]
        return self._pictures[index - self._first]


def synthesize_lecture(  # noqa: PLR0913  # all but the first two have defaults that nearly all callers keep
    seed: int,
    out: Path,
    students: int = 12,
    seconds: int = 60,
    fps: int = 4,
    size: tuple[int, int] = (1280, 720),
    style: str = "zoom",
    *,
    share: bool = True,
) -> Path:
    """Render a lecture to `out`: lecture.mp4, lecture.truth.json, transcript.vtt. Returns the video's path.

    Someone joins, someone leaves, one camera is off for a while, speakers change, and with `share` a screen is shared
    for a while, with the students in a strip beside it. The truth is that of `gallery_video`, with a `label` for each
    tile: what the student looks at in this second, null with the camera off.
    Raises BadInputError for an unknown style, a seed that there is not, and for numbers that make no lecture.
    """
    if style not in STYLES:
        raise BadInputError(f"unknown gallery style {style!r}; expected one of {', '.join(STYLES)}")
    if not 2 <= students <= len(CAST) or seconds < 12 or not 1 <= fps <= 30:
        raise BadInputError(
            f"a lecture has 2 to {len(CAST)} students, 12 seconds at least and 1 to 30 pictures a second, "
            f"found {students} students, {seconds} s, {fps} pictures a second"
        )
    require_seeds(students, seed)
    out.mkdir(parents=True, exist_ok=True)
    recording = Recording(size=size, fps=fps, crf=_CRF, style=STYLES[style])
    people = draw_students(seed, students, seconds, _tile_size(size, students))
    renderer = Renderer()
    shared = draw_share(np.random.default_rng((seed, 2)), seconds, students, style) if share else None
    ids = [person.attendee_id for person in people]
    events = draw_events(np.random.default_rng((seed, 1)), ids, seconds, shared)
    speakers = {event.attendee_id for event in events if event.kind == "speak"}
    attendees = [
        Attendee(
            person.attendee_id,
            person.name,
            Camera(person, renderer, fps, seconds * fps).picture_at,
            muted=person.attendee_id not in speakers,
        )
        for person in people
    ]
    schedule = _schedule(attendees, seconds, events, shared)
    video = out / "lecture.mp4"
    times = track(range(seconds * fps), "lecture")
    encode_h264(video, (frame_at(schedule, k / fps, recording)[0] for k in times), recording)
    truth = {"video": video.name, "seed": seed, **label_truth(truth_of(schedule, recording), people)}
    video.with_suffix(".truth.json").write_text(json.dumps(truth, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / "transcript.vtt").write_text(transcript(schedule, events, shared), encoding="utf-8")
    renderer.close()
    return video


def _schedule(attendees: Sequence[Attendee], seconds: int, events: Sequence[Event], share: Share | None) -> Schedule:
    if share is None:
        return Schedule(attendees, seconds, events)
    return Schedule(attendees, seconds, events, share.arrangements, share.picture_at)


def draw_students(seed: int, count: int, seconds: int, size: tuple[int, int]) -> list[Student]:
    """`count` people of the cast with their own habits; size is (width, height) px of their pictures."""
    rng = np.random.default_rng(seed)
    people: list[Student] = []
    for k in rng.permutation(len(CAST))[:count]:
        name, gender, tone = CAST[int(k)]
        cell = cell_of(str(rng.choice(["teen", "adult"])), gender, tone)
        actor = StudentActor(int(rng.integers(2**31)), size, ACTOR, cell)
        story = draw_story(rng, actor.desk, seconds, draw_habit(rng), ACTOR)
        people.append(Student(f"p{len(people) + 1:02d}", name, actor, story))
    return people


def draw_events(rng: np.random.Generator, ids: Sequence[str], seconds: int, share: Share | None = None) -> list[Event]:
    """A join, a leave, a camera off (and on again in a long lecture), and speakers taking turns.

    Who shares the screen speaks as it comes; then the turns go on.
    """
    off, joiner, leaver, *talkers = (ids[int(k)] for k in rng.permutation(len(ids)))
    talkers = talkers[:4] or [off]
    join_s, leave_s = round(seconds * rng.uniform(0.2, 0.35)), round(seconds * rng.uniform(0.65, 0.8))
    events = [Event(0, "off", off), Event(join_s, "join", joiner)]
    if len(ids) > 2:
        events.append(Event(leave_s, "leave", leaver))
    if seconds >= 120:
        events.append(Event(seconds // 2, "on", off))
    at_s, speaker = 2, ""
    while at_s < seconds - 4:
        speaker = str(rng.choice([talker for talker in talkers if talker != speaker] or talkers))
        events.append(Event(at_s, "speak", speaker))
        next_s = at_s + int(rng.integers(4, 9))
        at_s = share.from_s if share is not None and at_s < share.from_s < next_s else next_s
    return sorted(events, key=lambda event: event.at_s)


def label_truth(truth: dict[str, Any], people: Sequence[Student]) -> dict[str, Any]:
    """The gallery's truth with each tile's label, and the list of participants."""
    stories = {person.attendee_id: person.story for person in people}
    for second in truth["seconds"]:
        for tile in second["tiles"]:
            seen = tile["camera"] == "on"
            tile["label"] = stories[tile["id"]].label_at(second["t"]) if seen else None
    participants = [{"id": person.attendee_id, "name": person.name} for person in people]
    return {**truth, "participants": participants}


def transcript(schedule: Schedule, events: Sequence[Event], share: Share | None = None) -> str:
    """WebVTT as Zoom writes it: numbered cues, `Name: sentence`."""
    names = {attendee.attendee_id: attendee.name for attendee in schedule.attendees}
    spoken = [event for event in events if event.kind == "speak"]
    lines = ["WEBVTT", ""]
    for k, event in enumerate(spoken):
        end_s = spoken[k + 1].at_s if k + 1 < len(spoken) else schedule.duration_s
        begins = share is not None and event.at_s == share.from_s
        sentence = SHARING if begins else SENTENCES[k % len(SENTENCES)]
        lines += [
            str(k + 1),
            f"{_clock(event.at_s)} --> {_clock(end_s)}",
            f"{names[event.attendee_id]}: {sentence}",
            "",
        ]
    return "\n".join(lines)


def _clock(time_s: float) -> str:
    minutes, seconds = divmod(time_s, 60)
    return f"{int(minutes) // 60:02d}:{int(minutes) % 60:02d}:{seconds:06.3f}"


def _tile_size(size: tuple[int, int], students: int) -> tuple[int, int]:
    """(width, height) of a student's picture: about that of the tile in a full gallery, 16:9."""
    columns = int(np.ceil(np.sqrt(students)))
    width = max(64, min(640, size[0] // columns)) // 16 * 16
    return width, width * 9 // 16
