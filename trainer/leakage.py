"""Finds pictures that are on both sides of a split: the same student or video, or nearly the same pixels.

A perceptual hash proposes pairs, the correlation of two thumbnails decides. Copies that were compressed, scaled, lit
or shifted by a pixel are found, and neighbouring frames of one video; mirrored or cropped ones are not. Knows no model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.errors import BadInputError
from trainer.corpora.record import PictureSet

DISTANCE = 10
"""Bits of 64 in which the hashes of two nearly equal pictures differ at most."""
LIKENESS = 0.93
"""Least correlation of their thumbnails. Of 4.5 million pairs of different rendered people none came above 0.905 at any
distance; copies by JPEG, noise, light or half size lie over 0.97, those shifted by 1.3 of 128 pixels over 0.94."""
_SIDE_PX = 32
_FREQUENCIES = 9
_FLAT = 2.0
"""Standard deviation, in grey levels, under which a picture shows nothing: a black frame is no copy of another."""
_CHUNK = 1024
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """What is compared of a set of pictures."""

    hashes: NDArray[np.uint64]
    """(N,): signs of the low frequencies around their median."""
    thumbnails: NDArray[np.float32]
    """(N, 1024): grey, mean 0, length 1."""
    shows: NDArray[np.bool_]
    """(N,): False for pictures that are flat, which are left out."""


@dataclass(frozen=True, slots=True)
class Copy:
    """Two pictures in different parts that are nearly the same."""

    parts: tuple[str, str]
    pictures: tuple[str, str]
    """item_id of each, or its row where the set has no items."""
    persons: tuple[str, str]
    distance: int
    """Bits in which the hashes differ."""
    likeness: float
    """Correlation of the thumbnails."""


@dataclass(frozen=True, slots=True)
class LeakageReport:
    """What a split shares between its parts; a clean one shares nothing."""

    pictures: Mapping[str, int]
    """In each part."""
    flat: int
    """Pictures that show nothing and were not compared."""
    shared_persons: tuple[str, ...]
    """Students (or videos) in more than one part."""
    copies: tuple[Copy, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing is shared."""
        return not self.shared_persons and not self.copies

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a report or a manifest."""
        return {**asdict(self), "clean": self.clean}


def fingerprint(images_rgb: NDArray[np.uint8]) -> Fingerprints:
    """What of pictures (N, S, S, 3), S at least 32, is compared."""
    grey = np.empty((len(images_rgb), _SIDE_PX, _SIDE_PX), np.float32)
    frequencies = np.empty((len(images_rgb), 64), np.float32)
    for row, image in enumerate(images_rgb):
        plain = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        grey[row] = cv2.resize(plain, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
        low = cv2.dct(grey[row])[:_FREQUENCIES, :_FREQUENCIES].ravel()
        frequencies[row] = low[1:65]  # without the mean brightness
    signs = frequencies > np.median(frequencies, axis=1, keepdims=True)
    flat = grey.reshape(len(grey), -1)
    shows = flat.std(axis=1) >= _FLAT
    flat = flat - flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    return Fingerprints(np.packbits(signs, axis=1).view(np.uint64)[:, 0], flat, shows)


def near_duplicates(left: Fingerprints, right: Fingerprints) -> Iterator[tuple[int, int, int, float]]:
    """Pairs of nearly equal pictures: row on the left, row on the right, distance in bits, likeness."""
    for start in range(0, len(left.hashes), _CHUNK):
        stop = start + _CHUNK
        bits = np.bitwise_count(left.hashes[start:stop, None] ^ right.hashes[None])
        close = (bits <= DISTANCE) & left.shows[start:stop, None] & right.shows[None]
        rows, columns = np.nonzero(close)
        for begin in range(0, len(rows), _CHUNK):
            some, others = rows[begin : begin + _CHUNK], columns[begin : begin + _CHUNK]
            likeness = np.einsum("nk,nk->n", left.thumbnails[start + some], right.thumbnails[others])
            for pair in np.flatnonzero(likeness >= LIKENESS):
                row, column = int(some[pair]), int(others[pair])
                yield start + row, column, int(bits[row, column]), round(float(likeness[pair]), 4)


def leakage_report(parts: Mapping[str, PictureSet]) -> LeakageReport:
    """Compare every two parts of a split."""
    prints = {part: fingerprint(pictures.images_rgb) for part, pictures in parts.items()}
    persons: set[str] = set()
    copies: list[Copy] = []
    for one, other in combinations(parts, 2):
        persons |= set(parts[one].persons) & set(parts[other].persons)
        for i, j, distance, likeness in near_duplicates(prints[one], prints[other]):
            named = (_name(parts[one], i), _name(parts[other], j))
            people = (parts[one].persons[i], parts[other].persons[j])
            copies.append(Copy((one, other), named, people, distance, likeness))
    return LeakageReport(
        pictures={part: len(pictures) for part, pictures in parts.items()},
        flat=sum(int((~one.shows).sum()) for one in prints.values()),
        shared_persons=tuple(sorted(persons)),
        copies=tuple(sorted(copies, key=_closest_first)),
    )


def look_alikes(pictures: PictureSet) -> tuple[Copy, ...]:
    """Nearly equal pictures of different people in one set: somebody under two names, or one video cut twice."""
    prints = fingerprint(pictures.images_rgb)
    parts = [item.part for item in pictures.items] if pictures.items else [""] * len(pictures)
    found = [
        Copy((parts[i], parts[j]), (_name(pictures, i), _name(pictures, j)), people, distance, likeness)
        for i, j, distance, likeness in near_duplicates(prints, prints)
        if i < j and (people := (pictures.persons[i], pictures.persons[j]))[0] != people[1]
    ]
    return tuple(sorted(found, key=_closest_first))


def refuse_leaks(parts: Mapping[str, PictureSet]) -> LeakageReport:
    """The report of a clean split.

    Raises:
        BadInputError: parts share a student, or hold nearly the same picture; some are named.
    """
    report = leakage_report(parts)
    if report.shared_persons:
        raise BadInputError(
            f"the split leaks: {len(report.shared_persons)} students or videos are in more than one part "
            f"({', '.join(report.shared_persons[:_NAMED])}). Split again by student."
        )
    if report.copies:
        shown = "; ".join(
            " and ".join(f"{copy.pictures[k]} of {copy.persons[k]} in {copy.parts[k]}" for k in (0, 1))
            for copy in report.copies[:_NAMED]
        )
        raise BadInputError(
            f"the split leaks: {len(report.copies)} pairs of nearly the same picture in different parts ({shown}"
            f"{'; ...' if len(report.copies) > _NAMED else ''}). One student under two names, or one video cut twice: "
            "name them alike, or take one of the pictures out."
        )
    return report


def _closest_first(copy: Copy) -> tuple[int, float, tuple[str, str]]:
    return copy.distance, -copy.likeness, copy.pictures


def _name(pictures: PictureSet, row: int) -> str:
    return pictures.items[row].item_id if pictures.items else f"row {row}"
