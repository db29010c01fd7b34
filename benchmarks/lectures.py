"""Recordings to measure on: a gallery of any number of students, made of the people of the shipped demo lecture.

The same arguments give the same file. It knows no benchmark.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import av
import numpy as np

from monitor.schema import Image
from tests.galleries import name_of
from trainer.synthetic.gallery_video import Attendee, Event, PictureAt, Recording, Schedule, write_gallery_video

NAME_LABEL_SHARE = 0.16
"""Lower part of a demo tile that its own name label may cover; it is cut off before a new label is drawn."""


def write_lecture(path: Path, *, students: int = 25, seconds: int = 60, fps: int = 25) -> None:
    """A 720p gallery recording with its truth beside it; a speaker changes every five seconds, nobody leaves."""
    people = _demo_people()
    attendees = [
        Attendee(f"p{number:02d}", name_of(number), _film(people[number % len(people)], offset=number * 7))
        for number in range(students)
    ]
    speakers = [Event(at_s, "speak", f"p{at_s // 5 % students:02d}") for at_s in range(0, seconds, 5)]
    write_gallery_video(path, Schedule(attendees, seconds, speakers), Recording((1280, 720), fps))


def _film(pictures: list[tuple[float, Image]], offset: int) -> PictureAt:
    """Play a person's pictures to and fro, starting at a picture of their own."""
    step_s = pictures[1][0] - pictures[0][0]

    def picture_at(time_s: float) -> Image:
        place = (round(time_s / step_s) + offset) % (2 * len(pictures) - 2)
        return pictures[min(place, 2 * len(pictures) - 2 - place)][1]

    return picture_at


def _demo_people() -> list[list[tuple[float, Image]]]:
    """Each demo student's pictures with their media time, while tile and camera stay as they are at the start."""
    assets = resources.files("monitor") / "assets"
    truth = json.loads((assets / "demo.truth.json").read_text(encoding="utf-8"))
    seconds = truth["seconds"]
    alike = [second for second in seconds if second["n_tiles"] == seconds[0]["n_tiles"]]
    tiles = [tile for tile in seconds[0]["tiles"] if tile["camera"] == "on"]
    people: list[list[tuple[float, Image]]] = [[] for _ in tiles]
    with resources.as_file(assets / "demo.mp4") as file, av.open(str(file)) as container:
        for frame in container.decode(video=0):
            if frame.time is None or frame.time >= alike[-1]["t"] + 1:
                break
            if seconds[int(frame.time)] not in alike:
                break
            image = frame.to_ndarray(format="bgr24")
            for pictures, tile in zip(people, tiles, strict=True):
                x, y, width, height = tile["bbox"]
                cut = round(height * NAME_LABEL_SHARE)
                aside = round(cut * width / height / 2)
                kept = image[y : y + height - cut, x + aside : x + width - aside]
                pictures.append((frame.time, np.array(kept, np.uint8)))
    return people
