"""Galleries for tests: drawn people at a camera, in every style, size and compression; truth comes with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from monitor.schema import Image
from trainer.synthetic.gallery_style import Bgr, GalleryStyle, Participant
from trainer.synthetic.gallery_video import Attendee, Event, PictureAt, Recording, Schedule, write_gallery_video

NAMES = (
    "Ana Lopes", "Jonas Weber", "Ben Carter", "Zoë Martin", "Marek Novák", "Łukasz Król", "Åsa Öberg", "Wei Zhang",
    "Priya Nair", "Omar Haddad", "Ines Peña", "Tom O'Neil", "Yuki Sato", "Lea Fischer", "Noah Brown (he/him)",
    "Mia Rossi", "Karim Benali", "Eva Horvat", "Sam Green", "Nina Petrova", "Ida Holm", "Raj Patel", "Chloé Dubois",
    "Max Braun", "Sofia Costa", "Liam Walsh", "Emma Jansen", "Pavel Dvořák", "Aylin Demir", "Hugo Silva",
)  # fmt: skip


def name_of(index: int) -> str:
    """A different name for each index."""
    again = index // len(NAMES)
    return NAMES[index % len(NAMES)] + (f" {again + 1}" if again else "")


@lru_cache(maxsize=512)
def room_picture(seed: int, edge_bgr: Bgr | None = None) -> Image:
    """A room (360 x 640), bright to dark, with things in it; `edge_bgr` gives its wall the gallery's background."""
    rng = np.random.default_rng(seed)
    wall = rng.integers(0, 4)
    level = float(rng.choice([12, 30, 60, 110, 170, 225]))
    base = np.array(edge_bgr if edge_bgr is not None else np.clip(level + rng.normal(0, 12, 3), 0, 255), np.float32)
    image = np.empty((360, 640, 3), np.float32)
    image[:] = base
    y, x = np.mgrid[0:360, 0:640].astype(np.float32)
    if wall == 1:
        image += ((x - 320) * rng.uniform(-0.12, 0.12) + (y - 180) * rng.uniform(-0.1, 0.1))[..., None]
    if wall == 2:
        image += (rng.uniform(4, 12) * np.sign(np.sin(x / rng.uniform(6, 30))))[..., None]
    for _ in range(int(rng.integers(0, 7))):
        x1, y1 = int(rng.integers(-40, 600)), int(rng.integers(-40, 320))
        w, h = int(rng.integers(20, 260)), int(rng.integers(20, 200))
        colour = np.clip(base + rng.normal(0, 50, 3), 0, 255)
        cv2.rectangle(image, (x1, y1), (x1 + w, y1 + h), colour.tolist(), -1 if rng.random() < 0.7 else 4)
    noise = rng.normal(0, float(rng.choice([0.5, 2, 5])), image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def person_picture(seed: int, time_s: float = 0.0, edge_bgr: Bgr | None = None) -> Image:
    """A head with shoulders before a room, moving a little with time, 360 x 640."""
    rng = np.random.default_rng(seed + 100_000)
    image = room_picture(seed, edge_bgr).copy()
    scale = rng.uniform(0.7, 1.25)
    sway = np.sin(time_s * rng.uniform(0.6, 1.6) + rng.uniform(0, 6))
    x = round(320 + rng.uniform(-90, 90) + 10 * sway)
    y = round(165 + rng.uniform(-20, 30) + 4 * np.cos(time_s * 1.3))
    head = (round(52 * scale), round(68 * scale))
    light = rng.uniform(0.25, 1.0)
    skin = tuple(float(c) * light for c in ((150, 180, 225), (90, 130, 185), (50, 80, 130))[int(rng.integers(3))])
    shirt = tuple(float(c) for c in rng.uniform(10, 230, 3))
    hair = tuple(float(c) * light for c in rng.uniform(5, 90, 3))
    cv2.ellipse(image, (x, y + round(235 * scale)), (round(135 * scale), round(150 * scale)), 0, 0, 360, shirt, -1)
    cv2.rectangle(image, (x - 20, y + head[1] - 20), (x + 20, y + head[1] + 30), skin, -1)
    cv2.ellipse(image, (x, y - round(14 * scale)), (head[0] + 8, head[1] + 4), 0, 0, 360, hair, -1, cv2.LINE_AA)
    cv2.ellipse(image, (x, y + 8), head, 0, 0, 360, skin, -1, cv2.LINE_AA)
    look = round(4 * sway)
    for side in (-1, 1):
        cv2.circle(image, (x + side * head[0] // 2 + look, y), max(3, round(6 * scale)), (30, 30, 30), -1, cv2.LINE_AA)
    cv2.ellipse(image, (x + look, y + head[1] // 2 + 8), (head[0] // 3, 5), 0, 0, 180, (60, 60, 140), 3, cv2.LINE_AA)
    return image


def portrait(seed: int, edge_bgr: Bgr | None = None) -> PictureAt:
    """`person_picture` as a function of time."""
    return lambda time_s: person_picture(seed, time_s, edge_bgr)


def slide_picture(seed: int = 0, light: bool = True) -> Image:
    """A plain slide with a title, lines of text and boxes in a row, 720 x 1280."""
    rng = np.random.default_rng(seed)
    image = np.full((720, 1280, 3), 250 if light else 24, np.uint8)
    ink = (40, 40, 40) if light else (230, 230, 230)
    cv2.putText(image, f"Lecture {seed}: gradients", (80, 110), ink, cv2.FontFace("sans"), 54, 600)
    for line in range(int(rng.integers(3, 8))):
        text = "the rate of change of a quantity " * int(rng.integers(1, 3))
        cv2.putText(image, text[: int(rng.integers(20, 60))], (110, 210 + 62 * line), ink, cv2.FontFace("sans"), 32)
    if seed % 2:
        for box in range(3):
            colour = tuple(int(c) for c in rng.integers(40, 220, 3))
            cv2.rectangle(image, (700 + 190 * box, 500), (860 + 190 * box, 640), colour, -1)
    return image


BACKGROUNDS: tuple[Bgr, ...] = (
    (0, 0, 0), (13, 13, 13), (0x19, 0x16, 0x13), (0x24, 0x21, 0x20), (0x1F, 0x1F, 0x1F), (0x29, 0x29, 0x29),
    (240, 240, 240), (60, 50, 40),
)  # fmt: skip


def random_style(rng: np.random.Generator) -> GalleryStyle:
    """Any style a meeting program might have: background, gaps, corners, border, label, font."""
    background = BACKGROUNDS[int(rng.integers(len(BACKGROUNDS)))]
    step = int(rng.choice([-10, 9, 14, 22, 40]))
    off = np.clip(np.array(background) + (step if background[0] + step >= 4 else 15), 0, 255)
    return GalleryStyle(
        background_bgr=background,
        gap_px=float(rng.choice([2, 4, 6, 8, 12, 18])),
        margin_px=float(rng.choice([2, 6, 8, 16, 40])),
        radius_px=float(rng.choice([0, 4, 8, 14])),
        border_bgr=((89, 217, 35), (0xF8, 0xB4, 0x8A), (0xC5, 0x5B, 0x7B), (60, 230, 220))[int(rng.integers(4))],
        border_px=float(rng.choice([2, 3, 4, 5])),
        off_bgr=(int(off[0]), int(off[1]), int(off[2])),
        pillar_bgr=background if rng.random() < 0.3 else (9, 9, 9),
        aspect=float(rng.choice([16 / 9, 16 / 9, 16 / 9, 1.6, 1.9, 4 / 3])),
        label=("pill", "bare", "bar", "none")[int(rng.choice(4, p=[0.5, 0.2, 0.2, 0.1]))],
        label_px=float(rng.choice([10, 12, 14, 16])),
        font="sans" if rng.random() < 0.7 else "italic",
        weight=int(rng.choice([400, 600, 700])),
        avatar="name" if rng.random() < 0.5 else "disc",
    )


def random_participants(count: int, style: GalleryStyle, seed: int, time_s: float = 0.0) -> list[Participant]:
    """`count` tiles: most with cameras on, some dark, some whole between pillars, one speaking."""
    rng = np.random.default_rng(seed)
    speaker = int(rng.integers(count))
    off_share = float(rng.choice([0, 0.1, 0.3, 0.6]))
    participants = []
    for index in range(count):
        off, edge, whole, photo = rng.random() < off_share, rng.random() < 0.1, rng.random() < 0.15, rng.random() < 0.15
        picture = person_picture(seed * 64 + index, time_s, style.background_bgr if edge else None)
        if whole:
            picture = np.ascontiguousarray(picture[:, 140:500])
        avatar = person_picture(seed * 64 + index + 32)[40:320, 180:460] if photo else None
        participants.append(
            Participant(
                name_of(index), None if off else picture, index == speaker, bool(rng.random() < 0.8), whole, avatar
            )
        )
    return participants


def through_h264(image_bgr: Image, crf: int = 28) -> Image:
    """The picture as a decoder gives it back after H.264 at this quality (18 fine, 37 coarse)."""
    file = BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = image_bgr.shape[1], image_bgr.shape[0], "yuv420p"
        stream.options = {"crf": str(crf), "preset": "veryfast", "threads": "1"}
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image_bgr, format="bgr24")))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as container:
        return decoded(next(container.decode(video=0)))


def decoded(frame: av.VideoFrame) -> Image:
    """A decoded frame as a picture."""
    return np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)


@dataclass(frozen=True, slots=True)
class GalleryCase:
    """What `lecture_schedule` builds: a short lecture with one of each change."""

    path: Path
    truth: dict[str, Any]


def lecture_schedule(count: int = 9, duration_s: int = 12, seed: int = 1) -> Schedule:
    """A join, a leave, a camera off and on again, and changing speakers, over `duration_s` (at least 8)."""
    attendees = [Attendee(f"p{index:02d}", name_of(index), portrait(seed * 64 + index)) for index in range(count)]
    first, second, last = attendees[0].attendee_id, attendees[1].attendee_id, attendees[-1].attendee_id
    events: Sequence[Event] = (
        Event(0, "speak", first),
        Event(2, "join", last),
        Event(3, "off", second),
        Event(4, "speak", last),
        Event(duration_s - 3, "on", second),
        Event(duration_s - 2, "leave", first),
    )
    return Schedule(attendees, duration_s, events)


def write_lecture(
    folder: Path, count: int = 9, duration_s: int = 12, recording: Recording | None = None
) -> GalleryCase:
    """Write `lecture_schedule` as folder/lecture.mp4 (and its truth)."""
    path = folder / "lecture.mp4"
    return GalleryCase(path, write_gallery_video(path, lecture_schedule(count, duration_s), recording))
