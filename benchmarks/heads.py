"""How many heads are found in tiles, how many are made up, and what a tile costs on one core.

    python -m benchmarks.heads [--recording PATH] [--renders FOLDER] [--crops FOLDER] [--network FOLDER]

On the tiles of the real gallery recording, cameras on, against its faces.json (the centre of the box inside the face,
its larger side 0.7 to 2.5 times the face's), and on tiles composed of held-out rendered students, by how the head
stands. Real pictures choose nothing. Prints one JSON object last. Times are of this thread's processor.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np

from monitor.schema import Box, Detection, Image
from monitor.students.faces import FaceFinder
from monitor.students.heads import HeadFinder, HeadNetwork

ROOT = Path(os.environ.get("CLASSROOM_REAL_DATA", Path(__file__).parents[2] / "shared" / "real"))
RECORDING = ROOT / "gallery" / "gallery_720p_24.mp4"


class Finder(Protocol):
    """Anything that finds faces in pictures."""

    def find(self, images: Sequence[Image], longer_side_px: int | None = None) -> list[list[Detection]]:
        """Faces of each picture, best first."""
        ...


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


def measure_real(finder: Finder, recording: Path, every_s: int, side_px: int | None) -> dict[str, Any]:
    """Recall and false heads on the recording, and the time a tile took."""
    heads = found = false = tiles = unsure = 0
    spent_s = 0.0
    for pictures, true in real_tiles(recording, every_s):
        started = time.thread_time()
        detections = finder.find(pictures, side_px)
        spent_s += time.thread_time() - started
        tiles += len(pictures)
        for boxes, faces in zip(detections, true, strict=True):
            if faces is None:
                unsure += 1
                continue
            heads += len(faces)
            found += sum(any(is_right(one.box, face) for one in boxes) for face in faces)
            false += sum(not any(_holds(face, one.box) for face in faces) for one in boxes)
    return {
        "heads": heads,
        "recall": round(found / heads, 4),
        "tiles": tiles - unsure,
        "false_heads_per_500": round(500 * false / (tiles - unsure), 2),
        "ms_per_tile": round(1000 * spent_s / tiles, 3),
    }


def measure_renders(finder: Finder, renders: Path, crops: Path | None, side_px: int | None) -> dict[str, Any]:
    """Recall by how the head stands and false heads, on 1500 composed tiles of people never trained on."""
    from trainer.head_materials import Materials, draw_rooms, read_crops, read_cutouts
    from trainer.head_pictures import compose
    from trainer.head_threshold import match

    images, faces = read_crops([crops] if crops else [], 1500)
    materials = Materials(read_cutouts([renders]), images, faces, draw_rooms(71, 400))
    rng = np.random.default_rng(72)
    pictures = [compose(rng, materials, is_tile=True) for _ in range(1500)]
    hits: dict[str, list[bool]] = defaultdict(list)
    false = 0
    for picture, found in zip(pictures, finder.find([one.image_bgr for one in pictures], side_px), strict=True):
        rows = picture.boxes
        boxes = np.array([[*one.box.as_tuple(), one.score] for one in found], np.float32).reshape(-1, 5)
        false += len(match(boxes, rows)[1])
        for row, yaw, pitch in zip(rows, picture.yaw_deg, picture.pitch_deg, strict=True):
            if row[4] == 1:
                face = Box(*(max(0, round(float(v))) for v in row[:4]))
                hits[_stance(yaw, pitch)].append(any(is_right(one.box, face) for one in found))
    return {
        "recall": round(float(np.mean([hit for group in hits.values() for hit in group])), 4),
        **{f"recall_{name}": round(float(np.mean(group)), 4) for name, group in sorted(hits.items())},
        "heads": {name: len(group) for name, group in sorted(hits.items())},
        "false_heads_per_500": round(500 * false / len(pictures), 2),
    }


def is_right(box: Box, face: Box) -> bool:
    """The rule of the recording's truth."""
    ratio = max(box.width, box.height) / max(face.width, face.height)
    return _holds(face, box) and 0.7 <= ratio <= 2.5


def _holds(face: Box, box: Box) -> bool:
    x, y = box.center
    return face.x1 <= x <= face.x2 and face.y1 <= y <= face.y2


def _stance(yaw_deg: float, pitch_deg: float) -> str:
    if math.isnan(yaw_deg):
        return "crop"
    if pitch_deg > 25:
        return "bowed"
    if pitch_deg < -20:
        return "thrown_back"
    return "turned" if abs(yaw_deg) > 35 else "frontal"


def _inside(face: list[int], corner: tuple[int, int]) -> Box:
    x, y = max(0, face[0] - corner[0]), max(0, face[1] - corner[1])
    return Box(x, y, x + face[2], y + face[3])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recording", type=Path, default=RECORDING)
    parser.add_argument("--renders", type=Path, help="folder of held-out cut-outs")
    parser.add_argument("--crops", type=Path, help="folder of held-out crops")
    parser.add_argument("--network", type=Path, help="folder of an exported head finder, instead of the default finder")
    parser.add_argument("--every", type=int, default=1, help="seconds between samples")
    parser.add_argument("--side", type=int, help="longer side in pixels at which the network looks")
    options = parser.parse_args()
    finder: Finder = HeadFinder(HeadNetwork(options.network)) if options.network else FaceFinder()
    result: dict[str, Any] = {}
    if options.recording.is_file():
        result["real"] = measure_real(finder, options.recording, options.every, options.side)
    if options.renders:
        result["rendered"] = measure_renders(finder, options.renders, options.crops, options.side)
    if not result:
        parser.error(f"{options.recording}: no such recording; set CLASSROOM_REAL_DATA, or give --renders")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
