"""Who sits there: drawn people, balanced over groups by design, and their posed bodies from `anny`.

It knows no clothes, no light and no camera.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import radians
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.errors import ClassroomError
from trainer.synthetic.angles import Matrix, Vector, turn_x, turn_y, turn_z
from trainer.synthetic.gaze import HeadPose
from trainer.synthetic.mesh import LEFT_EYE, RIGHT_EYE

AGE_GROUPS = ("child", "teen", "adult", "older")
GENDERS = ("female", "male")
SKIN_TONES = (1, 2, 3, 4, 5, 6)
"""1 the lightest, 6 the darkest."""

_AGE_RANGE = {"child": (0.38, 0.47), "teen": (0.48, 0.58), "adult": (0.60, 0.72), "older": (0.76, 0.95)}
"""In anny's own scale: 1/3 is a child, 2/3 a young adult, 1 is old."""

_SKIN_RGB = np.array(
    [
        [0.82, 0.56, 0.45],
        [0.74, 0.46, 0.34],
        [0.62, 0.36, 0.24],
        [0.48, 0.26, 0.16],
        [0.32, 0.16, 0.095],
        [0.19, 0.09, 0.055],
        [0.11, 0.052, 0.032],
    ]
)
"""Linear light, at the borders between the tones."""

_ARM_BONES = ("upperarm01", "lowerarm01", "wrist", "finger2-1", "finger3-1", "finger5-1")

_FACE_PARTS = ("head", "nose", "eye", "mouth", "chin", "cheek", "ear", "forehead", "neck")


@dataclass(frozen=True, slots=True)
class Person:
    """One student's body: what does not change from moment to moment."""

    person_id: str
    age_group: str
    gender: str
    skin_tone: int
    age: float
    """anny's phenotype of age."""
    skin_rgb: Vector
    """Linear light."""
    phenotype: Mapping[str, float]
    ancestry: Mapping[str, float]
    """Shares of african, asian, caucasian."""
    face: Mapping[str, float]
    """anny's local changes, -1 to 1."""

    @property
    def is_male(self) -> bool:
        """Whether the body was drawn as a man's or a boy's."""
        return self.gender == "male"


@dataclass(frozen=True, slots=True)
class Pose:
    """One moment of a body."""

    head: HeadPose
    arms: tuple[float, ...] = (0.7, 0.4, 0.8, 0.7, 0.4, 0.8)
    """Upper arm out, upper arm forward, elbow, radians; left then right."""
    finger_curl: float = 0.4
    actions: Mapping[str, float] = field(default_factory=dict)
    """anny's facial actions, 0 to 1."""


@dataclass(slots=True)
class Body:
    """A posed body, metres; its eyes still look straight out of the head."""

    vertices: NDArray[np.float64]
    """(19158, 3)"""
    head: Matrix
    """3 x 3: how the head really stands."""
    left_wrist: Matrix
    """4 x 4: the pose of the bone."""
    joints: Mapping[str, Vector] = field(default_factory=dict)
    """Where the bones of the arms begin, by anny's names."""

    def eye_centres(self) -> tuple[Vector, Vector]:
        """Left (+x) and right."""
        return self.vertices[LEFT_EYE].mean(0), self.vertices[RIGHT_EYE].mean(0)


def draw_person(rng: np.random.Generator, person_id: str, cell: int) -> Person:
    """A person of the cell-th group of age, gender and skin tone; cells repeat, so counting up balances the groups."""
    age_group, gender, skin_tone = group_of(cell)
    age = float(rng.uniform(*_AGE_RANGE[age_group]))
    male = gender == "male"
    phenotype = {
        # anny: 0 is male, 1 female.
        "gender": float(rng.beta(1.0, 6.0) if male else 1.0 - rng.beta(1.0, 6.0)),
        "age": age,
        "muscle": float(rng.uniform(0.2, 0.8)),
        "weight": float(rng.beta(2.0, 2.0)),
        "height": float(rng.uniform(0.3, 0.7)),
        "proportions": float(rng.uniform(0.3, 1.0)),
    }
    return Person(
        person_id=person_id,
        age_group=age_group,
        gender=gender,
        skin_tone=skin_tone,
        age=age,
        skin_rgb=_draw_skin(rng, skin_tone),
        phenotype=phenotype,
        ancestry=_draw_ancestry(rng, skin_tone),
        face={label: float(np.clip(rng.normal(0.0, 0.22), -0.8, 0.8)) for label in face_changes()},
    )


def group_of(cell: int) -> tuple[str, str, int]:
    """Age group, gender and skin tone of a cell; 48 cells in a row hold each combination once."""
    cell = cell * 29 % 48  # 29 is coprime to 48: neighbours differ in every group
    return AGE_GROUPS[cell // 12], GENDERS[cell % 2], SKIN_TONES[cell // 2 % 6]


def cell_of(age_group: str, gender: str, skin_tone: int) -> int:
    """The first cell of a group, the inverse of `group_of`."""
    return next(cell for cell in range(48) if group_of(cell) == (age_group, gender, skin_tone))


def _draw_skin(rng: np.random.Generator, tone: int) -> Vector:
    share = rng.random()
    rgb = _SKIN_RGB[tone - 1] * (1 - share) + _SKIN_RGB[tone] * share
    return np.asarray(rgb * rng.uniform(0.9, 1.08) * (1 + rng.normal(0.0, 0.03, 3)))


def _draw_ancestry(rng: np.random.Generator, tone: int) -> dict[str, float]:
    """Shares of african, asian and caucasian features: any with any tone, the frequent pairs more often."""
    weights = {1: (0.1, 0.5, 0.9), 2: (0.15, 0.6, 0.8), 3: (0.25, 0.7, 0.7), 4: (0.5, 0.6, 0.6), 5: (0.9, 0.3, 0.4)}
    shares = rng.dirichlet(weights.get(tone, (1.2, 0.15, 0.25)))
    return dict(zip(("african", "asian", "caucasian"), map(float, shares), strict=True))


@cache
def anny_model() -> Any:
    """anny's body with MakeHuman's bones and helper shapes. The first build takes a minute, later ones seconds.

    Raises ClassroomError when the package is missing.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            import anny
            import torch

            torch.set_num_threads(1)
            model = anny.Anny(
                rig="makehuman",
                topology="makehuman-full",
                local_changes="default",
                facial_actions="all",
                phenotypes="all",
            )
            return model.to(dtype=torch.float32)
    except ModuleNotFoundError as error:
        raise ClassroomError(
            f"rendering students needs the package `{error.name}`;"
            " install it with: pip install 'classroom-monitor[synthetic]'"
        ) from error


@cache
def face_changes() -> tuple[str, ...]:
    """anny's local changes that shape a face."""
    labels = anny_model().local_change_labels
    return tuple(label for label in labels if label.removeprefix("l-").removeprefix("r-").startswith(_FACE_PARTS))


def pose_people(people: Sequence[Person], poses: Sequence[Pose]) -> list[Body]:
    """The bodies of these people in these poses, one batch through anny."""
    import torch

    model = anny_model()
    bones = {label: k for k, label in enumerate(model.bone_labels)}
    matrices = np.tile(np.eye(4, dtype=np.float32), (len(people), model.bone_count, 1, 1))
    for k, pose in enumerate(poses):
        for bone, rotation in _rotations(pose).items():
            matrices[k, bones[bone], :3, :3] = rotation
    labels = model.phenotype_labels
    phenotypes = [{**dict.fromkeys(labels, 0.5), **person.phenotype, **person.ancestry} for person in people]
    with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()):
        posed = model(
            pose_parameters=torch.from_numpy(matrices),
            phenotype_kwargs=_columns(phenotypes),
            local_changes_kwargs=_columns([person.face for person in people]),
            facial_actions=_columns([pose.actions for pose in poses]),
        )
    vertices = posed["vertices"].numpy().astype(np.float64)
    bone_poses = posed["bone_poses"].numpy().astype(np.float64)
    rest = posed["rest_bone_poses"].numpy().astype(np.float64)
    head, wrist = bones["head"], bones["wrist.L"]
    arms = {f"{name}.{side}": bones[f"{name}.{side}"] for name in _ARM_BONES for side in "LR"}
    return [
        Body(
            vertices[k],
            bone_poses[k, head, :3, :3] @ rest[k, head, :3, :3].T,
            bone_poses[k, wrist],
            {name: bone_poses[k, bone, :3, 3] for name, bone in arms.items()},
        )
        for k in range(len(people))
    ]


def _rotations(pose: Pose) -> dict[str, Matrix]:
    """World-axis turns of the bones that a pose moves."""
    head = pose.head
    turns = {
        bone: turn_z(head.yaw * share) @ turn_x(head.pitch * share) @ turn_y(head.roll * share)
        for bone, share in (("neck01", 0.2), ("neck02", 0.2), ("neck03", 0.2), ("head", 0.4))
    }
    turns |= dict.fromkeys(("spine03", "spine02", "spine01"), turn_z(head.torso_yaw / 3) @ turn_x(head.lean / 3))
    for side, sign, (out, forward, elbow) in (("L", 1, pose.arms[:3]), ("R", -1, pose.arms[3:])):
        turns[f"upperarm01.{side}"] = turn_x(-forward) @ turn_y(sign * out)
        turns[f"lowerarm01.{side}"] = turn_x(-elbow)
        for finger in range(2, 6):
            for joint in range(1, 4):
                turns[f"finger{finger}-{joint}.{side}"] = turn_y(sign * radians(70) * pose.finger_curl)
    return turns


def _columns(rows: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Rows of named numbers as one float tensor per name; a missing name is 0."""
    import torch

    names = sorted({name for row in rows for name in row})
    return {name: torch.tensor([row.get(name, 0.0) for row in rows], dtype=torch.float32) for name in names}
