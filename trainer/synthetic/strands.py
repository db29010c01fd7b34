"""Hair that falls over the face: a lock of bent ribbons from the hairline, in the head frame of `wardrobe`."""

from __future__ import annotations

import numpy as np

from trainer.synthetic.renderer import Prop
from trainer.synthetic.shapes import Mesh, Points
from trainer.synthetic.wardrobe import Outfit

_STEPS = 7


def lock_of_hair(rng: np.random.Generator, outfit: Outfit) -> Prop | None:
    """A lock in the colour of the outfit's hair, over one eye, a cheek or the forehead; None where no hair grows."""
    if outfit.hair in ("bald", "shorn") or outfit.headwear == "headscarf":
        return None
    side = float(rng.choice([-1.0, 1.0]))
    start, end = side * rng.uniform(-0.015, 0.045), side * rng.uniform(0.025, 0.066)
    length = rng.uniform(0.05, 0.17)
    spread = rng.uniform(0.003, 0.013)
    ribbons = [_ribbon(rng, start, end, length, spread) for _ in range(int(rng.integers(5, 12)))]
    points = np.concatenate([ribbon.points for ribbon in ribbons])
    triangles = np.concatenate([ribbon.triangles + k * 2 * _STEPS for k, ribbon in enumerate(ribbons)])
    tint = np.asarray(outfit.uniforms["hair"]) * rng.uniform(0.7, 1.2)
    return Prop(Mesh(points, triangles.astype(np.int32)), tint, 0.35)


def _ribbon(rng: np.random.Generator, start: float, end: float, length: float, spread: float) -> Mesh:
    """A flat strip that hugs the face: it starts in the hair over the forehead and swings aside as it falls."""
    along = np.linspace(0.0, 1.0, _STEPS)
    x = start + rng.normal(0.0, spread) + (end - start + rng.normal(0.0, spread * 0.6)) * along**1.3
    z = 0.078 + rng.normal(0.0, 0.004) - length * rng.uniform(0.75, 1.05) * along
    thick = rng.uniform(0.0014, 0.004) * (1.05 - along**2)
    middle = np.stack([x, _front(x, z) - rng.uniform(0.003, 0.009), z], 1)
    aside = np.stack([thick, np.zeros(_STEPS), np.zeros(_STEPS)], 1)
    points: Points = np.concatenate([middle - aside, middle + aside])
    step = np.arange(_STEPS - 1)
    first = np.stack([step, step + 1, step + 1 + _STEPS], 1)
    return Mesh(points, np.concatenate([first, np.stack([step, step + 1 + _STEPS, step + _STEPS], 1)]).astype(np.int32))


def _front(x: Points, z: Points) -> Points:
    """Roughly how far out the front of a head is, y in metres."""
    forehead = -0.03 + 0.9 * np.maximum(0.0, z - 0.045)
    return np.asarray(forehead + 7.0 * x**2)
