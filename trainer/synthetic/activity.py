"""What a student has at hand, looked at or not: things on the desk and in the hands, an arm at the face.

The gaze is given and never changed: a thing that is looked at is put where the eyes already are. Chance comes from a
generator of its own, so that pictures without these things stay what they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import radians

import numpy as np

from trainer.synthetic import things
from trainer.synthetic.angles import Matrix, Vector, direction, project
from trainer.synthetic.arm import SIDES, Grip, arm_meshes, bare_forearm, grip, move_arm
from trainer.synthetic.gaze import Target
from trainer.synthetic.people import Pose
from trainer.synthetic.recipe import Recipe
from trainer.synthetic.renderer import Prop
from trainer.synthetic.scene import Scene

LOOKED_AT = {
    "print": 0.12,
    "book": 0.14,
    "writing": 0.3,
    "held_phone": 0.18,
    "held_book": 0.16,
    "desk_phone": 0.1,
}
"""Things that are looked at, by share; `writing` is a hand with a pen on print or a book."""
LEFT_ALONE = {
    "print": 0.12,
    "book": 0.13,
    "mug": 0.13,
    "writing": 0.18,
    "held_phone": 0.16,
    "held_book": 0.05,
    "raised_pen": 0.13,
    "held_mug": 0.1,
}
"""The same for things that nobody looks at."""

_CURL = {"writing": 0.75, "held_phone": 0.6, "held_book": 0.5, "raised_pen": 0.85, "held_mug": 0.8}
"""How far fingers are bent; at the face it is any."""
_UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True, slots=True)
class Activity:
    """What chance chose for one picture."""

    thing: str = "none"
    looked_at: bool = False
    side: str = "R"
    """The hand that does it."""
    bare_arms: bool = False
    arm_at_face: bool = False
    """Whether a hand at the face comes with its arm."""


@dataclass(slots=True)
class Staged:
    """What an activity adds to a scene."""

    props: list[Prop] = field(default_factory=list)
    arms: list[str] = field(default_factory=list)
    """Sides whose arms were moved."""
    thing: str = "none"
    """What is there in the end; "none" where it had no room."""
    hides_sheet: bool = False
    """Whether the bare sheet of paper must not be drawn."""


def draw_activity(rng: np.random.Generator, target: Target, recipe: Recipe) -> Activity:
    """What lies and moves around this student."""
    looked_at = target.label == "paper"
    kinds = LOOKED_AT if looked_at else LEFT_ALONE
    thing = "none"
    if rng.random() < (recipe.things if looked_at else recipe.distractors):
        thing = str(rng.choice(list(kinds), p=np.array(list(kinds.values())) / sum(kinds.values())))
    return Activity(
        thing=thing,
        looked_at=looked_at,
        side="R" if rng.random() < 0.75 else "L",
        bare_arms=bool(rng.random() < 0.3),
        arm_at_face=bool(rng.random() < recipe.arms),
    )


def with_fingers(rng: np.random.Generator, pose: Pose, activity: Activity) -> Pose:
    """The pose with fingers bent for what they do."""
    curl = _CURL.get(activity.thing)
    return pose if curl is None else replace(pose, finger_curl=curl + rng.uniform(-0.12, 0.12))


def stage(rng: np.random.Generator, scene: Scene, target: Target, activity: Activity, view: Matrix) -> Staged:
    """Put the things of an activity into a scene; moves the arms of its body."""
    staged = Staged()
    kind = activity.thing
    if kind in ("print", "book", "desk_phone", "mug"):
        _put_on_desk(rng, scene, target, activity, staged)
    elif kind == "writing":
        _write_on_desk(rng, scene, target, activity, staged)
    elif kind in ("held_phone", "held_book"):
        _hold(rng, scene, target, activity, staged, view)
    elif kind in ("raised_pen", "held_mug"):
        _raise(rng, scene, activity, staged)
    return staged


def arm_at_face(rng: np.random.Generator, scene: Scene, place: str, activity: Activity, staged: Staged) -> bool:
    """Bring the body's own hand to mouth, cheek, chin or eyes, the elbow on the desk; False if it cannot be."""
    free = [side for side in SIDES if side not in staged.arms]
    side = activity.side if activity.side in free else (free or ["L"])[0]
    if not free:
        return False
    sign = SIDES[side]
    spot, fingers, palm = {
        "chin": ((rng.normal(0.0, 0.012), -0.02, -0.118), (-0.5 * sign, 0.1, 0.8), (0.0, 0.4, 1.0)),
        "cheek": ((sign * 0.076, -0.01, -0.06), (0.1 * sign, 0.3, 1.0), (-sign, 0.3, 0.0)),
        "mouth": ((0.0, -0.055, -0.066), (-0.85 * sign, 0.0, 0.35), (-0.1 * sign, 1.0, 0.1)),
        "eyes": ((rng.normal(0.0, 0.015), -0.05, 0.0), (-0.6 * sign, 0.0, 0.8), (0.0, 1.0, -0.1)),
    }[place]
    head, jitter = scene.body.head, rng.normal(0.0, 0.12, (2, 3))
    fingers_world, palm_world = head @ (np.array(fingers) + jitter[0]), head @ (np.array(palm) + jitter[1])
    contact = _on_head(scene, np.array(spot))
    hold = grip(contact, fingers_world, palm_world)
    along = {"chin": 0.1, "cheek": 0.09, "mouth": 0.11, "eyes": 0.1}[place]
    return _move(scene, side, replace(hold, wrist=hold.point(-along, -0.024)), activity, staged, forward=0.6)


def dress_arms(scene: Scene, staged: Staged) -> None:
    """The props of the arms that were moved: skin and sleeve. Call once, after everything has moved."""
    cloth = next((one.uniforms["cloth"] for one in reversed(scene.outfit.passes) if one.part == "clothes"), None)
    for side in staged.arms:
        skin, sleeve = arm_meshes(scene.body, side)
        staged.props.append(Prop(skin, scene.person.skin_rgb * 0.97, 0.2, skin_like=1.0))
        if cloth is not None and len(sleeve.triangles):
            staged.props.append(Prop(sleeve, np.asarray(cloth) * 0.95, 0.05))


def _put_on_desk(rng: np.random.Generator, scene: Scene, target: Target, activity: Activity, staged: Staged) -> None:
    if not scene.room.has_desk:
        return
    spot = scene.origin + (target.point if activity.looked_at else _free_spot(rng, scene))
    place = things.lying(spot + 0.003 * _UP, rng.normal(0.0, 0.3))
    staged.props += {
        "print": lambda: things.sheet(rng, place, scene.room.paper_rgb),
        "book": lambda: things.book(rng, _raised(place, 0.006), scene.room.paper_rgb),
        "desk_phone": lambda: things.phone(rng, _raised(place, 0.005)),
        "mug": lambda: things.mug(rng, place.middle),
    }[activity.thing]()
    staged.thing, staged.hides_sheet = activity.thing, activity.thing != "mug"


def _write_on_desk(rng: np.random.Generator, scene: Scene, target: Target, activity: Activity, staged: Staged) -> None:
    """A hand with a pen on a page; while looking elsewhere the hand rests in front of the body."""
    if not scene.room.has_desk:
        return
    sign = SIDES[activity.side]
    if activity.looked_at:
        tip = scene.origin + target.point
    else:
        tip = scene.origin + np.array([sign * rng.uniform(0.0, 0.14), -rng.uniform(0.2, 0.34), scene.desk.surface_z])
    shoulder = scene.body.joints[f"upperarm01.{activity.side}"]
    away = tip - shoulder
    fingers = np.array([away[0] - sign * 0.12, away[1] - 0.05, 0.0])
    fingers = fingers / np.linalg.norm(fingers) - 0.25 * _UP
    palm = np.array([-0.55 * sign, 0.0, -1.0])
    hold = grip(tip, fingers, palm)
    hold = replace(hold, wrist=hold.point(-0.105, -0.045))
    page = things.lying(tip + [sign * 0.02, 0.0, 0.003] + rng.normal(0.0, 0.03, 3) * [1, 1, 0], rng.normal(0.0, 0.25))
    if rng.random() < 0.6:
        staged.props += things.sheet(rng, page, scene.room.paper_rgb)
    else:
        staged.props += things.book(rng, _raised(page, 0.006), scene.room.paper_rgb)
    staged.hides_sheet, staged.thing = True, "print"
    if _move(scene, activity.side, hold, activity, staged, forward=0.1):
        staged.props += _pen_in(rng, hold, tip + 0.004 * _UP)
        staged.thing = "writing"


def _hold(
    rng: np.random.Generator, scene: Scene, target: Target, activity: Activity, staged: Staged, view: Matrix
) -> None:
    """A telephone or a book in the hand: on the ray of the gaze if looked at, before the chest if not."""
    is_phone = activity.thing == "held_phone"
    way = target.point / np.linalg.norm(target.point)
    if not activity.looked_at:
        way = direction(radians(rng.normal(0.0, 14.0)), radians(rng.uniform(38.0, 68.0)))
    longest = float(np.linalg.norm(target.point)) - 0.04 if activity.looked_at else 0.5
    for _ in range(6):
        distance = min(rng.uniform(0.19, 0.38), longest)
        middle = scene.eyes + way * distance
        toward = -way + rng.uniform(-0.1, 0.35) * _UP
        place = things.facing(middle, toward, rng.normal(0.0, 0.08))
        if _hides_face(scene, view, place, 0.08 if is_phone else 0.12):
            continue
        sign = SIDES[activity.side]
        if is_phone:
            hold = grip(middle, place.top + place.right * sign * 0.45, place.out)
            hold = replace(hold, wrist=hold.point(-0.1, -0.024))
        else:
            # The students' right lies towards -x, a place's right too when it faces them.
            edge = middle - place.top * 0.085 - place.right * sign * 0.09
            hold = grip(edge, place.top + place.right * sign * 0.3, place.out)
            hold = replace(hold, wrist=hold.point(-0.06, -0.02))
        if _move(scene, activity.side, hold, activity, staged, forward=0.0):
            staged.props += things.phone(rng, place) if is_phone else things.book(rng, place, scene.room.paper_rgb)
            staged.thing, staged.hides_sheet = activity.thing, activity.looked_at
            return


def _raise(rng: np.random.Generator, scene: Scene, activity: Activity, staged: Staged) -> None:
    """A pen in a hand beside the chin, or a mug before it."""
    sign = SIDES[activity.side]
    if activity.thing == "raised_pen":
        spot = np.array([sign * rng.uniform(0.04, 0.1), -rng.uniform(0.06, 0.14), -rng.uniform(0.1, 0.16)])
        hold = grip(_on_head(scene, spot), np.array([-0.5 * sign, -0.2, 0.8]), np.array([-0.6 * sign, 0.8, 0.1]))
        if _move(scene, activity.side, replace(hold, wrist=hold.point(-0.09, -0.03)), activity, staged, forward=0.7):
            knuckles = hold.point(0.0, 0.02)
            lean = np.array([-sign * rng.uniform(0.0, 0.6), rng.uniform(-0.3, 0.3), 1.0])
            lean = lean / np.linalg.norm(lean)
            staged.props += things.pen(rng, knuckles - lean * 0.045, knuckles + lean * 0.1)
            staged.thing = activity.thing
        return
    middle = _on_head(scene, np.array([rng.normal(0.0, 0.02), -rng.uniform(0.09, 0.14), -rng.uniform(0.1, 0.17)]))
    hold = grip(middle, np.array([-sign, -0.35, 0.15]), np.array([0.35 * -sign, 1.0, 0.0]))
    if _move(scene, activity.side, replace(hold, wrist=hold.point(-0.075, -0.05)), activity, staged, forward=0.5):
        staged.props += things.mug(rng, middle - 0.05 * _UP)
        staged.thing = activity.thing


def _move(scene: Scene, side: str, hold: Grip, activity: Activity, staged: Staged, *, forward: float) -> bool:
    hint = np.array([SIDES[side] * 0.55, -forward, -1.0])
    if not move_arm(scene.body, side, hold, hint):
        return False
    if activity.bare_arms:
        bare_forearm(scene.body, side)
    staged.arms.append(side)
    return True


def _pen_in(rng: np.random.Generator, hold: Grip, tip: Vector) -> Sequence[Prop]:
    """A pen that goes from its tip up between thumb and forefinger."""
    through = hold.point(0.08, 0.0) + 0.02 * _UP
    lean = through - tip
    return things.pen(rng, tip, tip + lean / np.linalg.norm(lean) * 0.145)


def _free_spot(rng: np.random.Generator, scene: Scene) -> Vector:
    """A place on the desk, relative to the eyes."""
    return np.array([rng.normal(0.0, 0.17), -rng.uniform(0.2, 0.5), scene.desk.surface_z])


def _raised(place: things.Place, by_m: float) -> things.Place:
    return replace(place, middle=place.middle + by_m * _UP)


def _on_head(scene: Scene, spot: Vector) -> Vector:
    """A point of the head frame of `wardrobe` in the world."""
    point: Vector = scene.eyes + scene.body.head @ (spot * scene.scale)
    return point


def _hides_face(scene: Scene, view: Matrix, place: things.Place, half_m: float) -> bool:
    """Whether a thing covers more than the chin in the camera's picture."""
    low, high = scene.face_bounds(view)
    corners = place.middle + half_m * np.array([place.top, -place.top, place.right, -place.right])
    seen = project(view, corners)
    beside = seen[:, 0].min() > high[0] or seen[:, 0].max() < low[0]
    return not beside and bool(seen[:, 1].max() > low[1] + 0.38 * (high[1] - low[1]))
