"""Rendered students for the loop: some wear dark glasses and look at the screen, others none and look about.

Each is rendered a few times and shown again and again: a class that lasts as long as it takes, at the cost of a few
pictures. What everybody looks at is known at every moment. It knows no monitor and no model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from monitor.schema import Box, Image
from trainer.synthetic.actor import ACTOR, StudentActor
from trainer.synthetic.behaviour import Habit, Story, draw_story
from trainer.synthetic.gallery import layout
from trainer.synthetic.gallery_video import Attendee, Recording, Schedule, write_gallery_video
from trainer.synthetic.lecture_script import CAST
from trainer.synthetic.people import cell_of
from trainer.synthetic.renderer import Prop, Renderer
from trainer.synthetic.shapes import Points, disc, tube
from trainer.synthetic.wardrobe import Outfit

FPS = 2
SIZE = (1280, 720)
STILL_S = 0.5
LABEL_S = 4.0
"""How long who wears no glasses looks at one thing."""
TURNS = ("screen", "paper", "wander")
_STORY_S = 240
HABIT = Habit(0.4, 0.3, 0.3, eyes_only=0.0)
"""Heads turn where eyes do: these are to be plain cases."""
_EYE_M = 0.033
"""Half the distance between the middles of the lenses."""


@dataclass(frozen=True)
class Classmate:
    """One student, as often as they were rendered."""

    name: str
    wears: bool
    """Dark glasses; then they look at the screen all the time."""
    stills_bgr: dict[str, list[Image]]
    """By what they look at."""

    def label_at(self, time_s: float) -> str:
        """What the student looks at."""
        return "screen" if self.wears else TURNS[int(time_s / LABEL_S + 1e-6) % len(TURNS)]

    def picture_at(self, time_s: float) -> Image:
        """What the student's camera shows."""
        stills = self.stills_bgr[self.label_at(time_s)]
        rest_of_2_s, two_seconds = int(time_s / STILL_S + 1e-6) % 4, int(time_s / 2 + 1e-6)
        return stills[(two_seconds + 3 * rest_of_2_s) % len(stills)]  # thumbnails, each 2 s, are another one each time


def render_class(wearers: int, others: int, stills: int, seed: int = 9000) -> tuple[list[Classmate], list[Classmate]]:
    """Students with dark glasses, and students without any; all are different people.

    Args:
        wearers: how many with.
        others: how many without.
        stills: pictures of each wearer, and a third of them a label of the others.
        seed: first of those that are tried; who wears something else on face or head is left out.
    """
    renderer = Renderer()
    found: list[Classmate] = []
    while len(found) < wearers + others:
        name, gender, tone = CAST[len(found) % len(CAST)]
        actor = StudentActor(seed, (320, 180), ACTOR, cell_of("adult", gender, tone))
        seed += 1
        if actor.outfit.glasses != "none" or actor.outfit.headwear != "none":
            continue
        wears = len(found) < wearers
        if wears:
            put_on_dark_glasses(actor.outfit)
        labels = {"screen": stills} if wears else dict.fromkeys(TURNS, max(2, stills // len(TURNS)))
        story = draw_story(
            np.random.default_rng(seed), actor.desk, _STORY_S, Habit(0.4, 0.3, 0.3, eyes_only=0.0), ACTOR
        )
        shown = {label: _render(renderer, actor, story, label, count) for label, count in labels.items()}
        found.append(Classmate(name, wears, shown))
    renderer.close()
    return found[:wearers], found[wearers:]


def put_on_dark_glasses(outfit: Outfit) -> None:
    """Big frames with lenses that let nothing through."""
    outfit.glasses = "sunglasses"
    for side in (1.0, -1.0):
        rim = _rim(side)
        outfit.parts.append(Prop(tube(rim, 0.0024, closed=True), np.full(3, 0.01), 0.5))
        outfit.parts.append(Prop(disc(rim), np.full(3, 0.01), 0.2, 0.97, False))


def write_class(path: Path, classmates: Sequence[Classmate], seconds: int) -> list[Box]:
    """A gallery recording of so many seconds; returns the tiles in the order of the students."""
    people = [Attendee(f"p{number}", one.name, one.picture_at) for number, one in enumerate(classmates)]
    recording = Recording(SIZE, fps=FPS, crf=24)
    write_gallery_video(path, Schedule(people, seconds), recording)
    return layout(len(people), SIZE, recording.style)


def who_is_at(box: Box, tiles: Sequence[Box]) -> int:
    """The place of the tile that a box found by the monitor lies in."""
    x, y = (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2
    return min(
        range(len(tiles)),
        key=lambda place: math.hypot(
            x - (tiles[place].x1 + tiles[place].x2) / 2, y - (tiles[place].y1 + tiles[place].y2) / 2
        ),
    )


def _render(renderer: Renderer, actor: StudentActor, story: Story, label: str, count: int) -> list[Image]:
    """Moments in the middle of a look, spread over the whole story."""
    times = [t for t in range(1, _STORY_S) if story.label_at(t) == label == story.label_at(t - 1)]
    chosen = [times[int(place)] for place in np.linspace(0, len(times) - 1, count)]
    shots = actor.render(renderer, [story.at(t + 0.5) for t in chosen])
    return [np.asarray(cv2.cvtColor(shot.image_rgb, cv2.COLOR_RGB2BGR), np.uint8) for shot in shots]


def _rim(side: float) -> Points:
    """A rounded rectangle around one eye, bent a little around the head."""
    turn = np.linspace(0.0, 2 * math.pi, 24, endpoint=False)
    across, along = np.cos(turn), np.sin(turn)
    x = np.sign(across) * np.abs(across) ** (2 / 3) * 0.028 + side * _EYE_M
    z = np.sign(along) * np.abs(along) ** (2 / 3) * 0.024 - 0.003
    return np.stack([x, -0.021 + 0.25 * np.maximum(0.0, np.abs(x) - 0.02) ** 1.2, z], 1)
