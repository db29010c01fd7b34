"""The seconds around a crop, cut out of a recording that still lies on this machine. A door for the dashboard.

Which file is decided here, from what the store knows; nobody hands in a path. It knows no label and no model.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from monitor.schema import Box
from monitor.sources.source import open_source
from monitor.store.reader import StoreReader
from monitor.students.thumbnails import review_jpeg

RECORDINGS_VARIABLE = "CLASSROOM_RECORDINGS"
"""A folder in which recordings are looked for as well, by name."""
AROUND_S = 3.0
RATE = 4.0
"""Pictures a second: enough to see a head turn."""
_LOOKED_FOR_S = 5.0
_MARGIN = 0.15


@dataclass(frozen=True, slots=True)
class Clip:
    """What is played."""

    jpegs: tuple[bytes, ...]
    period_s: float


def recording_of(reader: StoreReader, lecture_id: str) -> Path | None:
    """The file a lecture was read from, where it is still there; cameras and streams have none."""
    lecture = reader.lecture(lecture_id)
    if lecture is None or lecture.source == "demo":
        return None
    told = Path(lecture.source)
    beside = [reader.path.parent / told.name, reader.path.parent.parent / told.name]
    folder = os.environ.get(RECORDINGS_VARIABLE, "")
    places = [told] if told.is_absolute() or told.parent != Path() else []
    places += beside + ([Path(folder).expanduser() / told.name] if folder else [])
    return next((place for place in places if place.is_file()), None)


def clip_around(reader: StoreReader, lecture_id: str, student_id: str, pts_s: float) -> Clip | None:
    """Pictures of one student from AROUND_S before to AROUND_S after a moment; None where nothing can be played.

    Raises:
        SourceError: the recording is there and cannot be read.
    """
    path = recording_of(reader, lecture_id)
    box = _box_at(reader, lecture_id, student_id, pts_s)
    if path is None or box is None:
        return None
    from_s = max(0.0, pts_s - AROUND_S)
    jpegs = []
    with open_source(str(path), rate=RATE, start_s=from_s) as source:
        for frame in takewhile(lambda frame: frame.pts_s <= pts_s + AROUND_S, source.frames()):
            height, width = frame.image_bgr.shape[:2]
            jpegs.append(review_jpeg(_within(box, width, height).cut(frame.image_bgr)))
    return Clip(tuple(jpegs), 1 / RATE)


def _box_at(reader: StoreReader, lecture_id: str, student_id: str, pts_s: float) -> Box | None:
    """Where the student was in the picture, as near to the moment as was looked."""
    rows = reader.observations(lecture_id, max(0.0, pts_s - _LOOKED_FOR_S), pts_s + _LOOKED_FOR_S)
    mine = ((abs(row.pts_s - pts_s), row.box) for row in rows if row.student_id == student_id)
    nearest = min(mine, key=lambda found: found[0], default=None)
    return nearest[1] if nearest else None


def _within(box: Box, width: int, height: int) -> Box:
    """The box with a margin, inside the picture."""
    dx, dy = round(box.width * _MARGIN), round(box.height * _MARGIN)
    x1, y1 = min(max(0, box.x1 - dx), width - 1), min(max(0, box.y1 - dy), height - 1)
    return Box(x1, y1, max(x1 + 1, min(width, box.x2 + dx)), max(y1 + 1, min(height, box.y2 + dy)))
