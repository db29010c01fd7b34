"""What every corpus hands to the trainer: items without pixels, and pictures with labels, people and angles.

A corpus lists its items when it is opened and reads pixels only when asked. This file knows no file format and no
model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.errors import BadInputError
from monitor.schema import Image
from monitor.vlm.pixels import fit_square

NO_LABEL = -1
"""The label of a picture that no rubric word fits, or that nobody has labelled yet."""

HELD_ASIDE = "aside"
"""The part of those whom the store sets aside for ever: nothing is trained on them, or chosen by them."""

UNREADABLE_SHARE = 0.02
"""Default limit of `Corpus.load`: more of the pictures asked for than this, and the corpus is not what it seems."""

UNREADABLE_FREE = 3
"""So many are forgiven whatever the share, up to half of them: two per cent of a small set is less than one picture."""

NOBODY_SHARE = 0.25
"""In so many of a corpus's whole frames nobody may be found; more, and these are no pictures of students."""

_UNKNOWN = (float("nan"),) * 4
_SHOWN = 5
"""Names in an error message; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something of a corpus that is not used, and why."""

    what: str
    """The file, row or picture."""
    why: str
    """A reason that many share, so that refusals can be counted by it."""


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of one student, not read yet."""

    item_id: str
    """Unique in its corpus, and the same each time it is opened."""
    source: str
    """Where its pixels lie: a picture, a clip, a shard, or the key of a crop in a store."""
    frame: int | None
    """Number of the frame in its video, of the still in its clip (one a second) or of the row in its shard."""
    label: int
    """Index into the rubric's labels, or NO_LABEL."""
    person: str
    """Who is in it; empty where the corpus does not say."""
    video: str
    """What it was cut from: pictures of one video are alike. Empty where there is none."""
    groups: Mapping[str, Any] = field(default_factory=dict)
    """Skin tone, glasses, occlusion and the like, for figures by group and for hard test sets."""
    part: str = ""
    """The corpus's own split ("train", "validation", "test", HELD_ASIDE), empty where it has none."""
    at_s: float | None = None
    """Media time of the still in its clip."""
    angles_deg: tuple[float, float, float, float] | None = None
    """Head yaw, head pitch, gaze yaw, gaze pitch, where known; see `PictureSet`."""
    face_box_px: tuple[float, float, float, float] | None = None
    """x1, y1, x2, y2 in the stored picture, where known."""

    @property
    def owner(self) -> str:
        """What sets are split and intervals drawn by: the person, else the video.

        Raises:
            BadInputError: neither is known.
        """
        if self.person:
            return self.person
        if not self.video:
            raise BadInputError(
                f"{self.item_id}: neither a person nor a video is known, so it cannot be kept on one side of a split. "
                "Name one of them in the corpus."
            )
        return self.video


@dataclass(frozen=True)
class PictureSet:
    """Square pictures and what is known of them, row by row."""

    images_rgb: NDArray[np.uint8]
    """(N, S, S, 3)."""
    labels: NDArray[np.int64]
    """(N,): index into the rubric's labels, or NO_LABEL."""
    persons: tuple[str, ...]
    """Who is in it (else its video): sets are split and intervals drawn by person, never by picture."""
    angles_deg: NDArray[np.float32]
    """(N, 4): head yaw, head pitch, gaze yaw, gaze pitch, from the camera axis; + is right and down. NaN = unknown."""
    face_boxes_px: NDArray[np.float32]
    """(N, 4): x1, y1, x2, y2 in the picture. NaN = unknown."""
    groups: tuple[Mapping[str, Any], ...] = field(default=())
    """(N,) or empty: skin tone, glasses and the like, for figures by group."""
    items: tuple[Item, ...] = field(default=())
    """(N,) or empty: what each row was loaded from."""
    skipped: tuple[Refusal, ...] = field(default=())
    """Pictures that were asked for and could not be read."""

    def __post_init__(self) -> None:
        n = len(self.images_rgb)
        found = (len(self.labels), len(self.persons), len(self.angles_deg), len(self.face_boxes_px))
        if any(length != n for length in found) or (self.groups and len(self.groups) != n):
            raise ValueError(f"every column needs {n} rows, found {found} and {len(self.groups)} groups")
        if self.items and len(self.items) != n:
            raise ValueError(f"every column needs {n} rows, found {len(self.items)} items")

    def __len__(self) -> int:
        return len(self.images_rgb)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> PictureSet:
        """Some rows, in the order given."""
        index = np.asarray(rows, dtype=np.int64)
        return PictureSet(
            self.images_rgb[index],
            self.labels[index],
            tuple(self.persons[i] for i in index),
            self.angles_deg[index],
            self.face_boxes_px[index],
            tuple(self.groups[i] for i in index) if self.groups else (),
            tuple(self.items[i] for i in index) if self.items else (),
            self.skipped,
        )


def join(sets: Sequence[PictureSet]) -> PictureSet:
    """Several sets as one; groups and items are kept only where all have them.

    Raises:
        ValueError: no set, or pictures of different sizes.
    """
    if not sets:
        raise ValueError("nothing to join: expected at least one set of pictures")
    keep_groups, keep_items = all(one.groups for one in sets), all(one.items for one in sets)
    return PictureSet(
        np.concatenate([one.images_rgb for one in sets]),
        np.concatenate([one.labels for one in sets]),
        tuple(person for one in sets for person in one.persons),
        np.concatenate([one.angles_deg for one in sets]),
        np.concatenate([one.face_boxes_px for one in sets]),
        tuple(group for one in sets for group in one.groups) if keep_groups else (),
        tuple(item for one in sets for item in one.items) if keep_items else (),
        tuple(dict.fromkeys(refusal for one in sets for refusal in one.skipped)),
    )


Reading = tuple[int, "Image | str"]
"""Place in the sequence that was asked for, and the picture (red-green-blue) or why it could not be read."""
Reader = Callable[[Sequence[Item]], Iterator[Reading]]
"""Reads items in any order that suits the format, each once."""
Cut = Callable[[Image], "Image | None"]
"""Cuts the student out of a whole picture (red-green-blue); None where nobody is found."""


@dataclass(frozen=True)
class Corpus:
    """What one corpus holds under one rubric."""

    name: str
    """The kind: "daisee", "synthetic" and so on."""
    label_names: tuple[str, ...]
    """Of the rubric, in order."""
    items: tuple[Item, ...]
    refused: tuple[Refusal, ...]
    reader: Reader
    frames: bool = False
    """Whether pictures are whole frames of a camera, out of which the head is to be cut as the monitor does."""

    def pictures(self, items: Sequence[Item]) -> Iterator[Reading]:
        """The pictures at their own size, red-green-blue, in the order in which the format gives them."""
        return self.reader(items)

    def load(
        self,
        items: Sequence[Item],
        side_px: int,
        *,
        cut: Cut | None = None,
        unreadable_share: float = UNREADABLE_SHARE,
    ) -> PictureSet:
        """Read pictures and fit them to squares, as the monitor does.

        Args:
            items: of this corpus; rows come out in their order.
            side_px: side of the squares.
            cut: cuts the student out first. None is `head_cut` for whole frames, and nothing for pictures of heads;
                `whole` cuts nothing anywhere. A picture in which nobody is found is skipped.
            unreadable_share: up to so many of the pictures may fail (a few in any case); those are left out and named
                in `skipped`.

        Raises:
            BadInputError: too many unreadable pictures, too many without anybody, or nothing that is left.
        """
        cut = cut or (head_cut() if self.frames else whole)
        squares = np.empty((len(items), side_px, side_px, 3), np.uint8)
        boxes: dict[int, tuple[float, ...]] = {}
        unreadable, nobody = [], []
        for place, picture in self.reader(items):
            if isinstance(picture, str):
                unreadable.append(Refusal(items[place].item_id, picture))
                continue
            shown = cut(picture)
            if shown is None:
                nobody.append(Refusal(items[place].item_id, "nobody found in it"))
                continue
            boxes[place] = _box_in_square(items[place], shown, side_px) if shown is picture else _UNKNOWN
            squares[place] = fit_square(shown, side_px)
        _refuse_many(self.name, unreadable, len(items), unreadable_share)
        _refuse_many(self.name, nobody, len(items), NOBODY_SHARE)
        skipped = unreadable + nobody
        if not boxes:
            raise BadInputError(
                f"{self.name}: no picture is left of {len(items)}: {skipped[0].what}, {skipped[0].why}."
            )
        rows = sorted(boxes)
        kept = [items[row] for row in rows]
        return PictureSet(
            images_rgb=squares if len(rows) == len(items) else squares[rows],
            labels=np.array([item.label for item in kept], dtype=np.int64),
            persons=tuple(item.owner for item in kept),
            angles_deg=np.array([item.angles_deg or _UNKNOWN for item in kept], dtype=np.float32),
            face_boxes_px=np.array([boxes[row] for row in rows], dtype=np.float32),
            groups=tuple(item.groups for item in kept),
            items=tuple(kept),
            skipped=tuple(skipped),
        )


def whole(picture: Image) -> Image:
    """The cut that leaves a picture as it is."""
    return picture


@cache
def head_cut() -> Cut:
    """The cut that the monitor makes, around the biggest head in a frame."""
    from monitor.students.headcut import HeadCut  # here, since it opens the head finder

    return HeadCut()


def _box_in_square(item: Item, picture: Image, side_px: int) -> tuple[float, ...]:
    """Where the face lies after `fit_square`: the centred square, scaled."""
    if item.face_box_px is None:
        return _UNKNOWN
    height, width = picture.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    x1, y1, x2, y2 = item.face_box_px
    return tuple(value * side_px / side for value in (x1 - left, y1 - top, x2 - left, y2 - top))


def _refuse_many(name: str, skipped: Sequence[Refusal], asked: int, share: float) -> None:
    if len(skipped) < asked and len(skipped) <= max(min(UNREADABLE_FREE, asked // 2), share * asked):
        return
    if not asked:
        raise BadInputError(f"{name}: no pictures asked for. Check the split, or the filter before it.")
    named = "; ".join(f"{refusal.what}: {refusal.why}" for refusal in skipped[:_SHOWN])
    raise BadInputError(
        f"{name}: {len(skipped)} of {asked} pictures cannot be used, more than the limit of {share:.0%} ({named}"
        f"{'; ...' if len(skipped) > _SHOWN else ''}). Repair or delete them, or copy the corpus again."
    )


def labelled(items: Iterable[Item]) -> list[Item]:
    """Those that have a label."""
    return [item for item in items if item.label != NO_LABEL]


def require_classes(items: Sequence[Item], label_names: Sequence[str], where: str) -> None:
    """Refuse what nothing can be learned or measured from.

    Raises:
        BadInputError: no labelled picture at all, a label the rubric lacks, or all of one class.
    """
    counts = Counter(item.label for item in labelled(items))
    if not counts:
        raise BadInputError(
            f"{where}: no labelled picture among {len(items)}, expected at least two classes of "
            f"{', '.join(label_names)}. Label some: `classroom corpus annotate`, then the review page."
        )
    if max(counts) >= len(label_names):
        raise BadInputError(f"{where}: label number {max(counts)}, the rubric has {len(label_names)} labels.")
    if len(counts) == 1:
        (only,) = counts
        raise BadInputError(
            f"{where}: all {counts[only]} labelled pictures are {label_names[only]!r}; with one class there is nothing "
            f"to tell apart. Expected at least two of {', '.join(label_names)}."
        )


def label_index(name: str, label_names: Sequence[str], where: str) -> int:
    """The number of a label in the rubric, whatever its case and surrounding space.

    Raises:
        BadInputError: the rubric has no such label.
    """
    wanted = name.strip().casefold()
    for number, known in enumerate(label_names):
        if known.casefold() == wanted:
            return number
    raise BadInputError(f"{where}: label {name!r} is not one of the rubric's: {', '.join(label_names)}.")
