"""The part of a lecture in which a screen is shared: when, with the students in a strip where, and what it shows.

It knows whole seconds and arrangements; slides are drawn by `slides`, and the gallery by `gallery`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from monitor.schema import Image
from trainer.synthetic.gallery_style import GRID, Arrangement, Side
from trainer.synthetic.lecture_script import SLIDES
from trainer.synthetic.slides import THEMES, Theme, draw_slide

STRIP_SIDES: Mapping[str, tuple[Side, ...]] = {"zoom": ("top", "right"), "meet": ("right",), "teams": ("top", "right")}
"""Where each meeting program puts the students beside a shared screen."""
_LANE = {"top": (7, 0.17, 0.11), "right": (6, 0.2, 0.08)}
"""By side: students in one row or column of the strip, its share of the picture, and what each further one adds."""
_WIDEST = 0.38

SLIDE_S = 9.0
LINE_S = 2.0
"""Seconds between two lines that appear on a slide."""


@dataclass(frozen=True, slots=True)
class Share:
    """One shared screen, during [from_s, to_s)."""

    from_s: int
    to_s: int
    arrangement: Arrangement
    theme: Theme
    first_slide: int

    @property
    def arrangements(self) -> tuple[tuple[int, Arrangement], ...]:
        """The whole lecture's arrangements, as a schedule takes them."""
        return (0, GRID), (self.from_s, self.arrangement), (self.to_s, GRID)

    def picture_at(self, time_s: float) -> Image:
        """The shared screen at a media time of the lecture, BGR."""
        turn, since_s = divmod(max(0.0, time_s - self.from_s), SLIDE_S)
        number = (self.first_slide + int(turn)) % len(SLIDES)
        return draw_slide(SLIDES[number], self.theme, number + 1, 1 + int(since_s / LINE_S))


def draw_share(rng: np.random.Generator, seconds: int, students: int, style: str) -> Share:
    """A shared screen for about a third of the lecture, after its first third; the grid comes back at the end."""
    from_s = round(seconds * rng.uniform(0.36, 0.45))
    to_s = max(from_s + 3, round(seconds * rng.uniform(0.72, 0.82)))
    sides = STRIP_SIDES[style]
    side = sides[int(rng.integers(len(sides)))]
    theme = THEMES[int(rng.integers(len(THEMES)))]
    return Share(from_s, to_s, strip_of(side, students), theme, int(rng.integers(len(SLIDES))))


def strip_of(side: Side, students: int) -> Arrangement:
    """A strip wide enough for so many students."""
    in_lane, first, further = _LANE["top" if side in ("top", "bottom") else "right"]
    lanes = -(-students // in_lane)
    return Arrangement(strip=side, strip_share=round(min(_WIDEST, first + further * (lanes - 1)), 3))
