"""Finds every student of a frame and keeps them apart: the one door to this room.

Decides whether a source is a gallery, a room or one person, and hands the frame to those who know how. It does not know
what a student is looking at.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.errors import BadInputError
from monitor.schema import Box, Detection, Frame, Image, Presence, Track
from monitor.students.camera import is_camera_off
from monitor.students.facemodel import FindsFaces, open_face_finder
from monitor.students.faces import ROOM_SIDE_PX
from monitor.students.facetracks import FaceTracks
from monitor.students.galleryview import GalleryView
from monitor.students.headsearch import larger_face
from monitor.students.names import shared_reader
from monitor.students.roster import SURE_SCORE, Roster
from monitor.students.tiles import find_tiles

LAYOUTS = ("auto", "gallery", "faces", "single")
_SINGLE_SIDE_PX = 384
_NEAR_SIDE_PX = 480
"""Longer side at the network's input for a picture in which all faces are near: a student's own camera."""
_NEAR_SHARE = 1 / 8
"""Of the picture's longer side: a face that large is near."""
_LOOK_FAR_EVERY = 5
"""Where all faces are near, small ones are looked for in one of so many frames."""
_TO_GALLERY = 3
"""Looks in a row that must show tiles before a room is taken for a gallery after all."""
_TO_FACES = 10
"""Frames in a row without tiles before a young gallery is given up."""
_SETTLED = 20
"""A source that was a gallery in so many frames stays one: a shared screen alone has neither tiles nor students."""
_LOOK_FOR_TILES_EVERY = 5
"""In a room, tiles are looked for in one of so many frames."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """Who was seen in one frame."""

    tracks: tuple[Track, ...]
    names: dict[str, str] = field(default_factory=dict)
    """student_id -> name, of those whose name was first read, or read better, at this frame."""
    merges: dict[str, str] = field(default_factory=dict)
    """Provisional student_id -> the known one it turned out to be. This frame's tracks bear the known one already."""


class StudentFinder:
    """Students of a lecture, frame by frame in the order of time. Use as a context manager, or close it.

    Args:
        layout: "gallery" (tiles), "faces" (a room or webcam picture), "single" (one student fills the picture) or
            "auto" (a gallery if it shows tiles, else faces).
        known_names: folded name -> student_id of earlier lectures; whoever bears the name keeps the pseudonym.
        opted_out: ids of students who are neither looked at nor judged.
        state: what `state()` gave after a frame; the next frame is treated as if nothing had come between.
        wait_for_names: read names inside `find` (recordings: the same input gives the same answer), or on a thread of
            their own, taken up at a later frame (live).
        faces: finds the faces; None is the finder that ships.
        prefix: what the ids of new students begin with: finders of several streams must not give the same ones.

    Raises:
        BadInputError: no such layout.
        BundleError: a packaged network is missing.
    """

    def __init__(
        self,
        layout: str = "auto",
        *,
        known_names: Mapping[str, str] | None = None,
        opted_out: Collection[str] = (),
        state: str | None = None,
        wait_for_names: bool = True,
        faces: FindsFaces | None = None,
        prefix: str = "",
    ) -> None:
        if layout not in LAYOUTS:
            raise BadInputError(f"--layout must be one of {', '.join(LAYOUTS)}, found {layout!r}")
        saved: dict[str, Any] = json.loads(state) if state else {}
        self._layout = layout
        self._mode: str | None = saved.get("mode") if layout == "auto" else layout
        self._frames: int = saved.get("frames", 0)
        self._contrary: int = saved.get("contrary", 0)
        self._tiles = tuple(Box(*box) for box in saved.get("tiles", ()))
        self._told: dict[str, str] = saved.get("told", {})
        self._opted_out = frozenset(opted_out)
        self._roster = Roster(known_names or {}, opted_out, saved.get("roster"), prefix=prefix)
        self._faces = faces or open_face_finder()
        self._gallery = GalleryView(
            self._roster,
            self._faces,
            opted_out=opted_out,
            wait_for_names=wait_for_names,
            state=saved.get("gallery"),
        )
        self._face_tracks = FaceTracks(self._roster, opted_out, saved.get("faces"))
        self._near: int = saved.get("near", 0)
        """How many faces there were at the last thorough look, if all were near; else 0."""
        self._single: Box | None = Box(*saved["single"]) if saved.get("single") else None

    def find(self, frame: Frame) -> Sighting:
        """The students of the next frame."""
        tiles = self._look_for_tiles(frame)
        self._choose_mode(frame, tiles)
        self._frames += 1
        self._tiles = tiles
        merges: dict[str, str] = {}
        if self._mode == "gallery":
            tracks, merges = self._gallery.find(frame, tiles)
        elif self._mode == "single":
            tracks = (self._find_single(frame),)
        else:
            tracks = self._face_tracks.update(frame.pts_s, frame.image_bgr, self._find_faces(frame.image_bgr))
        return Sighting(tracks, self._news(), merges)

    def state(self) -> str:
        """JSON from which another finder goes on exactly."""
        return json.dumps(
            {
                "mode": self._mode,
                "frames": self._frames,
                "contrary": self._contrary,
                "tiles": [box.as_tuple() for box in self._tiles],
                "told": self._told,
                "roster": self._roster.to_json(),
                "gallery": self._gallery.to_json(),
                "faces": self._face_tracks.to_json(),
                "near": self._near,
                "single": self._single.as_tuple() if self._single else None,
            },
            separators=(",", ":"),
        )

    def close(self) -> None:
        """Stop the reading thread, where there is one."""
        self._gallery.close()

    def __enter__(self) -> StudentFinder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _look_for_tiles(self, frame: Frame) -> tuple[Box, ...]:
        if self._mode == "single" or self._layout == "faces":
            return ()
        if self._mode == "faces" and self._frames % _LOOK_FOR_TILES_EVERY:
            return self._tiles
        return tuple(detection.box for detection in find_tiles(frame.image_bgr, self._tiles))

    def _choose_mode(self, frame: Frame, tiles: tuple[Box, ...]) -> None:
        """Gallery or faces; once chosen, only much evidence changes it."""
        if self._layout != "auto":
            return
        if self._mode is None:
            shows_gallery = len(tiles) > 1 or (len(tiles) == 1 and _is_labelled(frame, tiles[0]))
            self._mode = "gallery" if shows_gallery else "faces"
        elif self._mode == "gallery":
            self._contrary = 0 if tiles else self._contrary + 1
            if self._contrary >= _TO_FACES and self._frames < _SETTLED:
                self._mode, self._contrary = "faces", 0
        elif self._frames % _LOOK_FOR_TILES_EVERY == 0:
            self._contrary = self._contrary + 1 if len(tiles) > 1 else 0
            if self._contrary >= _TO_GALLERY:
                self._mode, self._contrary = "gallery", 0

    def _find_faces(self, image: Image) -> list[Detection]:
        """All faces: as long as all are near at a smaller size, in a quarter of the time."""
        if self._near and self._frames % _LOOK_FAR_EVERY:
            found = self._faces.find([image], _NEAR_SIDE_PX)[0]
            if len(found) >= self._near:
                return found
        found = self._faces.find([image], ROOM_SIDE_PX)[0]
        least_px = _NEAR_SHARE * max(image.shape[:2])
        near = all(max(face.box.width, face.box.height) >= least_px for face in found)
        self._near = len(found) if near else 0
        return found

    def _find_single(self, frame: Frame) -> Track:
        """The one student: the largest face, else the whole picture."""
        if not self._roster.students:
            self._roster.add(frame.pts_s, None, None)
        student_id = next(iter(self._roster.students))
        height, width = frame.image_bgr.shape[:2]
        whole = Box(0, 0, width, height)
        if student_id in self._opted_out:
            return Track(student_id, whole, Presence.OPTED_OUT)
        faces = [detection.box for detection in self._faces.find([frame.image_bgr], _SINGLE_SIDE_PX)[0]]
        self._single = larger_face(faces, self._single) if faces else None
        return Track(student_id, self._single or whole, Presence.VISIBLE, self._single)

    def _news(self) -> dict[str, str]:
        """Names that changed since the last frame."""
        news = {}
        for student_id, student in self._roster.students.items():
            name = student.name
            if name is not None and self._told.get(student_id) != name:
                news[student_id] = name
        self._told |= news
        return news


def _is_labelled(frame: Frame, tile: Box) -> bool:
    """Whether a lone tile is a participant's: its camera is off, or a name stands on it."""
    picture = tile.cut(frame.image_bgr)
    if is_camera_off(picture):
        return True
    reading = shared_reader().read([picture])[0]
    return reading is not None and reading.score >= SURE_SCORE
