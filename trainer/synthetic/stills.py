"""Sets of single pictures: drawn by a recipe, written in shards that can be resumed, the same for the same seed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from trainer.synthetic.extras import Extras, draw_extras
from trainer.synthetic.eyes import AVERAGE
from trainer.synthetic.face import draw_actions
from trainer.synthetic.gaze import Desk, HeadPose, Target, draw_desk, draw_head, draw_label, draw_target
from trainer.synthetic.hands import draw_place, hand_at_face
from trainer.synthetic.people import Person, Pose, draw_person, pose_people
from trainer.synthetic.recipe import Recipe
from trainer.synthetic.renderer import Renderer
from trainer.synthetic.room import draw_background, draw_room
from trainer.synthetic.scene import Scene, settings
from trainer.synthetic.shards import SHARD, Still, claim, is_finished, require_seeds, shard_path, write_shard
from trainer.synthetic.wardrobe import Outfit, draw_outfit
from trainer.synthetic.webcam import photograph

_BATCH = 20
"""Bodies posed at once."""


@dataclass(slots=True)
class Draw:
    """Everything that chance decides before a body is posed."""

    seed: int
    rng: np.random.Generator
    person: Person
    outfit: Outfit
    desk: Desk
    target: Target
    head: HeadPose
    pose: Pose
    closed: bool
    extras: Extras | None = None
    """What the recipe's later keys add; None for a recipe without them."""


RenderStills = Callable[[Renderer, Sequence[int], Recipe], Iterator[Still]]
"""Draws the pictures of these seeds, in order."""


def draw_still(seed: int, recipe: Recipe) -> Draw:
    """One person in one moment. The seed alone decides; consecutive seeds balance the groups."""
    rng = np.random.default_rng(seed)
    person = draw_person(rng, f"r{seed}", seed)
    outfit = draw_outfit(rng, person, recipe)
    label = draw_label(rng, recipe.classes)
    target = None
    while target is None:
        desk = draw_desk(rng, recipe)
        target = draw_target(rng, desk, label, recipe)
    head = draw_head(rng, target, recipe)
    actions, closed = draw_actions(rng, target, head, recipe)
    arms = tuple(float(v) for v in rng.uniform((0.45, 0.0, 0.35) * 2, (1.05, 0.8, 1.2) * 2))
    pose = Pose(head, arms, float(rng.random()), actions)
    extras = None
    if recipe.has_extras:
        extras = draw_extras(seed, outfit, target, recipe)
        head = extras.tilted(head)
        pose = extras.with_fingers(replace(pose, head=head))
    return Draw(seed, rng, person, outfit, desk, target, head, pose, closed, extras)


def render_stills(renderer: Renderer, seeds: Sequence[int], recipe: Recipe) -> Iterator[Still]:
    """The pictures of these seeds, in order."""
    for start in range(0, len(seeds), _BATCH):
        draws = [draw_still(seed, recipe) for seed in seeds[start : start + _BATCH]]
        bodies = pose_people([draw.person for draw in draws], [draw.pose for draw in draws])
        for draw, body in zip(draws, bodies, strict=True):
            room = draw_room(draw.rng, draw.desk, recipe)
            yield _render(renderer, draw, Scene(draw.person, draw.outfit, room, draw.desk, body), recipe)


def synthesize_stills(  # noqa: PLR0913  # the last four have defaults that nearly all callers keep
    count: int,
    seed: int,
    out: Path,
    recipe: Recipe,
    *,
    start_shard: int = 0,
    shard_size: int = SHARD,
    quiet: bool = False,
    render: RenderStills | None = None,
) -> list[Path]:
    """Write `count` pictures from seeds `seed`, `seed + 1`, ... to `out`, in shards; finished shards are kept.

    Several processes may share a folder: give each another `start_shard` to begin at; it goes round from there and
    leaves out what others have finished meanwhile. `render` draws something else than `render_stills` does.
    Returns the shards that are there.
    Raises BadInputError for a bad count or seed and for a folder of another recipe, ClassroomError for a full disk.
    """
    require_seeds(count, seed)
    claim(out, seed, shard_size, recipe)
    shards = range(-(-count // shard_size))
    renderer: Renderer | None = None
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=quiet) as progress:
        task = progress.add_task(f"{recipe.name} pictures", total=count)
        for k in (*shards[start_shard:], *shards[:start_shard]):
            seeds = range(seed + k * shard_size, seed + min(count, (k + 1) * shard_size))
            if is_finished(shard_path(out, k), len(seeds)):
                progress.advance(task, len(seeds))
                continue
            renderer = renderer or Renderer()
            stills = []
            for still in (render or render_stills)(renderer, seeds, recipe):
                stills.append(still)
                progress.advance(task)
            write_shard(shard_path(out, k), stills, seed)
    if renderer:
        renderer.close()
    return [shard_path(out, k) for k in shards if shard_path(out, k).is_file()]


def read_shard(path: Path) -> tuple[NDArray[np.uint8], list[dict[str, Any]]]:
    """The pictures (N, side, side, 3) RGB of a shard and their records."""
    with np.load(path) as data:
        images = data["images"]
    lines = path.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()
    return images, [json.loads(line) for line in lines]


def _render(renderer: Renderer, draw: Draw, scene: Scene, recipe: Recipe) -> Still:
    rng, target, extras = draw.rng, draw.target, draw.extras
    scene.turn_eyes(target.point, extras.eyes if extras else AVERAGE)
    hand_place = draw_place(rng) if rng.random() < recipe.hand else "none"
    if extras is not None:
        hand_place = extras.hand_place(hand_place)
    hand = hand_at_face(rng, scene.body, hand_place) if hand_place != "none" else None
    view = scene.view(np.array([0.0, 0.0, rng.normal(0.0, 0.03)]), float(rng.normal(0.0, 0.05)))
    wide = rng.random() < recipe.wide_share
    scale = rng.uniform(*(recipe.frame_scale_wide if wide else recipe.frame_scale))
    shift = rng.uniform(-recipe.off_centre, recipe.off_centre, 2)
    if extras is not None:
        shift = extras.cut_shift(shift)
    frame = scene.frame_face(view, scale, (float(shift[0]), float(shift[1])))
    side = recipe.render_px
    background = draw_background(rng, (side, side))
    paper = target.point if target.label == "paper" else scene.room.paper_place
    if extras is None:
        picture = scene.draw(renderer, view, frame, (side, side), background, paper=paper, hand=hand)
        image = photograph(rng, picture, recipe.size_px, recipe.webcam)
    else:
        how = extras.stage(scene, target, view, hand_place)
        hand, hand_place = hand if how == "hand" else None, hand_place if how != "none" else "none"
        paper = None if extras.staged.hides_sheet else paper
        drawn = scene.cut_out(renderer, view, frame, (side, side), paper=paper, hand=hand, more=extras.staged.props)
        box = scene.truth(view, frame, target.point).face_box
        picture = extras.develop(drawn, background, scene.room.brightness, box)
        image = extras.transmit(photograph(rng, picture, recipe.size_px, recipe.webcam, recipe.gamma), box)
    record = {
        "index": 0,
        "seed": draw.seed,
        "person_id": draw.person.person_id,
        "label": target.label,
        "ambiguous": target.ambiguous,
        **scene.truth(view, frame, target.point).scaled(recipe.size_px, recipe.size_px),
        "groups": _groups(draw, hand_place),
        "setting": {
            **settings(draw.desk, draw.head, target),
            **scene.room.setting,
            "frame_scale": round(scale, 3),
            "hair": draw.outfit.hair,
            "headwear": draw.outfit.headwear,
            "headphones": draw.outfit.headphones,
            "eyes_closed": draw.closed,
            "age": round(draw.person.age, 3),
            "weight": round(draw.person.phenotype["weight"], 3),
            "ancestry": {name: round(share, 3) for name, share in draw.person.ancestry.items()},
            **({} if extras is None else extras.setting),
        },
    }
    return Still(image, record)


def _groups(draw: Draw, hand_place: str) -> dict[str, Any]:
    person = draw.person
    occlusion = f"hand_{hand_place}" if hand_place != "none" else "mask" if draw.outfit.mask else "none"
    return {
        "age_group": person.age_group,
        "gender": person.gender,
        "skin_tone": person.skin_tone,
        **draw.outfit.groups(),
        "occlusion": occlusion,
    }
