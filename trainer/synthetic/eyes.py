"""How one person's eyes differ from the average ones: where they stand to the gaze, how their lids lie, their shade.

Without it a net may learn the exact place of every rendered iris, which holds for no real face. It knows no pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import degrees, radians

import numpy as np

_STREAM = 7927
"""Second part of the seed of this generator: everything else of a picture is drawn as without it."""


@dataclass(frozen=True, slots=True)
class Eyes:
    """One person's pair of eyes; the defaults are the average ones that every person had before."""

    outwards_rad: float = 0.0
    """How far each eyeball points outwards of the gaze (angle kappa: the fovea lies beside the eye's axis)."""
    down_rad: float = 0.0
    """How far both point below it."""
    upper_rest_rad: float = 0.0
    """How far the upper lid hangs lower than average."""
    lower_rest_rad: float = 0.0
    """How far the lower lid stands lower."""
    upper_share: float = 0.85
    """Share of the eyeball's turn that a lid follows: the upper one keeps covering the rim of the iris."""
    lower_down_share: float = 0.66
    """The lower lid sinks with a gaze down …"""
    lower_up_share: float = 0.3
    """… and rises little with a gaze up."""
    white: float = 1.0
    """Brightness of the white."""
    socket: float = 0.0
    """Strength of the shadow that brow and lid throw on it, 0 to 1."""

    @property
    def uniforms(self) -> Mapping[str, float]:
        """What the eye's shader is told."""
        return {"eye_white": self.white, "eye_socket": self.socket}

    @property
    def setting(self) -> dict[str, float]:
        """For the record of a picture; angles in degrees."""
        return {
            name.replace("_rad", "_deg"): round(degrees(value) if name.endswith("_rad") else value, 2)
            for name, value in asdict(self).items()
        }


AVERAGE = Eyes()


def draw_eyes(seed: int, share: float = 1.0) -> Eyes:
    """The eyes of the person of this seed; `share` of people have eyes of their own, the others average ones.

    Angle kappa is some 3 to 6 degrees outwards (Basmak et al. 2007, "Measurement of angle kappa with
    synoptophore and Orbscan II in a normal population"); people's upper lids cover one to two millimetres of an iris of
    twelve, or much more where they hang, and follow the eyeball nearly wholly; lower lids follow about half of the way
    (Becker and Fuchs 1988, "Lid-eye coordination during vertical gaze changes in man and monkey").
    """
    rng = np.random.default_rng((seed, _STREAM))
    if rng.random() >= share:
        return AVERAGE
    hangs = rng.random() < 0.25
    return Eyes(
        outwards_rad=radians(rng.normal(4.5, 2.0)),
        down_rad=radians(rng.normal(0.0, 1.5)),
        upper_rest_rad=radians(rng.uniform(4.0, 13.0) if hangs else rng.normal(1.0, 3.0)),
        lower_rest_rad=radians(rng.normal(-1.0, 2.5)),
        upper_share=float(rng.uniform(0.8, 1.05)),
        lower_down_share=float(rng.uniform(0.3, 0.7)),
        lower_up_share=float(rng.uniform(0.15, 0.4)),
        white=float(rng.uniform(0.6, 1.05)),
        socket=float(rng.uniform(0.0, 1.0)),
    )
