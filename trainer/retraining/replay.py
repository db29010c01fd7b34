"""Pictures that keep a model as it is while it learns a class's corrections: rendered people of every label.

They ship with the package: recipe train4, one picture a person, 96 of each label, none of them among those that judge
at the gate. This file knows no store and no model.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from monitor.errors import BadInputError
from monitor.rubric import Rubric
from monitor.students.headcut import HeadCut
from monitor.vlm.pixels import fit_square
from trainer.corpora.open import open_corpus
from trainer.corpora.record import PictureSet, labelled

_ASSETS = Path(__file__).parent.parent / "assets" / "replay"
PREFIX = "replay/"
"""Before the name of each person, so that nobody of a class is taken for one of them."""


def load_replay(rubric: Rubric, side_px: int, folder: Path | None = None) -> PictureSet:
    """Labelled pictures of other people.

    Args:
        rubric: whose labels they have.
        side_px: as the model reads them.
        folder: a corpus in place of those that ship.

    Raises:
        BadInputError: those that ship have other labels than the rubric, or the corpus cannot be read.
    """
    if folder is not None:
        corpus = open_corpus(folder, rubric)
        found = corpus.load(labelled(corpus.items), side_px)
    else:
        found = _shipped(rubric, side_px)
    return PictureSet(
        found.images_rgb,
        found.labels,
        tuple(f"{PREFIX}{person}" for person in found.persons),
        found.angles_deg,
        found.face_boxes_px,
    )


def _shipped(rubric: Rubric, side_px: int) -> PictureSet:
    rows = [json.loads(line) for line in (_ASSETS / "renders.jsonl").read_text(encoding="utf-8").splitlines()]
    unknown = sorted({row["label"] for row in rows} - set(rubric.names))
    if unknown:
        raise BadInputError(
            f"the pictures that keep a model as it is show {', '.join(unknown)}, which the rubric {rubric.rubric_id!r} "
            f"lacks ({', '.join(rubric.names)}). Give labelled pictures of other people for it: --replay FOLDER."
        )
    with np.load(_ASSETS / "renders.npz") as packed:
        files = np.split(packed["jpeg"], packed["ends"][:-1])
    # As a lecture's crops are cut, which they stand beside.
    head = HeadCut()
    pictures = [np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8)[:, :, ::-1] for file in files]
    squares = [fit_square(head.or_whole(picture), side_px) for picture in pictures]
    return PictureSet(
        images_rgb=np.stack(squares),
        labels=np.array([rubric.names.index(row["label"]) for row in rows], dtype=np.int64),
        persons=tuple(str(row["person_id"]) for row in rows),
        angles_deg=np.array([row["angles_deg"] for row in rows], dtype=np.float32),
        face_boxes_px=np.full((len(rows), 4), np.nan, dtype=np.float32),
    )
