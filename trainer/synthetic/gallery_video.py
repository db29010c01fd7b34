"""A gallery recording from a schedule: joins, leaves, cameras, speakers; writes the H.264 file and its truth.

It knows time and video, and leaves drawing to gallery.py. The truth is a JSON file with, per second, each tile's `bbox`
[x, y, w, h], id, name, camera and speaking, and whether the picture is a gallery or a shared screen with a strip;
changes fall on whole seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av

from monitor.schema import Box, Image
from trainer.synthetic.gallery import (
    GRID,
    ZOOM,
    Arrangement,
    GalleryStyle,
    Participant,
    Size,
    compose,
    layout,
    shared_area,
)

PictureAt = Callable[[float], Image]
"""Media time in seconds -> what a camera shows then, BGR."""


@dataclass(frozen=True, slots=True)
class Attendee:
    """One person of a lecture."""

    attendee_id: str
    name: str
    picture_at: PictureAt
    muted: bool = True
    whole: bool = False
    avatar_bgr: Image | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A change at a whole second of media time."""

    at_s: int
    kind: Literal["join", "leave", "on", "off", "speak", "hush"]
    """on and off are the camera; speak makes this attendee the only speaker, hush ends it."""
    attendee_id: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """Who takes part and what changes. An attendee whose first event is no join is there from the start, camera on."""

    attendees: Sequence[Attendee]
    duration_s: int
    events: Sequence[Event] = ()
    arrangements: Sequence[tuple[int, Arrangement]] = ((0, GRID),)
    """(from this second, arrangement), ascending, the first from 0."""
    shared_at: PictureAt | None = None
    """The shared screen, for arrangements with a strip."""
    cameras_first: bool = False
    """Whether tiles with the camera on stand before those with it off, as Zoom sorts them."""


@dataclass(slots=True)
class Seat:
    """One attendee's state in one second."""

    attendee: Attendee
    camera_on: bool = True
    speaking: bool = False


@dataclass(frozen=True, slots=True)
class Recording:
    """How the file is written."""

    size: Size = (1280, 720)
    fps: int = 5
    crf: int = 28
    """H.264 quality: 18 fine, 28 as of a cloud recording, 36 coarse."""
    style: GalleryStyle = field(default_factory=lambda: ZOOM)


def seats_at(schedule: Schedule, second: int) -> list[Seat]:
    """Who is in the lecture during [second, second + 1), in the order of their tiles."""
    joiners = {event.attendee_id for event in reversed(schedule.events) if event.kind == "join"}
    people = {attendee.attendee_id: attendee for attendee in schedule.attendees}
    seats = {key: Seat(person) for key, person in people.items() if key not in joiners}
    for event in sorted(schedule.events, key=lambda each: each.at_s):
        if event.at_s > second:
            break
        _apply(event, seats, people)
    ordered = list(seats.values())
    return sorted(ordered, key=lambda seat: not seat.camera_on) if schedule.cameras_first else ordered


def _apply(event: Event, seats: dict[str, Seat], people: dict[str, Attendee]) -> None:
    """Change the seats by one event; somebody who joins comes last."""
    key = event.attendee_id
    if event.kind == "join":
        seats[key] = Seat(people[key])
    elif event.kind == "leave":
        seats.pop(key, None)
    elif event.kind in ("on", "off"):
        seats[key].camera_on = event.kind == "on"
    else:
        for seat in seats.values():
            seat.speaking = event.kind == "speak" and seat.attendee.attendee_id == key


def arrangement_at(schedule: Schedule, second: int) -> Arrangement:
    """The arrangement that holds during [second, second + 1)."""
    return [arrangement for from_s, arrangement in schedule.arrangements if from_s <= second][-1]


def frame_at(schedule: Schedule, time_s: float, recording: Recording) -> tuple[Image, list[Box]]:
    """The picture at a media time and the tiles' boxes, in the order of `seats_at`."""
    second = int(time_s)
    arrangement = arrangement_at(schedule, second)
    participants = [
        Participant(
            seat.attendee.name,
            seat.attendee.picture_at(time_s) if seat.camera_on else None,
            seat.speaking,
            seat.attendee.muted,
            seat.attendee.whole,
            seat.attendee.avatar_bgr,
        )
        for seat in seats_at(schedule, second)
    ]
    shared = schedule.shared_at(time_s) if schedule.shared_at and arrangement.strip else None
    return compose(recording.size, participants, recording.style, arrangement, shared)


def truth_of(schedule: Schedule, recording: Recording) -> dict[str, Any]:
    """The truth of the recording that `write_gallery_video` makes of the same arguments; JSON-ready."""
    return {
        "width": recording.size[0],
        "height": recording.size[1],
        "fps": recording.fps,
        "duration_s": schedule.duration_s,
        "events": [[event.at_s, event.kind, event.attendee_id] for event in schedule.events],
        "seconds": [_truth_second(schedule, recording, second) for second in range(schedule.duration_s)],
    }


def _truth_second(schedule: Schedule, recording: Recording, second: int) -> dict[str, Any]:
    """One entry of the truth: every tile in view, and the place of a shared screen."""
    seats = seats_at(schedule, second)
    arrangement = arrangement_at(schedule, second)
    boxes = layout(len(seats), recording.size, recording.style, arrangement)
    shown: dict[str, Any] = {"layout": "gallery"}
    if arrangement.strip is not None:
        shown = {"layout": "share", "shared_bbox": _bbox(shared_area(recording.size, arrangement))}
    tiles = [
        {
            "id": seat.attendee.attendee_id,
            "name": seat.attendee.name,
            "bbox": _bbox(box),
            "present": True,
            "camera": "on" if seat.camera_on else "off",
            "speaking": seat.speaking,
        }
        for seat, box in zip(seats, boxes, strict=True)
    ]
    return {"t": second, **shown, "n_tiles": len(tiles), "tiles": tiles}


def _bbox(box: Box) -> list[int]:
    return [box.x1, box.y1, box.width, box.height]


def write_gallery_video(path: Path, schedule: Schedule, recording: Recording | None = None) -> dict[str, Any]:
    """Write the recording (mp4, H.264) and `<stem>.truth.json` beside it; returns the truth."""
    recording = recording or Recording()
    truth = {"video": path.name, **truth_of(schedule, recording)}
    count = schedule.duration_s * recording.fps
    pictures = (frame_at(schedule, index / recording.fps, recording)[0] for index in range(count))
    encode_h264(path, pictures, recording)
    path.with_suffix(".truth.json").write_text(json.dumps(truth, ensure_ascii=False), encoding="utf-8")
    return truth


def encode_h264(path: Path, pictures: Iterator[Image], recording: Recording) -> None:
    """Encode BGR pictures of the recording's size, at its rate and quality, one thread (so the bytes are the same)."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(recording.fps))
        stream.width, stream.height = recording.size
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(recording.crf), "preset": "veryfast", "threads": "1"}
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))
