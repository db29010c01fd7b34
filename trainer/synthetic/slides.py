"""Slides of a lecture as a shared screen shows them: title, lines of text, a drawing. It knows no time and no gallery.

Pure numpy and OpenCV; the same slide has the same pixels on every system.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from monitor.schema import Image

Bgr = tuple[int, int, int]
SLIDE_PX = (1280, 720)
"""Width and height of a slide."""
_LINE_PX = 62
_TEXT_RIGHT_PX = 760
"""Text stays left of this; the drawing stands right of it."""


@dataclass(frozen=True, slots=True)
class Slide:
    """What one slide says."""

    title: str
    lines: tuple[str, ...]
    drawing: str = "none"
    """none, bars, curve or circle."""


@dataclass(frozen=True, slots=True)
class Theme:
    """How all slides of a lecture look."""

    paper_bgr: Bgr
    ink_bgr: Bgr
    accent_bgr: Bgr
    font: str = "sans"


THEMES: tuple[Theme, ...] = (
    Theme((252, 252, 252), (45, 40, 35), (150, 90, 30)),
    Theme((236, 244, 250), (50, 45, 60), (60, 120, 40)),
    Theme((58, 40, 30), (235, 235, 230), (90, 190, 240)),
    Theme((40, 40, 40), (225, 225, 225), (120, 200, 120)),
)
"""Two light ones and two dark ones."""


@lru_cache(maxsize=8)
def draw_slide(slide: Slide, theme: Theme, number: int, shown: int) -> Image:
    """The slide with its first `shown` lines, SLIDE_PX, BGR; `number` stands in the corner. Do not write into it."""
    width, height = SLIDE_PX
    image = np.empty((height, width, 3), np.uint8)
    image[:] = theme.paper_bgr
    cv2.rectangle(image, (0, 0), (18, height), theme.accent_bgr, -1)
    _text(image, slide.title, (80, 120), theme.accent_bgr, theme.font, 52, 700)
    cv2.line(image, (80, 150), (width - 80, 150), theme.accent_bgr, 3, cv2.LINE_AA)
    line_y = 230
    for line in slide.lines[:shown]:
        cv2.circle(image, (92, line_y - 11), 7, theme.accent_bgr, -1, cv2.LINE_AA)
        for part in wrapped(line, 34 if slide.drawing != "none" else 62):
            _text(image, part, (120, line_y), theme.ink_bgr, theme.font, 34, 400)
            line_y += _LINE_PX
    _draw(image, slide.drawing, theme)
    _text(image, str(number), (width - 70, height - 30), theme.ink_bgr, theme.font, 24, 400)
    return image


def wrapped(line: str, letters: int) -> list[str]:
    """A line of text broken between words into parts of at most `letters`."""
    parts: list[str] = []
    for word in line.split():
        if parts and len(parts[-1]) + 1 + len(word) <= letters:
            parts[-1] += f" {word}"
        else:
            parts.append(word)
    return parts


def _draw(image: Image, drawing: str, theme: Theme) -> None:
    """The drawing right of the text, in place."""
    left, top, right, bottom = _TEXT_RIGHT_PX + 60, 220, SLIDE_PX[0] - 90, 620
    if drawing == "none":
        return
    if drawing == "circle":
        centre, radius = ((left + right) // 2, (top + bottom) // 2), 150
        cv2.circle(image, centre, radius, theme.ink_bgr, 4, cv2.LINE_AA)
        cv2.ellipse(image, centre, (radius, radius), 0, -90, 90, theme.accent_bgr, 14, cv2.LINE_AA)
        cv2.arrowedLine(
            image, (left - 40, centre[1]), (centre[0] - radius - 12, centre[1]), theme.ink_bgr, 5, cv2.LINE_AA
        )
        return
    cv2.line(image, (left, top), (left, bottom), theme.ink_bgr, 4, cv2.LINE_AA)
    cv2.line(image, (left, bottom), (right, bottom), theme.ink_bgr, 4, cv2.LINE_AA)
    if drawing == "bars":
        _bars(image, (left, top, right, bottom), (0.35, 0.5, 0.92, 0.6), theme)
        return
    across = np.linspace(0, 1, 60)
    points = np.stack([left + across * (right - left), bottom - (across**2 * (3 - 2 * across)) * (bottom - top)], 1)
    cv2.polylines(image, [np.rint(points).astype(np.int32)], isClosed=False, color=theme.accent_bgr, thickness=6)


def _bars(image: Image, place: tuple[int, int, int, int], heights: Sequence[float], theme: Theme) -> None:
    left, top, right, bottom = place
    step = (right - left) / len(heights)
    for k, share in enumerate(heights):
        x = round(left + (k + 0.2) * step)
        upper = round(bottom - share * (bottom - top))
        cv2.rectangle(image, (x, upper), (round(x + 0.6 * step), bottom - 3), theme.accent_bgr, -1)


def _text(image: Image, text: str, origin: tuple[int, int], colour: Bgr, *font: Any) -> None:
    """One line of text, in place; the last argument keeps OpenCV from wrapping it."""
    name, size, weight = font
    cv2.putText(image, text, origin, colour, _font(name), size, weight, 0, (0, 1 << 16))


@lru_cache(maxsize=2)
def _font(name: str) -> Any:
    """One of OpenCV's built-in fonts."""
    return cv2.FontFace(name)
