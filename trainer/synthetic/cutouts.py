"""Students cut out, with alpha and the exact face box: what tiles and rooms for the head finder are composed of.

Written in the shards of `stills`, with pictures (N, side, side, 4) RGBA, colours premultiplied. It knows no background,
no camera faults and no labels that matter: heads are turned, bowed and thrown back far more often than in lectures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import radians
from pathlib import Path

import numpy as np

from trainer.synthetic.gaze import HeadPose
from trainer.synthetic.hands import draw_place, hand_at_face
from trainer.synthetic.people import pose_people
from trainer.synthetic.recipe import Recipe
from trainer.synthetic.renderer import Renderer
from trainer.synthetic.room import draw_room
from trainer.synthetic.scene import Scene
from trainer.synthetic.stills import Draw, Still, draw_still, synthesize_stills

_BATCH = 20
"""Bodies posed at once."""
_FREE_HEAD = 0.4
"""Share of heads that stand anyhow, not towards a target."""
_BELOW = 0.42
"""How far the middle of the picture lies below the face's, in larger sides of the face box: shoulders, not ceiling."""


def synthesize_cutouts(
    count: int, seed: int, out: Path, recipe: Recipe, *, shard_size: int = 250, quiet: bool = False
) -> list[Path]:
    """Write `count` cut-outs to `out`; folder, seeds, resuming and errors are those of `synthesize_stills`."""
    return synthesize_stills(count, seed, out, recipe, shard_size=shard_size, quiet=quiet, render=render_cutouts)


def render_cutouts(renderer: Renderer, seeds: Sequence[int], recipe: Recipe) -> Iterator[Still]:
    """The cut-outs of these seeds, in order."""
    for start in range(0, len(seeds), _BATCH):
        draws = [_draw(seed, recipe) for seed in seeds[start : start + _BATCH]]
        bodies = pose_people([draw.person for draw in draws], [draw.pose for draw in draws])
        for draw, body in zip(draws, bodies, strict=True):
            room = draw_room(draw.rng, draw.desk, recipe)
            room.has_desk = False  # its sides would end where the cut-out does
            scene = Scene(draw.person, draw.outfit, room, draw.desk, body)
            yield _render(renderer, draw, scene, recipe)


def _draw(seed: int, recipe: Recipe) -> Draw:
    draw = draw_still(seed, recipe)
    if draw.rng.random() < _FREE_HEAD:
        draw.pose = replace(draw.pose, head=_free_head(draw.rng))
    return draw


def _free_head(rng: np.random.Generator) -> HeadPose:
    """Any head that a neck allows; the far ends as often as the middle."""
    yaw, pitch = radians(rng.uniform(-75.0, 75.0)), radians(rng.uniform(-45.0, 55.0))
    roll = radians(rng.normal(0.0, 14.0))
    lean = radians(rng.uniform(-12.0, 30.0))
    return HeadPose(yaw, pitch - lean * 0.6, roll, radians(rng.normal(0.0, 12.0)), lean)


def _render(renderer: Renderer, draw: Draw, scene: Scene, recipe: Recipe) -> Still:
    rng, side = draw.rng, recipe.render_px
    scene.turn_eyes(draw.target.point)
    place = draw_place(rng) if rng.random() < recipe.hand else "none"
    hand = hand_at_face(rng, scene.body, place) if place != "none" else None
    view = scene.view(np.array([0.0, 0.0, -0.1]), float(rng.normal(0.0, 0.05)))
    shift = rng.uniform(-recipe.off_centre, recipe.off_centre, 2)
    frame = scene.frame_face(view, rng.uniform(*recipe.frame_scale), (float(shift[0]), float(shift[1]) - _BELOW))
    drawn = scene.cut_out(renderer, view, frame, (side, side), hand=hand)
    truth = scene.truth(view, frame, draw.target.point).scaled(side, side)
    record = {
        "index": 0,
        "seed": draw.seed,
        "person_id": draw.person.person_id,
        **truth,
        "brightness": round(float(np.clip(scene.room.brightness, 0.0, 1.3)), 3),
        "hand": place,
    }
    return Still(np.rint(np.clip(drawn, 0, 1) * 255).astype(np.uint8), record)
