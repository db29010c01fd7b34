"""Leakage: copies and neighbouring frames across a split are found; different people are none."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.errors import BadInputError
from monitor.rubric import load_rubric
from trainer.corpora.open import open_corpus
from trainer.corpora.record import PictureSet
from trainer.leakage import leakage_report, refuse_leaks

REAL = Path(os.environ.get("CLASSROOM_REAL_DATA", Path(__file__).parents[3] / "shared" / "real"))


def faces(count: int, seed: int, size: int = 128) -> NDArray[np.uint8]:
    """Ovals of differing place, size and shade before differing backgrounds: alike in layout, as webcam crops are."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        image = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
        centre = (int(64 + rng.normal(0, 8)), int(64 + rng.normal(0, 8)))
        axes = (int(rng.integers(26, 40)), int(rng.integers(34, 50)))
        shade = tuple(int(value) for value in rng.integers(60, 230, 3))
        cv2.ellipse(image, centre, axes, float(rng.normal(0, 12)), 0, 360, shade, -1)
        for side in (-1, 1):
            cv2.circle(image, (centre[0] + side * 13, centre[1] - 8), 4, (20, 20, 20), -1)
        found.append(image)
    return np.stack(found).astype(np.uint8)


def pictures(images: NDArray[np.uint8], prefix: str) -> PictureSet:
    n = len(images)
    unknown = np.full((n, 4), np.nan, np.float32)
    return PictureSet(images, np.zeros(n, np.int64), tuple(f"{prefix}{i}" for i in range(n)), unknown, unknown)


def compressed(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 50])[1], 1), np.uint8)


def smaller(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    half = cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(half, (128, 128)), np.uint8)


def brighter(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.convertScaleAbs(image, alpha=1.1, beta=8), np.uint8)


def next_frame(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A head that moved by a pixel, in the noise of another frame."""
    moved = cv2.warpAffine(image, np.array([[1, 0, 1.0], [0, 1, -0.5]]), (128, 128), borderMode=cv2.BORDER_REPLICATE)
    noise = np.random.default_rng(3).normal(0, 4, image.shape)
    return np.asarray(np.clip(moved + noise, 0, 255), np.uint8)


def test_a_clean_split_has_a_clean_report() -> None:
    report = refuse_leaks({"train": pictures(faces(300, 1), "a"), "test": pictures(faces(200, 2), "b")})
    assert report.clean and report.flat == 0
    assert report.as_dict()["pictures"] == {"train": 300, "test": 200}


@pytest.mark.parametrize("change", [compressed, smaller, brighter, next_frame])
def test_copies_are_found_and_named(change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> None:
    train, test = faces(200, 1), faces(100, 2)
    for row in range(10):
        test[row * 7] = change(train[row * 11])
    parts = {"train": pictures(train, "a"), "test": pictures(test, "b")}
    report = leakage_report(parts)
    expected = {(f"row {row * 11}", f"row {row * 7}") for row in range(10)}
    found = {copy.pictures for copy in report.copies}
    assert len(found & expected) >= 9 and found <= expected
    with pytest.raises(
        BadInputError, match=r"leaks: \d+ pairs of nearly the same .* of a\d+ in train and row \d+ of b"
    ):
        refuse_leaks(parts)


def test_a_student_on_both_sides_is_a_leak() -> None:
    with pytest.raises(BadInputError, match=r"3 students or videos are in more than one part \(a0, a1, a2\)"):
        refuse_leaks({"train": pictures(faces(3, 1), "a"), "test": pictures(faces(5, 2), "a")})


def test_black_frames_are_no_copies() -> None:
    black = np.full((4, 64, 64, 3), 3, np.uint8)
    report = refuse_leaks({"train": pictures(black, "a"), "test": pictures(black, "b")})
    assert report.flat == 8 and report.clean


@pytest.mark.skipif(not (REAL / "stills").is_dir(), reason="no real stills here")
def test_real_people_are_told_apart_and_one_under_two_names_is_not() -> None:
    """`intel_asl_grey` and `intel_asl_grey_0` are one man before one wall, as a look at the pictures shows."""
    corpus = open_corpus(REAL / "stills", load_rubric("attention"))
    by_person: dict[str, list[int]] = {}
    everybody = corpus.load(corpus.items, 64)
    for row, person in enumerate(everybody.persons):
        by_person.setdefault(person, []).append(row)
    report = leakage_report({person: everybody.take(rows) for person, rows in by_person.items()})
    assert {frozenset(copy.persons) for copy in report.copies} <= {frozenset({"intel_asl_grey", "intel_asl_grey_0"})}
