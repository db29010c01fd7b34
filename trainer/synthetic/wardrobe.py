"""What a person wears, hair and beard included: passes over the body, numbers for the shaders, meshes on the head.

Meshes are given for a head whose eyes are 62 mm apart, in its frame: origin between the eyes, +x to the person's
left, -y out of the face, +z up. It knows no pose and no light.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trainer.synthetic.angles import Vector
from trainer.synthetic.people import Person
from trainer.synthetic.recipe import Recipe
from trainer.synthetic.renderer import Pass, Prop
from trainer.synthetic.shapes import Points, ball, disc, tube

EYE_HALF_M = 0.031
"""Half the distance between the eyes in the head frame."""

_HAIR_RGB = np.array(
    [
        [0.012, 0.010, 0.009],
        [0.03, 0.018, 0.012],
        [0.07, 0.035, 0.018],
        [0.13, 0.065, 0.03],
        [0.22, 0.12, 0.05],
        [0.45, 0.30, 0.14],
        [0.25, 0.07, 0.02],
        [0.35, 0.34, 0.33],
    ]
)
_GREY = 7
_IRIS_RGB = np.array(
    [
        [0.06, 0.03, 0.012],
        [0.04, 0.02, 0.01],
        [0.12, 0.07, 0.025],
        [0.12, 0.14, 0.06],
        [0.10, 0.17, 0.25],
        [0.2, 0.25, 0.28],
    ]
)
_HAIR_KINDS = {
    "male": {"bald": 0.05, "shorn": 0.1, "short": 0.42, "fringe": 0.13, "curly": 0.12, "afro": 0.08, "long": 0.1},
    "female": {
        "shorn": 0.02,
        "short": 0.12,
        "curly": 0.08,
        "afro": 0.08,
        "bob": 0.15,
        "long": 0.3,
        "ponytail": 0.15,
        "bun": 0.1,
    },
}


@dataclass(slots=True)
class Outfit:
    """What one person wears, and their hair."""

    hair: str
    glasses: str = "none"
    """none, clear, tinted, sunglasses"""
    headwear: str = "none"
    """none, cap, headscarf"""
    beard: bool = False
    headphones: bool = False
    mask: bool = False
    passes: list[Pass] = field(default_factory=list)
    uniforms: dict[str, Any] = field(default_factory=dict)
    parts: list[Prop] = field(default_factory=list)
    """Meshes in the head frame."""

    def groups(self) -> Mapping[str, Any]:
        """What figures are broken down by."""
        return {"glasses": self.glasses, "headscarf": self.headwear == "headscarf", "beard": self.beard}


def hsv(hue: float, saturation: float, value: float) -> Vector:
    """A colour; hue wraps, the others are clamped to 0 to 1."""
    return np.array(colorsys.hsv_to_rgb(hue % 1.0, min(1.0, max(0.0, saturation)), min(1.0, max(0.0, value))))


def draw_outfit(rng: np.random.Generator, person: Person, recipe: Recipe) -> Outfit:
    """Hair, beard, clothes and things worn, for this person."""
    kinds = _HAIR_KINDS[person.gender]
    outfit = Outfit(hair=str(rng.choice(list(kinds), p=list(kinds.values()))))
    if not person.is_male and rng.random() < recipe.headscarf:
        outfit.headwear = "headscarf"
    elif rng.random() < recipe.hat:
        outfit.headwear = "cap"
    if person.is_male and person.age_group in ("adult", "older") and rng.random() < 0.5:
        outfit.beard = True
    outfit.mask = rng.random() < recipe.mask
    outfit.headphones = outfit.headwear != "headscarf" and rng.random() < recipe.headphones
    _dress_face(rng, person, outfit)
    _dress_hair(rng, outfit)
    _dress_body(rng, outfit)
    if outfit.headwear != "none":
        _dress_cover(rng, outfit)
    if outfit.mask:
        tint = hsv(rng.choice([0.55, 0.6, 0.0]), rng.uniform(0.0, 0.5), rng.choice([0.05, 0.6, 0.8]))
        outfit.passes.append(Pass("head", "cover", {"kind": 2, "cover": tint, "push": 0.004}))
    outfit.glasses = _draw_glasses_kind(rng, recipe)
    if outfit.glasses != "none":
        outfit.parts += _glasses(rng, outfit.glasses)
    if outfit.headphones:
        outfit.parts += _headphones(rng)
    return outfit


def _dress_face(rng: np.random.Generator, person: Person, outfit: Outfit) -> None:
    """Skin, lips, brows, eyes, beard, hairline: uniforms for all passes."""
    skin, light_hair = person.skin_rgb, person.skin_tone <= 3 and person.ancestry["caucasian"] > 0.4
    shares = [0.26, 0.2, 0.18, 0.13, 0.09, 0.08, 0.05, 0.01] if light_hair else [0.6, 0.28, 0.1, 0.02, 0, 0, 0, 0]
    index = int(rng.choice(len(_HAIR_RGB), p=shares))
    if person.age_group == "older" and rng.random() < 0.6:
        index = _GREY
    hair = _HAIR_RGB[index] * rng.uniform(0.7, 1.3)
    if rng.random() < 0.03:
        hair = hsv(rng.random(), 0.7, 0.4)
    made_up = not person.is_male and person.age_group != "child" and rng.random() < 0.4
    natural_lip = skin * np.array([0.95, 0.6, 0.6]) * rng.uniform(0.8, 1.05)
    lip = hsv(rng.choice([0.97, 0.0, 0.02, 0.94]), rng.uniform(0.5, 0.85), rng.uniform(0.2, 0.6))
    high = 8.35 if person.is_male and person.age_group == "older" and rng.random() < 0.3 else rng.uniform(7.78, 8.06)
    outfit.uniforms |= {
        "skin": skin,
        "lip": lip if made_up else natural_lip,
        "hair": hair,
        "brow": np.minimum(hair, skin * 0.8) * rng.uniform(0.6, 1.0),
        "iris": _IRIS_RGB[rng.integers(len(_IRIS_RGB) if light_hair else 2)],
        "brow_shape": (
            rng.uniform(7.44, 7.5),
            rng.uniform(0.03, 0.09),
            rng.uniform(0.02, 0.1),
            rng.uniform(0.018, 0.045),
        ),
        "hairline": (high, rng.uniform(-0.1, 0.7), rng.normal(0.05, 0.1), rng.normal(0.0, 0.15)),
        "beard": rng.uniform(0.25, 1.0) if outfit.beard else 0.0,
        "beard_length": float(rng.random() < 0.75),
        "blush": rng.uniform(0.0, 1.0),
        "eyeliner": rng.uniform(0.3, 0.9) if made_up else 0.0,
        "wrinkles": rng.uniform(0.4, 1.0) if person.age_group == "older" else rng.uniform(0.0, 0.15),
        "lid_shadow": rng.uniform(0.2, 1.3),
        "gloss": rng.uniform(0.1, 1.1),
        "iris_size": rng.uniform(0.40, 0.47),
        "pupil_size": rng.uniform(0.1, 0.24),
        "seed": rng.uniform(0.0, 20.0),
    }
    outfit.passes += [Pass("head", "skin"), Pass("torso", "skin"), Pass("eyes", "eye"), Pass("lashes", "lash")]
    outfit.passes.append(Pass("teeth", "plain", {"tint": (0.72, 0.69, 0.62), "shine": 0.3, "opacity": 1.0}))


def _dress_hair(rng: np.random.Generator, outfit: Outfit) -> None:
    kind, uniforms = outfit.hair, outfit.uniforms
    uniforms["stubble"] = 0.0 if kind == "bald" or outfit.headwear == "headscarf" else 1.0
    if kind in ("bald", "shorn") or outfit.headwear == "headscarf":
        return
    if kind in ("fringe", "bob") or (kind == "long" and rng.random() < 0.25):
        front = uniforms["hairline"]
        uniforms["hairline"] = (rng.uniform(7.6, 7.8), rng.uniform(-0.2, 0.15), *front[2:])
    push, curl, curl_size = {
        "short": (rng.uniform(0.004, 0.02), 0.15, 6.0),
        "fringe": (rng.uniform(0.006, 0.018), 0.15, 5.0),
        "curly": (rng.uniform(0.014, 0.03), rng.uniform(0.3, 0.6), rng.uniform(5.0, 9.0)),
        "afro": (rng.uniform(0.03, 0.06), rng.uniform(0.1, 0.3), rng.uniform(6.0, 10.0)),
    }.get(kind, (rng.uniform(0.004, 0.013), 0.05, 6.0))
    shell = {
        "crown": 1.0,
        "curl": curl,
        "curl_size": curl_size,
        "ragged": rng.uniform(0.1, 0.3),
        "strand": 70.0 if kind in ("curly", "afro") else rng.uniform(25.0, 45.0),
        "parting": rng.choice([9.0, rng.uniform(-0.4, 0.4)]),
    }
    if outfit.headwear != "cap":
        outfit.passes += [Pass("head", "hair", {**shell, "push": push * share}) for share in (1.0, 0.5)]
    if kind in ("long", "bob"):
        cut = rng.uniform(6.2, 6.75) if kind == "bob" else rng.uniform(4.6, 6.0)
        falling = {"cut_y": cut, "curtain": rng.uniform(0.0, 1.0) if rng.random() < 0.4 else 0.0}
        outfit.passes.append(Pass("long_hair", "long_hair", falling))
    if kind in ("ponytail", "bun"):
        low, high = (-0.02, 0.06) if kind == "ponytail" else (0.08, 0.13)
        centre = np.array([0.0, 0.13 if kind == "ponytail" else 0.09, rng.uniform(low, high)])
        radius = rng.uniform(0.025, 0.045)
        outfit.parts.append(
            Prop(ball(centre, (radius, radius, radius * (1.8 if kind == "ponytail" else 0.9))), uniforms["hair"], 0.3)
        )


def _dress_body(rng: np.random.Generator, outfit: Outfit) -> None:
    cloth = hsv(rng.random(), rng.random(), rng.random() ** 1.5)
    second = hsv(rng.random(), rng.random(), rng.random())
    pattern = int(rng.choice([0, 1, 2, 3, 4, 5], p=[0.5, 0.14, 0.06, 0.08, 0.1, 0.12]))
    shirt = {
        "cloth": cloth,
        "cloth_second": second,
        "neck_y": rng.uniform(5.75, 6.25),
        "neck_depth": rng.uniform(0.2, 0.7),
        "pattern": pattern,
        "pattern_size": rng.choice([2.0, 4.0, 7.0]),
    }
    outfit.passes.append(Pass("clothes", "cloth", {**shirt, "push": rng.uniform(0.001, 0.006)}))
    if rng.random() < 0.25:
        jacket = {**shirt, "cloth": second, "pattern": 0, "neck_depth": 1.4, "push": 0.018}
        outfit.passes.append(Pass("clothes", "cloth", jacket))


def _dress_cover(rng: np.random.Generator, outfit: Outfit) -> None:
    tint = hsv(rng.random(), rng.random() ** 1.5, rng.random() ** 1.2)
    if outfit.headwear == "cap":
        outfit.passes.append(
            Pass("head", "cover", {"kind": 0, "cover": tint, "push": rng.uniform(0.009, 0.02), "crown": 1.0})
        )
        if rng.random() < 0.5:
            sweep = np.linspace(-1.0, 1.0, 9)
            front = np.stack([0.075 * np.sin(sweep * 1.3), -0.05 - 0.075 * np.cos(sweep * 1.4), 0.058 - 0.0 * sweep], 1)
            back = np.stack(
                [0.07 * np.sin(sweep[::-1] * 1.3), -0.02 - 0.045 * np.cos(sweep * 1.4), 0.07 + 0.0 * sweep], 1
            )
            outfit.parts.append(Prop(disc(np.concatenate([front, back])), tint * 0.8, 0.1))
        return
    opening = (rng.uniform(0.55, 0.68), rng.uniform(0.85, 1.0), rng.uniform(7.1, 7.2), rng.uniform(4.6, 5.5))
    scarf = {"kind": 1, "cover": tint, "opening": opening, "push": rng.uniform(0.007, 0.016)}
    outfit.passes += [Pass("head", "cover", scarf), Pass("torso", "cover", scarf)]


def _draw_glasses_kind(rng: np.random.Generator, recipe: Recipe) -> str:
    draw = rng.random()
    if draw < recipe.sunglasses:
        return "sunglasses"
    if draw < recipe.sunglasses + recipe.glasses * 0.15:
        return "tinted"
    return "clear" if draw < recipe.sunglasses + recipe.glasses else "none"


def _glasses(rng: np.random.Generator, kind: str) -> list[Prop]:
    """Rims, bridge and temples; lenses where they show."""
    colour = hsv(rng.random(), rng.random() ** 2, rng.random() ** 2 * 0.6) if rng.random() < 0.5 else np.full(3, 0.01)
    wire = rng.uniform(0.0007, 0.0024)
    half_width, half_height, power = rng.uniform(0.021, 0.027), rng.uniform(0.014, 0.023), rng.uniform(2.0, 5.0)
    forward = -0.021
    parts: list[Prop] = []
    for side in (1.0, -1.0):
        rim = _rim(side, half_width, half_height, power, forward)
        parts.append(Prop(tube(rim, wire, closed=True), colour, 0.8))
        temple = np.array(
            [
                [side * (EYE_HALF_M + half_width), forward + 0.012, 0.003],
                [side * 0.073, 0.02, 0.004],
                [side * 0.076, 0.085, 0.0],
            ]
        )
        parts.append(Prop(tube(temple, wire * 0.9, closed=False), colour, 0.5))
        if kind == "sunglasses":
            parts.append(Prop(disc(rim), np.full(3, 0.01), 0.8, rng.uniform(0.88, 0.99), False))
        elif kind == "tinted":
            parts.append(Prop(disc(rim), hsv(rng.random(), 0.4, 0.15), 0.8, rng.uniform(0.3, 0.55), False))
        elif rng.random() < 0.5:
            parts.append(Prop(disc(rim), np.full(3, 0.5), 1.0, rng.uniform(0.03, 0.15), False))
    inner = EYE_HALF_M - half_width + 0.002
    bridge = np.array([[-inner, forward, 0.004], [0.0, forward - 0.003, 0.007], [inner, forward, 0.004]])
    parts.append(Prop(tube(bridge, wire, closed=False), colour, 0.5))
    return parts


def _rim(side: float, half_width: float, half_height: float, power: float, forward: float) -> Points:
    """A super-ellipse around one eye, bent a little around the head."""
    turn = np.linspace(0.0, 2 * math.pi, 24, endpoint=False)
    x = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** (2 / power) * half_width + side * (EYE_HALF_M + 0.002)
    z = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** (2 / power) * half_height - 0.003
    return np.stack([x, forward + 0.25 * np.maximum(0.0, np.abs(x) - 0.02) ** 1.2, z], 1)


def _headphones(rng: np.random.Generator) -> list[Prop]:
    colour = hsv(rng.random(), rng.random() ** 2, rng.random() * 0.6)
    turn = np.linspace(-0.15, math.pi + 0.15, 18)
    band = np.stack([np.cos(turn) * 0.088, np.full(18, 0.055), np.sin(turn) * 0.135 - 0.02], 1)
    parts = [Prop(tube(band, 0.006, closed=False), colour, 0.4)]
    radius = rng.uniform(0.024, 0.034)
    for side in (1.0, -1.0):
        cup = ball(np.array([side * 0.083, 0.06, -0.03]), (radius * 0.6, radius, radius * 1.2), 10)
        parts.append(Prop(cup, colour, 0.4))
    if rng.random() < 0.3:
        arm = np.array([[0.085, 0.04, -0.05], [0.07, -0.02, -0.085], [0.045, -0.055, -0.085]])
        parts.append(Prop(tube(arm, 0.0025, closed=False), np.full(3, 0.02), 0.3))
    return parts
