"""What a set of pictures is made of: one frozen record, read from TOML, with no key that it does not know."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from monitor.errors import BadInputError

RECIPES = Path(__file__).parent / "recipes"
"""The recipes that come with the project."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Shares are 0 to 1; ranges are (least, most)."""

    name: str
    classes: tuple[float, float, float] = (0.34, 0.38, 0.28)
    """Shares of screen, paper, wander."""
    ambiguous: float = 0.06
    """Share of draws that may lie in the ambiguous margin; at most 0.1."""
    size_px: int = 128
    """Side of the finished square picture."""
    render_px: int = 160
    """Side of the square that is rendered, before the webcam scales it down."""
    eyes_only: float = 0.25
    """Share of draws in which the eyes do most of the way and the head little."""
    blink: float = 0.05
    """Share of closed or half-closed eyes; they keep their label."""
    distance_m: tuple[float, float] = (0.38, 0.95)
    """From the eyes to the camera."""
    camera_height_m: tuple[float, float] = (-0.24, 0.14)
    """Of the lens over the eyes."""
    side_camera: float = 0.08
    """Share of cameras that stand beside the screen."""
    low_camera: float = 0.05
    """Share of cameras below the screen."""
    frame_scale: tuple[float, float] = (1.3, 1.8)
    """Side of the picture over the larger side of the face box, for most draws."""
    frame_scale_wide: tuple[float, float] = (0.95, 2.2)
    """The same for the others."""
    wide_share: float = 0.35
    """Share of draws that use the wide range."""
    off_centre: float = 0.12
    """Largest shift of the frame, as a share of the larger side of the face box."""
    glasses: float = 0.3
    sunglasses: float = 0.04
    headscarf: float = 0.12
    """Of women."""
    hat: float = 0.06
    headphones: float = 0.12
    mask: float = 0.02
    hand: float = 0.14
    """Share of pictures with a hand at the face."""
    backlight: float = 0.1
    webcam: float = 1.0
    """Strength of the camera's faults: 0 none, 1 ordinary, 2 bad."""

    # Later keys. Their defaults draw what was drawn before there were such keys, so recipes may leave them out.
    things: float = 0.0
    """Share of paper pictures with print, a book, a writing hand or a phone instead of a bare sheet."""
    distractors: float = 0.0
    """Share of other pictures with such a thing that nobody looks at, a mug among them."""
    arms: float = 0.0
    """Share of hands at the face that come with their arm."""
    second_monitor: float = 0.0
    """Share of desks with a second screen beside the first."""
    strands: float = 0.0
    """Share of people with hair on whom it falls over a part of the face."""
    virtual_background: float = 0.0
    """Share of pictures with a picture behind the student, cut badly."""
    portrait_blur: float = 0.0
    """Share of pictures whose room is blurred behind a badly cut student."""
    auto_exposure: float = 0.0
    """Share of cameras that brighten a dark face and darken a burnt one."""
    gamma: tuple[float, float] = (0.7, 1.5)
    """Of the camera."""
    tiny: float = 0.0
    """Share of pictures that were only 40 to 64 px large once."""
    h264: float = 0.0
    """Share of pictures out of a video of few bits."""
    cut_head: float = 0.0
    """Share of heads that the picture's edge cuts."""
    tile_edge: float = 0.0
    """Share of crops that reach past their tile, where its edge pixels are repeated."""
    side_camera_m: tuple[float, float] = (0.08, 0.22)
    """How far a camera beside the screen stands from the screen's middle."""
    azimuth_deg: float = 9.0
    """How far the workplace is turned against the body: standard deviation."""
    screen_width_m: tuple[float, float] = (0.26, 0.58)
    head_yaw_noise_deg: float = 0.0
    """Standard deviation of what the head's yaw adds to its share of the way; the eyes take it back."""
    head_pitch_noise_deg: float = 3.0
    lean_back: float = 0.2
    """Share of those who lean back."""
    lean_back_deg: float = 5.0
    """Standard deviation of how far."""
    resting: float = 0.0
    """Share of students who rest the head on a hand, and tilt it far."""
    own_eyes: float = 0.0
    """Share of people whose eyes and lids are not the average ones; see `trainer.synthetic.eyes`."""
    living_eyes: bool = False
    """Whether eyes turn, show and are covered by as much as living ones; anny's are half as large again."""

    # What a picture alone can tell. A gaze beyond these limits, measured from the camera's direction, is ambiguous:
    # it could as well have been taken at a desk where the label is another one.
    wander_aside_deg: float = 0.0
    """Least angle aside of `wander`, unless it is far enough up."""
    wander_up_deg: float = 0.0
    """Least angle up of `wander`, unless it is far enough aside."""
    screen_aside_deg: float = 180.0
    """Largest angle aside of `screen`."""
    screen_down_deg: float = 180.0
    """Largest angle down of `screen`."""
    paper_down_deg: float = 0.0
    """Least angle down of `paper`."""

    def __post_init__(self) -> None:
        if len(self.classes) != 3 or min(self.classes) < 0 or sum(self.classes) <= 0:
            raise BadInputError(f"recipe {self.name!r}: `classes` needs three shares, found {self.classes}")
        if not 0 <= self.ambiguous <= 0.1:
            raise BadInputError(f"recipe {self.name!r}: `ambiguous` must lie in 0 to 0.1, found {self.ambiguous}")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "tuple[float, float]" and (len(value) != 2 or value[0] > value[1]):
                raise BadInputError(f"recipe {self.name!r}: `{field.name}` needs [least, most], found {value}")

    @property
    def has_extras(self) -> bool:
        """Whether any of the later keys differs from its default."""
        names = [field.name for field in fields(self)]
        defaults = {field.name: field.default for field in fields(self)}
        return any(getattr(self, name) != defaults[name] for name in names[names.index("things") :])

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a manifest."""
        return asdict(self)


def read_recipe(name_or_path: str | Path) -> Recipe:
    """A shipped recipe by name ("train", "heldout", "hard"), or one from a TOML file.

    Raises BadInputError for a missing file, broken TOML, an unknown key or a value of the wrong kind.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = RECIPES / f"{name_or_path}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in RECIPES.glob("*.toml")))
        raise BadInputError(f"no recipe {name_or_path!s}; expected one of {known}, or a .toml file")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise BadInputError(f"recipe {path}: not valid TOML: {error}") from error
    known_keys = {field.name for field in fields(Recipe)}
    unknown = sorted(set(table) - known_keys)
    if unknown:
        raise BadInputError(
            f"recipe {path}: unknown key {', '.join(map(repr, unknown))}; known keys: {', '.join(sorted(known_keys))}"
        )
    return Recipe(**{"name": path.stem, **{key: _value(path, key, value) for key, value in table.items()}})


def _value(path: Path, key: str, value: object) -> Any:
    kind = type(getattr(Recipe(name=""), key))
    if kind is tuple and isinstance(value, list) and all(isinstance(v, (int, float)) for v in value):
        return tuple(float(v) for v in value)
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if kind is type(value):
        return value
    raise BadInputError(f"recipe {path}: `{key}` must be {kind.__name__}, found {value!r}")
