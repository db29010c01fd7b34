"""Draws one tile of a gallery: picture or camera-off card, rounded corners, name label, speaker border.

It does not know where the tile stands among the others: see gallery.py.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.schema import Box, Image
from trainer.synthetic.gallery_style import STYLE_LINES, Bgr, GalleryStyle, Participant, to_even, to_px

AVATAR_COLOURS: tuple[Bgr, ...] = ((70, 90, 200), (150, 110, 40), (60, 140, 60), (140, 60, 120), (40, 120, 190))


def draw_tile(canvas: Image, box: Box, participant: Participant, style: GalleryStyle) -> None:
    """Picture or avatar, rounded corners, label and speaker border, onto the canvas."""
    scale = canvas.shape[0] / STYLE_LINES
    tile = _content(box, participant, style)
    _draw_label(tile, participant, style, scale)
    radius, border = to_px(style.radius_px, scale, 0), to_px(style.border_px, scale)
    grow = border if style.border_outside else 0
    if participant.speaking:
        around = Box(max(0, box.x1 - grow), max(0, box.y1 - grow), box.x2 + grow, box.y2 + grow)
        outer = around.cut(canvas)
        mask = _rounded_mask(outer.shape[1], outer.shape[0], radius + grow)
        outer[:] = _blend(outer, np.full_like(outer, style.border_bgr), mask)
    inset = border if participant.speaking and not style.border_outside else 0
    inside = Box(box.x1 + inset, box.y1 + inset, box.x2 - inset, box.y2 - inset).cut(canvas)
    shown = tile[inset : box.height - inset, inset : box.width - inset]
    inside[:] = _blend(inside, shown, _rounded_mask(inside.shape[1], inside.shape[0], max(0, radius - inset)))


def _content(box: Box, participant: Participant, style: GalleryStyle) -> Image:
    """What a tile shows below its label: the camera's picture, or the camera-off card."""
    picture = participant.picture_bgr
    if picture is None:
        return _camera_off_card(box, participant, style)
    if participant.whole:
        return fitted(picture, box.width, box.height, style.pillar_bgr)
    return _filled(picture, box.width, box.height)


def _camera_off_card(box: Box, participant: Participant, style: GalleryStyle) -> Image:
    """A flat tile with the name, a disc with initials, or a profile photograph."""
    card = np.empty((box.height, box.width, 3), np.uint8)
    card[:] = style.off_bgr
    side = to_even(box.height * 0.5)
    if participant.avatar_bgr is not None or style.avatar == "disc":
        top, left = (box.height - side) // 2, (box.width - side) // 2
        area = card[top : top + side, left : left + side]
        radius = side // 2 if style.avatar == "disc" else max(1, side // 12)
        area[:] = _blend(area, _avatar(participant, side, style), _rounded_mask(side, side, radius))
        return card
    size = max(6, min(round(box.height * 0.13), round(box.width * 1.5 / max(1, len(participant.name)))))
    _draw_text(card, participant.name, (box.width / 2, box.height / 2), size, style)
    return card


def _avatar(participant: Participant, side: int, style: GalleryStyle) -> Image:
    """A square photograph, or a plain colour with initials; the colour follows from the name."""
    if participant.avatar_bgr is not None:
        return _filled(participant.avatar_bgr, side, side)
    square = np.empty((side, side, 3), np.uint8)
    square[:] = AVATAR_COLOURS[zlib.crc32(participant.name.encode()) % len(AVATAR_COLOURS)]
    initials = "".join(word[0] for word in participant.name.split()[:2]).upper()
    _draw_text(square, initials, (side / 2, side / 2), max(6, round(side * 0.4)), style)
    return square


def _draw_label(tile: Image, participant: Participant, style: GalleryStyle, scale: float) -> None:
    """The name (with a crossed-out microphone where muted) at the bottom left of a tile, in place."""
    if style.label == "none":
        return
    height, width = tile.shape[:2]
    size = max(7, round(style.label_px * scale))
    inset = to_px(style.label_inset_px, scale, 1)
    icon = round(size * 1.1) if participant.muted else 0
    text_width = text_width_px(participant.name, size, style.font, style.weight)
    tall = round(size * 1.45)
    wide = width if style.label == "bar" else min(width - 2 * inset, icon + text_width + round(size * 0.9))
    left, bottom = (0, height) if style.label == "bar" else (inset, height - inset)
    area = tile[max(0, bottom - tall) : bottom, left : left + wide]
    if style.label != "bare":
        mask = _rounded_mask(area.shape[1], area.shape[0], 0 if style.label == "bar" else max(1, size // 3))
        area[:] = _blend(area, np.full_like(area, 20), mask * 0.65)
    else:
        _put_text(
            area, participant.name, (icon + round(size * 0.4) + 1, round(size * 1.05) + 1), size, style, (0, 0, 0)
        )
    if participant.muted:
        _draw_muted(area, round(size * 0.25), size)
    _put_text(area, participant.name, (icon + round(size * 0.4), round(size * 1.05)), size, style, (250, 250, 250))


def _draw_muted(area: Image, left: int, size: int) -> None:
    """A red microphone with a stroke through it."""
    red, middle = (60, 60, 225), left + size // 2
    top, bottom = round(size * 0.3), round(size * 1.1)
    body = round(size * 0.16)
    cv2.ellipse(
        area, (middle, (top + bottom) // 2 - 1), (max(1, body), max(2, size // 3)), 0, 0, 360, red, -1, cv2.LINE_AA
    )
    cv2.line(area, (left, bottom), (left + round(size * 0.8), top), red, max(1, size // 12), cv2.LINE_AA)


def text_width_px(text: str, size: int, font: str = "sans", weight: int = 400) -> int:
    """Width of a text as drawn, in pixels; `size` is the font size in pixels."""
    end, _ = _put_on(_scratch(), text, (0, size), (255, 255, 255), _font(font), size, weight)
    return int(end[0])


def _draw_text(image: Image, text: str, center: tuple[float, float], size: int, style: GalleryStyle) -> None:
    """White text centred on a point, in place."""
    width = text_width_px(text, size, style.font, style.weight)
    _put_text(image, text, (round(center[0] - width / 2), round(center[1] + size * 0.36)), size, style, (245, 245, 245))


def _put_text(image: Image, text: str, origin: tuple[int, int], size: int, style: GalleryStyle, colour: Bgr) -> None:
    """Text from its base line's left end, in place; what does not fit is cut off."""
    patch = np.ascontiguousarray(image)
    _put_on(patch, text, origin, colour, _font(style.font), size, style.weight)
    image[:] = patch


def _put_on(image: Image, text: str, origin: tuple[int, int], colour: Bgr, *font: Any) -> tuple[tuple[int, int], Any]:
    """cv2.putText on one line: OpenCV would else wrap at the image's edge. Returns (end of the text, image)."""
    face, size, weight = font
    result: tuple[tuple[int, int], Any] = cv2.putText(image, text, origin, colour, face, size, weight, 0, (0, 1 << 16))
    return result


@lru_cache(maxsize=4)
def _font(name: str) -> Any:
    """One of OpenCV's built-in fonts."""
    return cv2.FontFace(name)


@lru_cache(maxsize=1)
def _scratch() -> Image:
    """A picture to measure text on: nothing of the text needs to be inside."""
    return np.zeros((4, 4, 3), np.uint8)


@lru_cache(maxsize=256)
def _rounded_mask(width: int, height: int, radius: int) -> NDArray[np.float32]:
    """Coverage (height, width, 1) of a rectangle with round corners, 0 to 1, smooth at the edge."""
    if radius == 0:
        return np.ones((height, width, 1), np.float32)
    radius = min(radius, width // 2, height // 2)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    out_x = np.maximum(np.maximum(radius - 0.5 - x, x - (width - radius - 0.5)), 0)
    out_y = np.maximum(np.maximum(radius - 0.5 - y, y - (height - radius - 0.5)), 0)
    coverage: NDArray[np.float32] = np.clip(radius + 0.5 - np.hypot(out_x, out_y), 0, 1)[..., None].astype(np.float32)
    return coverage


def _blend(below: Image, above: Image, coverage: NDArray[np.float32]) -> Image:
    """`above` over `below` by coverage (H, W, 1)."""
    mixed: Image = np.rint(below + (above.astype(np.float32) - below) * coverage).astype(np.uint8)
    return mixed


def _filled(picture: Image, width: int, height: int) -> Image:
    """The picture scaled to cover width x height, its overhang cut off evenly."""
    factor = max(width / picture.shape[1], height / picture.shape[0])
    scaled = _scaled(
        picture, max(width, round(picture.shape[1] * factor)), max(height, round(picture.shape[0] * factor))
    )
    top, left = (scaled.shape[0] - height) // 2, (scaled.shape[1] - width) // 2
    return np.ascontiguousarray(scaled[top : top + height, left : left + width])


def fitted(picture: Image, width: int, height: int, around_bgr: Bgr) -> Image:
    """The whole picture in the middle of width x height, the rest in one colour."""
    factor = min(width / picture.shape[1], height / picture.shape[0])
    scaled = _scaled(
        picture, min(width, round(picture.shape[1] * factor)), min(height, round(picture.shape[0] * factor))
    )
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = around_bgr
    top, left = (height - scaled.shape[0]) // 2, (width - scaled.shape[1]) // 2
    canvas[top : top + scaled.shape[0], left : left + scaled.shape[1]] = scaled
    return canvas


def _scaled(picture: Image, width: int, height: int) -> Image:
    """Resized without moiré: area averaging down, linear up."""
    smaller = width < picture.shape[1]
    resized: Image = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    return resized
