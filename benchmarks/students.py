"""How well students are found, named and kept apart on the real gallery recording, and what it costs on one core.

    python -m benchmarks.students [--every 1] [--recording PATH]

Prints a line per error, then one JSON object. Times are of this thread's processor, so that other work does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from monitor.schema import Box, Frame, Presence, Track
from monitor.students import finder as finder_module
from monitor.students.faces import FaceFinder
from monitor.students.finder import StudentFinder
from monitor.students.names import NameReader
from monitor.students.tiles import find_tiles

ROOT = Path(os.environ.get("CLASSROOM_REAL_DATA", Path(__file__).parents[2] / "shared" / "real"))
RECORDING = ROOT / "gallery" / "gallery_720p_24.mp4"


@dataclass
class Stopwatch:
    """Processor milliseconds of this thread, by stage; one list entry a frame."""

    spent_ms: dict[str, float] = field(default_factory=dict)

    def around(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time added to the stage's."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                self.spent_ms[stage] = self.spent_ms.get(stage, 0.0) + 1000 * (time.thread_time() - started)

        return timed


@dataclass
class Tally:
    """What was right and wrong, per tile and second."""

    tiles: int = 0
    found: int = 0
    surplus_seconds: int = 0
    named: int = 0
    presence_right: int = 0
    heads: int = 0
    heads_found: int = 0
    who: dict[str, set[str]] = field(default_factory=dict)
    """person -> student_ids."""
    whom: dict[str, set[str]] = field(default_factory=dict)
    """student_id -> persons."""


def fold(name: str) -> str:
    """Case, accents and spaces do not count."""
    decomposed = unicodedata.normalize("NFKD", name.casefold().replace("ł", "l"))
    return "".join(c for c in decomposed if not unicodedata.combining(c) and not c.isspace())


def frames(path: Path, every_s: int) -> Iterator[Frame]:
    """The picture in the middle of each second, where the truth has its face boxes."""
    with av.open(str(path)) as container:
        for number, picture in enumerate(container.decode(video=0)):
            second, rest = divmod(number, 25)
            if rest == 12 and second % every_s == 0:
                image = np.asarray(picture.to_ndarray(format="bgr24"), np.uint8)
                yield Frame(second, float(second), image, None, time.monotonic_ns())


def score(second: int, truth: list[dict[str, Any]], faces: dict[str, Any], sighting: Any, tally: Tally) -> None:
    """Compare one frame's tracks with the truth."""
    tracks: tuple[Track, ...] = sighting.tracks
    matched = set()
    for tile in truth:
        tally.tiles += 1
        box = to_box(tile["bbox"])
        track = max(tracks, key=lambda t: t.box.iou(box), default=None)
        if track is None or track.box.iou(box) < 0.5:
            print(f"{second} s: {tile['name']} not found")
            continue
        matched.add(track.student_id)
        tally.found += 1
        tally.who.setdefault(tile["id"], set()).add(track.student_id)
        tally.whom.setdefault(track.student_id, set()).add(tile["id"])
        right = (track.presence is Presence.CAMERA_OFF) == (tile["camera"] == "off") and track.presence in (
            Presence.VISIBLE,
            Presence.CAMERA_OFF,
        )
        tally.presence_right += right
        if not right:
            print(f"{second} s: {tile['name']} is {track.presence}, camera {tile['camera']}")
        true_faces = [to_box(face) for face in faces.get(tile["id"], ())]
        if true_faces:
            tally.heads += 1
            tally.heads_found += track.face is not None and max(face.iou(track.face) for face in true_faces) > 0.4
    tally.surplus_seconds += len(tracks) > len(matched)


def to_box(corner_and_size: list[int]) -> Box:
    x, y, width, height = corner_and_size
    return Box(max(0, x), max(0, y), x + width, y + height)


def run(recording: Path, every_s: int) -> dict[str, Any]:
    truth = json.loads(recording.with_suffix(".truth.json").read_text(encoding="utf-8"))["seconds"]
    faces = json.loads(recording.with_suffix(".faces.json").read_text(encoding="utf-8"))
    cv2.setNumThreads(1)
    tally, watch, names = Tally(), Stopwatch(), dict[str, str]()
    NameReader.read = watch.around("names", NameReader.read)  # type: ignore[method-assign]  # timed in its place
    FaceFinder.find = watch.around("faces", FaceFinder.find)  # type: ignore[method-assign]  # the same
    setattr(finder_module, "find_tiles", watch.around("tiles", find_tiles))  # noqa: B010 - mypy knows it as imported
    spent: list[dict[str, float]] = []
    state_bytes = merges = 0
    with StudentFinder() as finder:
        for frame in frames(recording, every_s):
            watch.spent_ms = {}
            sighting = watch.around("all", finder.find)(frame)
            spent.append(watch.spent_ms)
            second = int(frame.pts_s)
            present = [tile for tile in truth[second]["tiles"] if tile["present"]]
            names |= sighting.names
            merges += len(sighting.merges)
            score(second, present, faces[second]["faces"], sighting, tally)
            named = {fold(names.get(track.student_id, "")): track.box for track in sighting.tracks}
            for tile in present:
                box = named.get(fold(tile["name"]))
                tally.named += box is not None and box.iou(to_box(tile["bbox"])) > 0.5
            state_bytes = max(state_bytes, len(finder.state()))
    return figures(tally, spent, state_bytes, merges)


def figures(tally: Tally, spent: list[dict[str, float]], state_bytes: int, merges: int) -> dict[str, Any]:
    def milliseconds(stage: str) -> dict[str, float]:
        values = [frame.get(stage, 0.0) for frame in spent]
        return {"mean": round(float(np.mean(values)), 1), "p95": round(float(np.quantile(values, 0.95)), 1)}

    without_names = [frame["all"] - frame.get("names", 0.0) for frame in spent]
    return {
        "seconds": len(spent),
        "tiles_found": round(tally.found / tally.tiles, 4),
        "surplus_seconds": tally.surplus_seconds,
        "names_read": round(tally.named / tally.tiles, 4),
        "students_split": sum(len(ids) > 1 for ids in tally.who.values()),
        "students_swapped": sum(len(people) > 1 for people in tally.whom.values()),
        "merges": merges,
        "presence_right": round(tally.presence_right / tally.found, 4),
        "heads_found": round(tally.heads_found / tally.heads, 4),
        "find_ms": milliseconds("all"),
        "find_without_names_ms": {
            "mean": round(float(np.mean(without_names)), 1),
            "p95": round(float(np.quantile(without_names, 0.95)), 1),
        },
        "tiles_ms": milliseconds("tiles"),
        "faces_ms": milliseconds("faces"),
        "names_ms": milliseconds("names"),
        "state_kb_max": round(state_bytes / 1000, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="seconds between samples")
    parser.add_argument("--recording", type=Path, default=RECORDING)
    options = parser.parse_args()
    if not options.recording.is_file():
        parser.error(f"{options.recording}: no such recording; set CLASSROOM_REAL_DATA to the folder of the real data")
    print(json.dumps(run(options.recording, options.every)))


if __name__ == "__main__":
    main()
