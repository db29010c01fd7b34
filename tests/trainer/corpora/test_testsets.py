"""Test sets: equal classes, deployed shares, hard pictures with their reasons; many people in each."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.errors import BadInputError
from trainer.corpora.record import NO_LABEL, PictureSet
from trainer.corpora.testsets import DEPLOYMENT_PRIOR, balanced_rows, hard_rows, imbalanced_rows

NAMES = ("screen", "paper", "wander")


def labelled_rows(counts: tuple[int, int, int] = (2000, 700, 60)) -> tuple[NDArray[np.int64], list[str]]:
    """The first student has half of all; twenty others share the rest."""
    labels = np.concatenate([np.full(count, label) for label, count in enumerate(counts)] + [np.full(50, NO_LABEL)])
    persons = ["big" if row % 2 else f"s{row % 20}" for row in range(len(labels))]
    return labels.astype(np.int64), persons


def test_balanced_sets_are_equal_and_nobody_fills_them() -> None:
    labels, persons = labelled_rows()
    rows = balanced_rows(labels, persons, NAMES, seed=0, per_class=22)
    assert Counter(labels[rows].tolist()) == {0: 22, 1: 22, 2: 22}
    assert len(set(rows)) == 66 and rows == sorted(rows)
    assert max(Counter(persons[row] for row in rows).values()) <= 16
    assert rows == balanced_rows(labels, persons, NAMES, seed=0, per_class=22)
    assert rows != balanced_rows(labels, persons, NAMES, seed=1, per_class=22)
    assert len(balanced_rows(labels, persons, NAMES, seed=0)) == 180


def test_a_balanced_set_needs_every_class() -> None:
    labels, persons = labelled_rows((10, 5, 0))
    with pytest.raises(BadInputError, match="needs 1 pictures of each class, found 10 screen, 5 paper, 0 wander"):
        balanced_rows(labels, persons, NAMES, 0)


def test_imbalanced_sets_have_the_deployed_shares() -> None:
    labels, persons = labelled_rows()
    rows = imbalanced_rows(labels, persons, NAMES, DEPLOYMENT_PRIOR, 0, size=1000)
    assert Counter(labels[rows].tolist()) == {0: 757, 1: 234, 2: 9}
    most = imbalanced_rows(labels, persons, NAMES, DEPLOYMENT_PRIOR, 0)
    counts = Counter(labels[most].tolist())
    assert counts[0] == 2000 and counts[1] == pytest.approx(618, abs=1) and counts[2] == 24
    small = imbalanced_rows(labels, persons, NAMES, DEPLOYMENT_PRIOR, 0, size=30)
    assert Counter(labels[small].tolist())[2] == 1
    with pytest.raises(BadInputError, match="a test set of 9000 as deployed needs 6813 screen"):
        imbalanced_rows(labels, persons, NAMES, DEPLOYMENT_PRIOR, 0, size=9000)
    with pytest.raises(BadInputError, match="a prior needs a share over 0 for each of screen, paper, wander"):
        imbalanced_rows(labels, persons, NAMES, {"screen": 0.5, "paper": 0.5}, 0)


def test_hard_pictures_say_why() -> None:
    images = np.full((9, 64, 64, 3), 120, np.uint8)
    images[5] = 40
    images[6, 24:28, 20:40] = 255
    images[7, 24:28, 20:40] = 255
    groups: list[dict[str, object]] = [{"glasses": "none", "occlusion": "none"} for _ in images]
    groups[1]["occlusion"] = "hand_eyes"
    groups[2]["occlusion"] = "hand_chin"
    groups[3]["glasses"] = "sunglasses"
    groups[4] = {"eyes_closed": True, "backlit": True}
    groups[6]["glasses"] = "clear"
    unknown = np.full((9, 4), np.nan, np.float32)
    pictures = PictureSet(images, np.zeros(9, np.int64), ("p",) * 9, unknown, unknown, tuple(groups))
    assert hard_rows(pictures, listed={"8"}) == {
        1: ("eyes", "hand"),
        2: ("hand",),
        3: ("eyes",),
        4: ("eyes", "dark"),
        5: ("dark",),
        6: ("glare",),
        8: ("listed",),
    }


def test_dark_skin_in_good_light_is_not_dark() -> None:
    image = np.full((1, 64, 64, 3), 45, np.uint8)
    image[0, :10] = 200  # a lit wall above the head
    unknown = np.full((1, 4), np.nan, np.float32)
    assert hard_rows(PictureSet(image, np.zeros(1, np.int64), ("p",), unknown, unknown)) == {}
