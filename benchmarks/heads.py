"""How many heads the finder that ships finds in tiles, how many it makes up, and what a tile costs on one core.

    python -m benchmarks.heads [--recording PATH] [--every S] [--rendered PEOPLE] [--face-model FILE]

On the tiles of the real gallery recording, cameras on and off, against its faces.json (the centre of the box inside the
face, its larger side 0.7 to 2.5 times the face's); and with --rendered on webcam pictures of rendered students, each
once frontal, turned, bowed and thrown back. --face-model measures a YuNet file instead. Prints one JSON object last.
Times are of this thread's processor.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import radians
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from monitor.schema import Box, Image
from monitor.students.facemodel import FindsFaces, open_face_finder

ROOT = Path(os.environ.get("CLASSROOM_REAL_DATA", Path(__file__).parents[2] / "shared" / "real"))
RECORDING = ROOT / "gallery" / "gallery_720p_24.mp4"

LEAST_RECALL = 0.98
MOST_FALSE_PER_500 = 1.0
MOST_MS_PER_TILE = 2.0

STANCES = {
    "frontal": ((-20.0, 20.0), (-8.0, 12.0)),
    "turned": ((40.0, 70.0), (-8.0, 15.0)),
    "bowed": ((-15.0, 15.0), (28.0, 48.0)),
    "thrown_back": ((-15.0, 15.0), (-42.0, -24.0)),
}
"""Ranges of the head's yaw and pitch in degrees, + right and + down; a turned head is turned to either side."""
FIRST_SEED = 60_000_000
"""Far from the seeds of every training and held-out set."""
TILE_PX = (240, 136)


@dataclass(slots=True)
class Tally:
    """Heads and boxes of one kind of tile."""

    heads: int = 0
    found: int = 0
    false: int = 0
    tiles: int = 0

    def count(self, boxes: Sequence[Box], faces: Sequence[Box]) -> None:
        """Add one tile."""
        self.tiles += 1
        self.heads += len(faces)
        self.found += sum(any(is_right(box, face) for box in boxes) for face in faces)
        self.false += sum(not any(_holds(face, box) for face in faces) for box in boxes)

    @property
    def recall(self) -> float:
        """Part of the heads that were found."""
        return round(self.found / max(1, self.heads), 4)

    @property
    def false_per_500(self) -> float:
        """Boxes that hold no head, in 500 tiles."""
        return round(500 * self.false / max(1, self.tiles), 2)


def real_tiles(recording: Path, every_s: int) -> Iterator[tuple[list[Image], list[list[Box] | None]]]:
    """Per second: tiles and the true faces of each in its pixels; [] for a camera off, None where no face counts."""
    truth = json.loads(recording.with_suffix(".truth.json").read_text(encoding="utf-8"))["seconds"]
    faces = json.loads(recording.with_suffix(".faces.json").read_text(encoding="utf-8"))
    with av.open(str(recording)) as container:
        for number, picture in enumerate(container.decode(video=0)):
            second, rest = divmod(number, 25)
            if second >= len(truth):
                return
            if rest != 12 or second % every_s:
                continue
            image = np.asarray(picture.to_ndarray(format="bgr24"), np.uint8)
            tiles: list[Image] = []
            true: list[list[Box] | None] = []
            for tile in truth[second]["tiles"]:
                if not tile["present"]:
                    continue
                x, y, width, height = tile["bbox"]
                tiles.append(np.ascontiguousarray(image[y : y + height, x : x + width]))
                boxes = [_inside(face, (x, y)) for face in faces[second]["faces"].get(tile["id"], ())]
                true.append((boxes or None) if tile["camera"] == "on" else [])
            yield tiles, true


def measure_real(finder: FindsFaces, recording: Path, every_s: int) -> dict[str, Any]:
    """Recall and false heads on the recording, the time a tile took, and whether each meets its bar."""
    tally, looked_at, spent_s = Tally(), 0, 0.0
    finder.find([np.zeros((TILE_PX[1], TILE_PX[0], 3), np.uint8)])  # the first call also sets the network up
    for pictures, true in real_tiles(recording, every_s):
        started = time.thread_time()
        detections = finder.find(pictures)
        spent_s += time.thread_time() - started
        looked_at += len(pictures)
        for boxes, faces in zip(detections, true, strict=True):
            if faces is not None:
                tally.count([one.box for one in boxes], faces)
    ms_per_tile = round(1000 * spent_s / looked_at, 3)
    return {
        "heads": tally.heads,
        "recall": tally.recall,
        "tiles": tally.tiles,
        "false_heads_per_500": tally.false_per_500,
        "ms_per_tile": ms_per_tile,
        "meets": {
            "recall": tally.recall >= LEAST_RECALL,
            "false_heads_per_500": tally.false_per_500 <= MOST_FALSE_PER_500,
            "ms_per_tile": ms_per_tile <= MOST_MS_PER_TILE,
        },
    }


def rendered_tiles(people: int) -> Iterator[tuple[str, Image, Box]]:
    """(stance, picture, face) of each rendered student in each stance; needs the extra `synthetic`."""
    from trainer.synthetic.actor import StudentActor
    from trainer.synthetic.angles import direction
    from trainer.synthetic.behaviour import Moment
    from trainer.synthetic.face import lids
    from trainer.synthetic.gaze import HeadPose
    from trainer.synthetic.renderer import Renderer

    renderer = Renderer()
    for number in range(people):
        rng = np.random.default_rng((FIRST_SEED, number))
        actor = StudentActor(FIRST_SEED + number, TILE_PX, cell=number)
        moments = []
        for yaws, pitches in STANCES.values():
            side = 1 if rng.random() < 0.5 else -1
            yaw, pitch = radians(side * rng.uniform(*yaws)), radians(rng.uniform(*pitches))
            head = HeadPose(yaw, pitch, radians(rng.normal(0.0, 6.0)), 0.2 * yaw, 0.0)
            gaze = direction(yaw, pitch)
            moments.append(Moment("wander", gaze, head, lids(head.eye_pitch(gaze)), "aside"))
        for stance, shot in zip(STANCES, actor.render(renderer, moments), strict=True):
            x1, y1, x2, y2 = (round(v) for v in shot.truth["face_box"])
            face = Box(max(0, x1), max(0, y1), min(TILE_PX[0], x2), min(TILE_PX[1], y2))
            yield stance, np.ascontiguousarray(shot.image_rgb[:, :, ::-1]), face
    renderer.close()


def measure_rendered(finder: FindsFaces, people: int) -> dict[str, Any]:
    """Recall by how the head stands, and false heads, on pictures of students whom nothing was trained on."""
    tallies = {stance: Tally() for stance in STANCES}
    for stance, picture, face in rendered_tiles(people):
        tallies[stance].count([one.box for one in finder.find([picture])[0]], [face])
    tiles = sum(tally.tiles for tally in tallies.values())
    return {
        "tiles": tiles,
        "recall": round(sum(tally.found for tally in tallies.values()) / tiles, 4),
        **{f"recall_{stance}": tally.recall for stance, tally in tallies.items()},
        "false_heads_per_500": round(500 * sum(tally.false for tally in tallies.values()) / tiles, 2),
    }


def is_right(box: Box, face: Box) -> bool:
    """The rule of the recording's truth."""
    ratio = max(box.width, box.height) / max(face.width, face.height)
    return _holds(face, box) and 0.7 <= ratio <= 2.5


def _holds(face: Box, box: Box) -> bool:
    x, y = box.center
    return face.x1 <= x <= face.x2 and face.y1 <= y <= face.y2


def _inside(face: list[int], corner: tuple[int, int]) -> Box:
    x, y = max(0, face[0] - corner[0]), max(0, face[1] - corner[1])
    return Box(x, y, x + face[2], y + face[3])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recording", type=Path, default=RECORDING)
    parser.add_argument("--every", type=int, default=1, help="seconds between samples")
    parser.add_argument("--rendered", type=int, default=0, metavar="PEOPLE", help="render so many students as well")
    parser.add_argument("--face-model", type=Path, help="a YuNet file, instead of the finder that ships")
    options = parser.parse_args()
    cv2.setNumThreads(1)  # or the time of OpenCV's own threads would not be counted
    finder = open_face_finder(options.face_model)
    result: dict[str, Any] = {"finder": finder.model_id}
    if options.recording.is_file():
        result["real"] = measure_real(finder, options.recording, options.every)
    if options.rendered:
        result["rendered"] = measure_rendered(finder, options.rendered)
    if len(result) == 1:
        parser.error(f"{options.recording}: no such recording; set CLASSROOM_REAL_DATA, or give --rendered")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
