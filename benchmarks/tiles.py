"""How surely tiles are found, phantoms avoided and switched-off cameras told, and what finding costs on one core.

    python -m benchmarks.tiles [--cases 40]

Measures the real gallery recording (where it is on this machine), galleries composed at random (1 to 49 tiles, three
sizes, gaps, backgrounds, fonts, compression), strips beside a shared screen, and pictures that are no gallery. Prints a
line per error, then one JSON object. Times are milliseconds of this thread's processor; `prior` is with the tiles of
the frame before. `hard` is 360 lines at crf 37 with few tiles and gaps down to one pixel: what is left to do.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
import cv2
import numpy as np

from monitor.schema import Box, Image
from monitor.students.camera import is_camera_off
from monitor.students.tiles import find_tiles
from tests.galleries import (
    decoded,
    person_picture,
    random_participants,
    random_style,
    room_picture,
    slide_picture,
    through_h264,
)
from trainer.synthetic.gallery import MEET, TEAMS, ZOOM, Arrangement, compose
from trainer.synthetic.gallery_style import SIDES

ROOT = Path(os.environ.get("CLASSROOM_REAL_DATA", Path(__file__).parents[2] / "shared" / "real")) / "gallery"
SIZES = {"1080p": (1920, 1080), "720p": (1280, 720), "360p": (640, 360)}


@dataclass
class Tally:
    """Counts over the pictures of one kind."""

    pictures: int = 0
    tiles: int = 0
    found: int = 0
    with_phantom: int = 0
    cameras: int = 0
    cameras_right: int = 0
    search_ms: list[float] = field(default_factory=list)
    prior_ms: list[float] = field(default_factory=list)

    def add(
        self, name: str, image: Image, boxes: Sequence[Box], off: Sequence[bool], previous: Sequence[Box]
    ) -> list[Box]:
        """Find the tiles of one picture and compare them with the truth; returns them."""
        began = time.thread_time()
        result = [detection.box for detection in find_tiles(image, previous)]
        (self.prior_ms if previous else self.search_ms).append(1e3 * (time.thread_time() - began))
        found = sum(any(box.iou(each) >= 0.8 for each in result) for box in boxes)
        phantom = sum(all(box.iou(each) < 0.8 for box in boxes) for each in result)
        self.pictures, self.tiles, self.found = self.pictures + 1, self.tiles + len(boxes), self.found + found
        self.with_phantom += phantom > 0
        for box, is_off in zip(boxes, off, strict=True):
            self.cameras, self.cameras_right = (
                self.cameras + 1,
                self.cameras_right + (is_camera_off(box.cut(image)) == is_off),
            )
        if found < len(boxes) or phantom:
            print(f"{name}: {found} of {len(boxes)} tiles found, {phantom} phantom")
        return result

    def figures(self) -> dict[str, float | int | None]:
        """JSON-ready."""
        return {
            "pictures": self.pictures,
            "tiles": self.tiles,
            "found": round(self.found / self.tiles, 4) if self.tiles else None,
            "without_phantom": round(1 - self.with_phantom / max(1, self.pictures), 4),
            "camera_accuracy": round(self.cameras_right / self.cameras, 4) if self.cameras else None,
            **{f"search_{k}": v for k, v in _spread(self.search_ms).items()},
            **{f"prior_{k}": v for k, v in _spread(self.prior_ms).items()},
        }


def _spread(times_ms: list[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    if not times_ms:
        return {}
    return {"median_ms": round(float(np.median(times_ms)), 1), "p95_ms": round(float(np.quantile(times_ms, 0.95)), 1)}


def real_recording() -> Tally | None:
    """One frame a second of the real recording, each with the tiles of the one before."""
    if not ROOT.is_dir():
        return None
    truth = json.loads((ROOT / "gallery_720p_24.truth.json").read_text(encoding="utf-8"))
    tally, previous = Tally(), list[Box]()
    with av.open(str(ROOT / "gallery_720p_24.mp4"), "r") as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % 25 != 12:
                continue
            tiles = [tile for tile in truth["seconds"][index // 25]["tiles"] if tile["present"]]
            boxes = [Box(x, y, x + w, y + h) for x, y, w, h in (tile["bbox"] for tile in tiles)]
            off = [tile["camera"] == "off" for tile in tiles]
            previous = tally.add(f"real, second {index // 25}", decoded(frame), boxes, off, previous)
    return tally


def composed(cases: int, size: tuple[int, int], *, hard: bool) -> Tally:
    """Random galleries; each is looked at twice, the second time with the tiles found the first time."""
    tally = Tally()
    for seed in range(cases):
        rng = np.random.default_rng([seed, size[1]])
        style = random_style(rng) if rng.random() < 0.7 else (ZOOM, MEET, TEAMS)[int(rng.integers(3))]
        crf, count = int(rng.choice([18, 23, 28, 33])), int(rng.integers(1, 50))
        if hard:
            crf, count = 37, int(rng.integers(1, 9))
        elif style.gap_px * size[1] / 720 < 2:
            continue
        people = random_participants(count, style, seed)
        image, boxes = compose(size, people, style)
        picture, off = through_h264(image, crf), [person.picture_bgr is None for person in people]
        name = f"{size[1]} lines, seed {seed}, crf {crf}, gap {style.gap_px}"
        found = tally.add(name, picture, boxes, off, [])
        if found:
            tally.add(name + ", again", picture, boxes, off, found)
    return tally


def strips(cases: int) -> Tally:
    """Two to six tiles beside a shared slide, on each side."""
    tally = Tally()
    for seed in range(cases):
        rng = np.random.default_rng([seed, 7])
        style = (ZOOM, MEET, TEAMS)[int(rng.integers(3))]
        side = SIDES[seed % 4]
        arrangement = Arrangement(strip=side, strip_share=float(rng.uniform(0.16, 0.26)))
        people = random_participants(int(rng.integers(2, 7)), style, seed)
        image, boxes = compose((1280, 720), people, style, arrangement, slide_picture(seed, light=seed % 3 > 0))
        off = [person.picture_bgr is None for person in people]
        tally.add(f"strip {side}, seed {seed}", through_h264(image, 26), boxes, off, [])
    return tally


def no_galleries(cases: int) -> Tally:
    """Webcam pictures, rooms and slides."""
    tally = Tally()
    for seed in range(cases):
        pictures = (person_picture(9000 + seed), room_picture(9000 + seed), slide_picture(seed, light=seed % 2 == 0))
        picture = cv2.resize(pictures[seed % 3], list(SIZES.values())[seed // 3 % 3])
        tally.add(f"no gallery {seed}", through_h264(picture, 26), [], [], [])
    return tally


def _kinds(cases: int) -> Iterator[tuple[str, Tally | None]]:
    """Every kind of picture with its tally."""
    yield "real", real_recording()
    for name, size in SIZES.items():
        yield f"composed_{name}", composed(cases, size, hard=False)
    yield "hard_360p", composed(cases // 2, SIZES["360p"], hard=True)
    yield "strips", strips(cases // 2)
    yield "no_gallery", no_galleries(cases)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=40, help="composed pictures of each kind")
    cases = parser.parse_args().cases
    print(json.dumps({name: tally.figures() for name, tally in _kinds(cases) if tally is not None}))


if __name__ == "__main__":
    main()
