"""How a gallery looks and who is in it: the records that the other gallery files take.

It draws nothing. Lengths in a style are pixels of a picture 720 lines high; they grow and shrink with the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from monitor.schema import Image

Bgr = tuple[int, int, int]
Side = Literal["right", "left", "top", "bottom"]
SIDES: tuple[Side, ...] = ("right", "left", "top", "bottom")
Size = tuple[int, int]
"""(width, height) in pixels."""

STYLE_LINES = 720
"""The picture height for which a style's lengths are given."""


@dataclass(frozen=True, slots=True)
class GalleryStyle:
    """How one meeting program draws a gallery. Lengths: px at 720 lines."""

    background_bgr: Bgr = (0x19, 0x16, 0x13)
    gap_px: float = 6.0
    """Between neighbouring tiles, both ways."""
    margin_px: float = 8.0
    """Least distance from the tiles to the edge of the picture."""
    radius_px: float = 8.0
    """Of the tiles' corners; 0 for square ones."""
    border_bgr: Bgr = (89, 217, 35)
    """Of the active speaker's border."""
    border_px: float = 4.0
    border_outside: bool = False
    """Whether the border lies around the tile (in the gap) and not on its edge."""
    off_bgr: Bgr = (0x22, 0x22, 0x22)
    """A tile with the camera off, before name or avatar."""
    pillar_bgr: Bgr = (9, 9, 9)
    """Beside a picture that is narrower than its tile and shown whole."""
    aspect: float = 16 / 9
    """Width / height of a tile."""
    label: Literal["pill", "bare", "bar", "none"] = "pill"
    """pill: text in a rounded dark box; bare: text with a shadow; bar: a box across the whole tile."""
    label_px: float = 13.0
    """Font size of the name label."""
    label_inset_px: float = 5.0
    """From the tile's left and bottom edge to the label."""
    font: Literal["sans", "italic"] = "sans"
    weight: int = 400
    """Of the font: 400 regular, 700 bold."""
    avatar: Literal["name", "disc"] = "name"
    """What a camera-off tile shows: the name in the middle, or a coloured disc with initials."""


ZOOM = GalleryStyle()
MEET = GalleryStyle(
    background_bgr=(0x24, 0x21, 0x20),
    gap_px=10,
    margin_px=14,
    radius_px=10,
    border_bgr=(0xF8, 0xB4, 0x8A),
    off_bgr=(0x43, 0x40, 0x3C),
    label="bare",
    avatar="disc",
)
TEAMS = GalleryStyle(
    background_bgr=(0x1F, 0x1F, 0x1F),
    gap_px=4,
    margin_px=6,
    radius_px=4,
    border_bgr=(0xC5, 0x5B, 0x7B),
    border_px=3,
    off_bgr=(0x29, 0x29, 0x29),
    label="pill",
    avatar="disc",
)


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Where in the picture the tiles go."""

    columns: int | None = None
    """Tiles in a full row; None: as many as make the tiles largest."""
    strip: Side | None = None
    """The side of a shared screen on which the tiles stand; None: the tiles have the whole picture."""
    strip_share: float = 0.2
    """The part of the width (or height, for top and bottom) that the strip takes."""


GRID = Arrangement()


@dataclass(frozen=True, slots=True)
class Participant:
    """One tile, as it is shown in one frame."""

    name: str
    picture_bgr: Image | None = None
    """The camera's picture, any size; None: camera off."""
    speaking: bool = False
    muted: bool = True
    whole: bool = False
    """Show the whole picture between pillars, instead of filling the tile and cutting what hangs over."""
    avatar_bgr: Image | None = None
    """A profile photograph, shown while the camera is off."""


def to_px(length: float, scale: float, least: int = 1) -> int:
    """A style's length in pixels of this picture."""
    return max(least, round(length * scale))


def to_even(length: float) -> int:
    """The largest even number of pixels not above a length: video codecs store colour for pairs of pixels."""
    return int(length) // 2 * 2
