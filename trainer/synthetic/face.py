"""What a face does in one moment: lids after the gaze, blinks, smiles, talk. It knows no bones and no pixels."""

from __future__ import annotations

from math import radians

import numpy as np

from trainer.synthetic.gaze import HeadPose, Target
from trainer.synthetic.recipe import Recipe


def lids(eye_pitch: float) -> dict[str, float]:
    """How far lids close with a gaze down; they also ride on the eyeball (`trainer.synthetic.lids`). Radians."""
    shut = 0.08 * float(np.clip((eye_pitch - radians(10)) / radians(32), 0, 1))
    # anny's resting eyes are narrower than living ones: the fissure spans 34 degrees of the eyeball, not some 45.
    return {"eyeBlinkLeft": shut, "eyeBlinkRight": shut, "eyeWideLeft": 0.35, "eyeWideRight": 0.35}


def draw_actions(
    rng: np.random.Generator, target: Target, head: HeadPose, recipe: Recipe
) -> tuple[dict[str, float], bool]:
    """anny's facial actions for one picture, and whether the eyes are closed."""
    eye_pitch = head.eye_pitch(target.point)
    actions = lids(eye_pitch)
    closed = rng.random() < recipe.blink and not (target.label == "paper" and eye_pitch > radians(22))
    if closed:
        _both(actions, "eyeBlink", rng.uniform(0.45, 1.0))
    elif rng.random() < 0.5:
        # Tired or narrow eyes are no downward gaze.
        _both(actions, "eyeBlink", rng.uniform(0.0, 0.35) * (0.5 if target.label == "paper" else 1.0))
    if rng.random() < 0.3:
        smile = rng.uniform(0.1, 0.9)
        _both(actions, "mouthSmile", smile)
        if rng.random() < 0.5:
            _both(actions, "eyeSquint", smile)
            _both(actions, "cheekSquint", smile * 0.8)
    if rng.random() < 0.25:
        actions["jawOpen"] = rng.uniform(0.05, 0.5) if rng.random() < 0.85 else rng.uniform(0.5, 1.0)
    if rng.random() < 0.3:
        actions["browInnerUp"] = rng.uniform(0.0, 0.7)
    if rng.random() < 0.25:
        _both(actions, "browDown", rng.uniform(0.0, 0.7))
    if rng.random() < 0.15:
        actions["mouthPucker"] = rng.uniform(0.0, 0.7)
    elif rng.random() < 0.15:
        _both(actions, "mouthFrown", rng.uniform(0.2, 0.7))
    return actions, closed


def _both(actions: dict[str, float], name: str, strength: float) -> None:
    """Add to an action of both sides; what the gaze asked of the lids stays in."""
    for side in ("Left", "Right"):
        actions[name + side] = min(1.0, actions.get(name + side, 0.0) + float(strength))
