"""What a student does over time: attention wanders between screen, paper and elsewhere; heads move, eyes blink.

A small Markov chain over the labels; every state lasts whole seconds, so that a second has one label. It draws nothing.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import radians

import numpy as np

from trainer.synthetic.angles import Vector, angle_between, yaw_pitch
from trainer.synthetic.face import lids
from trainer.synthetic.gaze import Desk, HeadPose, Target, draw_head, draw_target
from trainer.synthetic.recipe import Recipe

MEAN_STAY_S: Mapping[str, float] = {"screen": 14.0, "paper": 8.0, "wander": 5.0}
"""How long a state lasts, on average."""

HEAD_MOVE_S = 0.5
EYE_MOVE_S = 0.15
_GLANCE_S = 3.0
"""How long eyes rest on one point of the screen or the paper."""


@dataclass(frozen=True, slots=True)
class Habit:
    """One student's inclinations: shares of where attention goes when it moves on. Need not sum to one."""

    screen: float = 0.55
    paper: float = 0.27
    wander: float = 0.18
    restless: float = 1.0
    """Divides how long a state lasts."""
    eyes_only: float = 0.15
    """Share of looks in which the eyes do most of the way and the head little."""
    blink_every_s: float = 4.0
    """On average."""
    sway: float = 1.0
    """How far the head drifts, in parts of what is usual."""

    def next_label(self, rng: np.random.Generator, label: str) -> str:
        """The state after this one."""
        shares = {"screen": self.screen, "paper": self.paper, "wander": self.wander}
        shares.pop(label)
        names = list(shares)
        weights = np.array([shares[name] for name in names]) + 1e-9
        return str(rng.choice(names, p=weights / weights.sum()))


LEANINGS: Mapping[str, tuple[float, float, float]] = {
    "attentive": (8.0, 2.0, 1.0),
    "writing": (4.0, 5.0, 1.2),
    "usual": (5.0, 2.5, 1.8),
    "absent": (3.0, 1.5, 4.0),
}
"""Kinds of students: the weights of screen, paper and wander around which a student's own are drawn."""


def draw_habit(rng: np.random.Generator) -> Habit:
    """One student's inclinations: of one kind or another, and within it their own."""
    kinds = list(LEANINGS)
    kind = kinds[int(rng.choice(len(kinds), p=(0.3, 0.2, 0.35, 0.15)))]
    screen, paper, wander = (float(share) for share in rng.dirichlet(LEANINGS[kind]))
    return Habit(
        screen,
        paper,
        wander,
        restless=float(rng.uniform(0.7, 1.5)),
        eyes_only=float(rng.uniform(0.03, 0.4)),
        blink_every_s=float(rng.uniform(2.5, 6.5)),
        sway=float(rng.uniform(0.4, 1.6)),
    )


@dataclass(frozen=True, slots=True)
class Glance:
    """From `start_s` on, eyes and head go to one target."""

    start_s: float
    target: Target
    head: HeadPose


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant of a student."""

    label: str
    gaze: Vector
    """The point looked at, relative to the eyes at rest."""
    head: HeadPose
    actions: Mapping[str, float]
    """anny's facial actions."""
    kind: str
    """The kind of the target."""


@dataclass(frozen=True, slots=True)
class Story:
    """Everything one student will do."""

    glances: Sequence[Glance]
    blinks_s: Sequence[float]
    sway: Sequence[float]
    """Six phases of the slow drift of the head."""
    smile: float
    sway_size: float = 1.0
    """How far the head drifts, in parts of what is usual."""

    def label_at(self, second: int) -> str:
        """The label that holds during [second, second + 1)."""
        return self._glance(second + 0.5)[1].target.label

    def at(self, time_s: float) -> Moment:
        """The student at a media time."""
        before, now = self._glance(time_s)
        since = time_s - now.start_s
        head = _between(before.head, now.head, _ease(since / HEAD_MOVE_S))
        reach = _ease(since / EYE_MOVE_S)
        gaze = before.target.point * (1 - reach) + now.target.point * reach
        head = self._drift(head, time_s)
        actions = lids(head.eye_pitch(gaze))
        actions |= {"mouthSmileLeft": self.smile, "mouthSmileRight": self.smile}
        if any(0 <= time_s - blink < 0.2 for blink in self.blinks_s):
            actions |= {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}
        return Moment(now.target.label, gaze, head, actions, now.target.kind)

    def _glance(self, time_s: float) -> tuple[Glance, Glance]:
        """The glance before and the one that holds now."""
        place = max(0, bisect_right(self.glances, time_s, key=lambda glance: glance.start_s) - 1)
        return self.glances[max(0, place - 1)], self.glances[place]

    def _drift(self, head: HeadPose, time_s: float) -> HeadPose:
        def wave(k: int, period_s: float) -> float:
            return self.sway_size * math.sin(2 * math.pi * (time_s / period_s + self.sway[k]))

        return replace(
            head,
            yaw=head.yaw + radians(1.2) * (wave(0, 5.3) + wave(1, 11.9)),
            pitch=head.pitch + radians(1.0) * (wave(2, 4.1) + wave(3, 9.7)),
            roll=head.roll + radians(1.0) * (wave(4, 7.3) + wave(5, 13.1)),
        )


def draw_story(
    rng: np.random.Generator, desk: Desk, seconds: int, habit: Habit, recipe: Recipe, labels: Sequence[str] = ()
) -> Story:
    """A student's behaviour over whole seconds; `labels`, one a second, prescribes the states."""
    recipe = replace(recipe, eyes_only=habit.eyes_only)
    states = list(labels) or draw_labels(rng, seconds, habit)
    glances: list[Glance] = []
    for start, end, label in _runs(states):
        glances += _draw_glances(rng, desk, (start, end), label, recipe)
    blinks = np.cumsum(rng.exponential(habit.blink_every_s, max(1, seconds)))
    return Story(
        glances=glances,
        blinks_s=[float(t) for t in blinks if t < seconds],
        sway=[float(v) for v in rng.random(6)],
        smile=float(rng.choice([0.0, rng.uniform(0.0, 0.4)])),
        sway_size=habit.sway,
    )


def draw_labels(rng: np.random.Generator, seconds: int, habit: Habit) -> list[str]:
    """One label for each second; states last three seconds at least."""
    label = "screen" if rng.random() < 0.75 else "paper"
    labels: list[str] = []
    while len(labels) < seconds:
        stay = rng.gamma(2.0, MEAN_STAY_S[label] / 2 / habit.restless)
        labels += [label] * max(3, round(stay))
        label = habit.next_label(rng, label)
    return labels[:seconds]


def _runs(labels: Sequence[str]) -> list[tuple[int, int, str]]:
    """(start, end, label) of each stretch of equal labels."""
    starts = [k for k in range(len(labels)) if k == 0 or labels[k] != labels[k - 1]]
    return [(a, b, labels[a]) for a, b in zip(starts, [*starts[1:], len(labels)], strict=True)]


def _draw_glances(
    rng: np.random.Generator, desk: Desk, span: tuple[int, int], label: str, recipe: Recipe
) -> list[Glance]:
    """Targets within one state: the head stays where the first has put it, unless the eyes need it to move."""
    glances: list[Glance] = []
    time_s = float(span[0])
    while time_s < span[1]:
        target = draw_target(rng, desk, label, recipe)
        if target is None:
            raise ValueError(f"the workplace leaves no room for a target with the label {label!r}")
        far = glances and angle_between(target.point, glances[0].target.point) > radians(35)
        if far and label == "wander":
            time_s += 0.5
            continue
        if glances:
            head = _nudged(glances[-1].head, glances[-1].target, target)
        else:
            head = draw_head(rng, target, recipe)
            # Desk and camera stand still while the trunk leans: a deep lean would carry the eyes past the paper.
            head = replace(head, pitch=head.pitch + 0.5 * head.lean, lean=0.4 * head.lean, roll=0.4 * head.roll)
        glances.append(Glance(time_s, target, head))
        time_s += max(0.7, rng.exponential(_GLANCE_S))
    return glances


def _nudged(head: HeadPose, before: Target, target: Target) -> HeadPose:
    """The head follows a change of target inside one state by half."""
    (yaw, pitch), (next_yaw, next_pitch) = yaw_pitch(before.point), yaw_pitch(target.point)
    return replace(head, yaw=head.yaw + 0.5 * (next_yaw - yaw), pitch=head.pitch + 0.5 * (next_pitch - pitch))


def _between(first: HeadPose, second: HeadPose, share: float) -> HeadPose:
    def mix(name: str) -> float:
        return float(getattr(first, name) * (1 - share) + getattr(second, name) * share)

    return HeadPose(mix("yaw"), mix("pitch"), mix("roll"), mix("torso_yaw"), mix("lean"))


def _ease(share: float) -> float:
    """0 to 1, slow at both ends."""
    share = min(1.0, max(0.0, share))
    return share * share * (3 - 2 * share)
