"""Gathers the pictures that judge a new model: labelled crops of students set aside, and rendered people.

Nothing was ever trained on either. The renders ship with the package (recipe heldout5, seeds from 15,000,000 on, each
picture another person), so that a class that has labelled little is not judged by a handful of crops alone; a folder
can take their place. This file knows no model.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.heldout import TABLE, Heldout, read_measured
from monitor.errors import BadInputError
from monitor.schema import Image
from monitor.sources.picture_file import decode_picture
from monitor.store.held_aside import sides_of
from monitor.store.location import store_path
from monitor.store.people import people_of
from monitor.store.reader import StoreReader
from monitor.store.records import Annotation
from monitor.store.review import current_annotations, kept_crop, kept_crops
from monitor.students.headcut import HeadCut
from monitor.vlm.pixels import fit_square

STORE, RENDERS, FOLDER, SHARDS = "store", "renders", "folder", "shards"
SET = "set"
"""Name of the group that says where a picture came from."""
_ASSETS = Path(__file__).parent / "assets" / "gate"


@dataclass(frozen=True)
class Part:
    """Pictures of one origin, at whatever size a model reads."""

    name: str
    """STORE, RENDERS, FOLDER (pictures with a table) or SHARDS (rendered by somebody else)."""
    at_side_px: Callable[[int], Heldout]


def read_parts(
    store: str | Path | None, heldout: Path | None, labels: Sequence[str], rubric_id: str
) -> tuple[Part, ...]:
    """The store's students who are set aside, and the renders that ship, or the folder that takes their place.

    Args:
        store: as `store_path` takes it; where there is none yet, that part is left out.
        heldout: a folder with shards, or with pictures and labels.csv.
        labels: of the rubric, in order.
        rubric_id: under which people labelled.

    Raises:
        BadInputError: a folder or a stored label that cannot be used.
        StoreError: a store or a key that cannot be read.
    """
    parts = [Part(RENDERS, lambda side_px: read_renders(labels, side_px))]
    if heldout is not None:
        name = FOLDER if (heldout / TABLE).is_file() else SHARDS
        parts = [Part(name, lambda side_px: read_measured(heldout, labels, side_px))]
    if store_path(store).is_file():
        crops = read_aside(store, labels, rubric_id)
        if crops.pictures:
            parts.append(Part(STORE, crops.at_side_px))
    return tuple(parts)


def gather(parts: Sequence[Part], side_px: int) -> Heldout:
    """All clear pictures at one size; each person and each group is told apart by its origin.

    Raises:
        BadInputError: not a single picture.
    """
    found = []
    for part in parts:
        one = part.at_side_px(side_px)
        one = one.part(one.clear)
        people = np.array([f"{part.name}/{person}" for person in one.people], dtype=np.str_)
        found.append(replace(one, people=people, groups=tuple({**group, SET: part.name} for group in one.groups)))
    if not sum(map(len, found)):
        raise BadInputError("nothing to judge a model by: no labelled crop of a student set aside, no held-out picture")
    return Heldout(
        np.concatenate([one.pixels for one in found]),
        np.concatenate([one.truth for one in found]),
        np.concatenate([one.clear for one in found]),
        np.concatenate([one.people for one in found]),
        tuple(group for one in found for group in one.groups),
    )


def are_rendered(pictures: Heldout) -> NDArray[np.bool_]:
    """(N,) which of them show rendered people, who are nobody's students."""
    return np.array([group[SET] in (RENDERS, SHARDS) for group in pictures.groups], dtype=np.bool_)


def students_in(pictures: Heldout) -> frozenset[str]:
    """Pseudonyms of the store's students among them."""
    prefix = f"{STORE}/"
    return frozenset(str(person).removeprefix(prefix) for person in pictures.people if str(person).startswith(prefix))


@dataclass(frozen=True)
class AsideCrops:
    """Labelled crops of students who are set aside."""

    pictures: tuple[Image, ...]
    """Blue-green-red, each of its own size."""
    truth: tuple[int, ...]
    students: tuple[str, ...]

    def at_side_px(self, side_px: int) -> Heldout:
        """The crops as a model reads them."""
        squares = [fit_square(picture, side_px)[:, :, ::-1] for picture in self.pictures]
        people = np.array(self.students, dtype=np.str_)
        clear = np.ones(len(people), dtype=np.bool_)
        return Heldout(np.stack(squares), np.array(self.truth, dtype=np.int64), clear, people, ({},) * len(people))


def read_aside(store: str | Path | None, labels: Sequence[str], rubric_id: str) -> AsideCrops:
    """What all who answered agree on, of students on whom nothing is trained; who opted out is left out.

    Raises:
        BadInputError: a label that the rubric lacks.
        StoreError: a store or a key that cannot be read.
    """
    pictures, truth, students = [], [], []
    with StoreReader(store) as reader:
        sides = sides_of(reader)
        out = {person.student_id for person in people_of(reader) if person.opted_out}
        answers: dict[str, list[Annotation]] = defaultdict(list)
        for annotation in current_annotations(reader, rubric_id):
            answers[annotation.crop_id].append(annotation)
        for crop in kept_crops(reader):
            said = {answer.label for answer in answers.get(crop.crop_id, ())}
            student = crop.student_id or crop.person or crop.video or ""
            if len(said) != 1 or None in said or student in out or not sides.may_judge(student):
                continue
            picture = decode_picture((whole.picture if (whole := kept_crop(reader, crop.crop_id)) else None) or b"")
            if picture is not None:
                pictures.append(picture)
                truth.append(_index(str(said.pop()), labels, f"{reader.path}, crop {crop.crop_id}"))
                students.append(student)
    return AsideCrops(tuple(pictures), tuple(truth), tuple(students))


def describe_renders(labels: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each rendered picture that ships with the package: person_id, label, groups.

    Raises:
        BadInputError: the rubric has other labels, so nothing is known of what they show.
    """
    lines = (_ASSETS / "renders.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    unknown = {row["label"] for row in rows} - set(labels)
    if unknown:
        raise BadInputError(
            f"the renders that ship show {', '.join(sorted(unknown))}, which the rubric lacks ({', '.join(labels)}). "
            "Give a folder of pictures for it: --heldout FOLDER."
        )
    return rows


def read_renders(labels: Sequence[str], side_px: int) -> Heldout:
    """The rendered people that ship with the package, cut around their heads as the monitor cuts.

    Raises:
        BadInputError: the rubric has other labels, so nothing is known of what they show.
    """
    rows = describe_renders(labels)
    with np.load(_ASSETS / "renders.npz") as packed:
        data, ends = packed["jpeg"], packed["ends"]
    files = np.split(data, ends[:-1])
    pictures = [picture for file in files if (picture := decode_picture(file.tobytes())) is not None]
    head = HeadCut()
    squares = [fit_square(head.or_whole(picture[:, :, ::-1]), side_px) for picture in pictures]
    return Heldout(
        np.stack(squares),
        np.array([labels.index(row["label"]) for row in rows], dtype=np.int64),
        np.ones(len(rows), dtype=np.bool_),
        np.array([row["person_id"] for row in rows], dtype=np.str_),
        tuple(row["groups"] for row in rows),
    )


def _index(label: str, labels: Sequence[str], where: str) -> int:
    if label not in labels:
        raise BadInputError(f"{where}: label {label!r} is not one of the model's: {', '.join(labels)}.")
    return list(labels).index(label)
