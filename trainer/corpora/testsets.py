"""Draws the test sets of the talk out of people kept aside: balanced, as deployed, and hard.

All three are rows of a set that was split already; nobody is on two sides through them. What is hard is read from the
corpus where it says so, and measured in the picture where it can be: darkness, light in glasses. Knows no model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monitor.errors import BadInputError
from trainer.corpora.record import PictureSet

DEPLOYMENT_PRIOR: Mapping[str, float] = {"screen": 0.757, "paper": 0.234, "wander": 0.009}
"""How often each label of `attention` occurs in unselected frames: 1942, 600 and 23 of 2565 in the talk's raw set."""
REASONS = ("eyes", "hand", "glare", "dark", "listed")
"""Eyes covered or closed; a hand on the face; light in the glasses; a dark or backlit picture; picked by hand."""

_DARK_P95 = 90.0
"""A picture is dark where 95 % of it stays under this grey level. Not its mean: dark skin is no darkness."""
_GLINT = 235
_GLINT_SHARE = 0.01
"""Share of nearly white pixels in the band of the eyes from which glasses are said to glare: see `hard_rows`."""


def balanced_rows(
    labels: NDArray[np.int64], persons: Sequence[str], names: Sequence[str], seed: int, *, per_class: int = 0
) -> list[int]:
    """The same number of rows of each class, from as many people as there are.

    Args:
        labels: (N,), NO_LABEL among them is left out.
        persons: (N,).
        names: of the rubric's labels; each must occur.
        seed: decides which rows.
        per_class: how many of each; 0 takes as many as the rarest class has.

    Raises:
        BadInputError: a class that does not occur, or fewer rows than asked for.
    """
    counts = np.bincount(labels[labels >= 0], minlength=len(names))
    want = per_class or int(counts.min())
    short = [name for name, count in zip(names, counts, strict=True) if count < max(want, 1)]
    if short:
        raise BadInputError(
            f"a balanced test set needs {max(want, 1)} pictures of each class, found {_counted(names, counts)}. "
            "Ask for fewer, or label more."
        )
    return _draw(labels, persons, dict.fromkeys(range(len(names)), want), seed)


def imbalanced_rows(
    labels: NDArray[np.int64],
    persons: Sequence[str],
    names: Sequence[str],
    prior: Mapping[str, float],
    seed: int,
    *,
    size: int = 0,
) -> list[int]:
    """Rows in which classes are as frequent as where the model will work.

    Args:
        labels: (N,), NO_LABEL among them is left out.
        persons: (N,).
        names: of the rubric's labels.
        prior: label -> share; over 0 each, 1 in all.
        seed: decides which rows.
        size: how many in all; 0 takes as many as there are pictures for.

    Raises:
        BadInputError: a prior that is none, or too few pictures of a class.
    """
    if set(prior) != set(names) or min(prior.values()) <= 0 or abs(sum(prior.values()) - 1) > 1e-6:
        raise BadInputError(f"a prior needs a share over 0 for each of {', '.join(names)}, 1 in all; found {prior}")
    counts = np.bincount(labels[labels >= 0], minlength=len(names))
    shares = np.array([prior[name] for name in names])
    whole = size or int((counts / shares).min())
    want = np.maximum(1, np.round(shares * whole).astype(np.int64))
    if not size:
        want = np.minimum(want, np.maximum(counts, 1))  # rounding up may ask for one more than there is
    if (want > counts).any():
        raise BadInputError(
            f"a test set of {whole} as deployed needs {_counted(names, want)}, found {_counted(names, counts)}. "
            "Ask for fewer, or label more."
        )
    return _draw(labels, persons, dict(enumerate(want.tolist())), seed)


def hard_rows(pictures: PictureSet, listed: Collection[str] = ()) -> dict[int, tuple[str, ...]]:
    """Rows that are hard to judge, each with its REASONS.

    Eyes and hands are taken from the groups `occlusion` (hand_eyes, hand_cheek and so on), `glasses` and `eyes_closed`
    where the corpus has them. Glare is guessed from white in the band of the eyes of those who wear glasses: with
    other light sources in the picture it may be wrong either way, so hard sets of real pictures should be listed.

    Args:
        pictures: people kept aside.
        listed: item_ids (or rows, as text) that somebody picked.
    """
    found = {}
    for row in range(len(pictures)):
        groups = pictures.groups[row] if pictures.groups else {}
        name = pictures.items[row].item_id if pictures.items else str(row)
        image = pictures.images_rgb[row]
        reasons = {
            "eyes": _eyes_hidden(groups),
            "hand": str(groups.get("occlusion", "")).startswith("hand"),
            "glare": _wears_glasses(groups) and _glints(image, pictures.face_boxes_px[row]),
            "dark": bool(groups.get("backlit")) or _is_dark(image),
            "listed": name in listed,
        }
        if any(reasons.values()):
            found[row] = tuple(reason for reason in REASONS if reasons[reason])
    return found


def _draw(labels: NDArray[np.int64], persons: Sequence[str], want: Mapping[int, int], seed: int) -> list[int]:
    """So many rows of each class, going round its people one by one so that nobody fills it."""
    rng = np.random.default_rng(seed)
    chosen: list[int] = []
    for label, count in want.items():
        queues: dict[str, list[int]] = defaultdict(list)
        for row in rng.permutation(np.flatnonzero(labels == label)):
            queues[persons[row]].append(int(row))
        turns = [queues[person] for person in rng.permutation(sorted(queues))]
        taken: list[int] = []
        while len(taken) < count:
            taken += [turn.pop() for turn in turns if turn][: count - len(taken)]
        chosen += taken
    return sorted(chosen)


def _eyes_hidden(groups: Mapping[str, Any]) -> bool:
    covered = groups.get("occlusion") == "hand_eyes" or groups.get("glasses") in ("sunglasses", "tinted")
    return covered or bool(groups.get("eyes_closed"))


def _wears_glasses(groups: Mapping[str, Any]) -> bool:
    return str(groups.get("glasses", "")).casefold() not in ("", "none", "false", "0", "no")


def _is_dark(image: NDArray[np.uint8]) -> bool:
    return bool(np.percentile(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), 95) < _DARK_P95)


def _glints(image: NDArray[np.uint8], box: NDArray[np.float32]) -> bool:
    """Whether there is white in the band of the eyes; without a known face the middle of the picture."""
    side = image.shape[0]
    x1, y1, x2, y2 = box if np.isfinite(box).all() else np.array([0.2, 0.15, 0.8, 0.85]) * side
    top, bottom = y1 + 0.22 * (y2 - y1), y1 + 0.55 * (y2 - y1)
    band = image[max(0, int(top)) : max(1, int(bottom)), max(0, int(x1)) : max(1, int(x2))]
    return bool(band.size and (band.min(axis=2) > _GLINT).mean() > _GLINT_SHARE)


def _counted(names: Sequence[str], counts: NDArray[np.int64]) -> str:
    return ", ".join(f"{count} {name}" for name, count in zip(names, counts, strict=True))
