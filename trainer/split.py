"""Splits by person, else by video, never by picture: a model must not be measured on people it has seen.

This file knows no pictures. Copies of one picture under two names are found by `trainer.leakage`.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from monitor.errors import BadInputError
from trainer.corpora.record import Item

WAYS = ("student", "video", "frame")


def share_of(person: str, salt: str = "development") -> float:
    """A number in [0, 1) that belongs to a person for good, whatever other people there are."""
    digest = hashlib.sha256(f"{salt}/{person}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def is_development(person: str, share: float) -> bool:
    """Whether a person is kept aside from training; `share` of all people are.

    Raises:
        ValueError: the share is not in [0, 1).
    """
    if not 0 <= share < 1:
        raise ValueError(f"the share of people kept aside must be in [0, 1), found {share}")
    return share_of(person) < share


def split(
    items: Sequence[Item],
    shares: Mapping[str, float],
    seed: int,
    *,
    by: str = "student",
    fixed: Mapping[str, str] | None = None,
) -> dict[str, list[Item]]:
    """Deal whole students (whole videos, where the student is not known) to parts; each class near its share in each.

    The same items, shares and seed give the same split, in whatever order the items come.

    Args:
        items: labelled or not; those without a label are dealt like a class of their own.
        shares: part -> share of the pictures, over 0 and 1 in all.
        seed: another one deals otherwise.
        by: "student", or "video" for a corpus that names no student. "frame" is refused.
        fixed: owner -> part of an earlier split; those stay where they were, so that a corpus can grow.

    Raises:
        BadInputError: a split by frame, or by video where students are known; fewer students than parts; shares that
            are none; a fixed part that is not asked for.
    """
    _refuse_way(items, by)
    if not shares or min(shares.values()) <= 0 or abs(sum(shares.values()) - 1) > 1e-6:
        raise BadInputError(f"a split needs shares over 0 that make 1 in all, found {dict(shares)}")
    owned: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        owned[item.owner].append(item)
    if len(owned) < len(shares):
        raise BadInputError(
            f"{len(owned)} students or videos cannot fill {len(shares)} parts ({', '.join(shares)}) of which none "
            "shares one. Use fewer parts, or more students."
        )
    dealt = _deal({owner: Counter(item.label for item in own) for owner, own in owned.items()}, shares, seed, fixed)
    parts: dict[str, list[Item]] = {part: [] for part in shares}
    for item in items:
        parts[dealt[item.owner]].append(item)
    return parts


def owners(parts: Mapping[str, Sequence[Item]]) -> dict[str, str]:
    """Owner -> part: what to keep, and to give as `fixed` next time."""
    return {item.owner: part for part, items in parts.items() for item in items}


def refuse_shared(parts: Mapping[str, Sequence[Item]]) -> None:
    """Refuse parts that share a student, a video whose students are not known, or a picture.

    Raises:
        BadInputError: naming some of what is shared.
    """
    keys: dict[str, Callable[[Item], str]] = {
        "students or videos": lambda item: item.owner,
        "pictures": lambda item: item.item_id,
    }
    for what, key in keys.items():
        places: dict[str, set[str]] = defaultdict(set)
        for part, items in parts.items():
            for item in items:
                places[key(item)].add(part)
        shared = sorted(name for name, found in places.items() if len(found) > 1)
        if shared:
            both = " and ".join(sorted(places[shared[0]]))
            raise BadInputError(
                f"the split leaks: {len(shared)} {what} are in more than one part ({', '.join(shared[:5])}; the first "
                f"in {both}). A model would be measured on whom it has seen; split again by student."
            )


def _refuse_way(items: Sequence[Item], by: str) -> None:
    if by not in WAYS:
        raise BadInputError(f"a split goes by one of {', '.join(WAYS)}, found {by!r}")
    if by == "frame":
        raise BadInputError(
            "a split by frame is refused: neighbouring frames of one video are nearly the same picture, so the test "
            "would ask for what was learned by heart. Split by student, or by video where students are not known."
        )
    known = next((item for item in items if item.person), None)
    if by == "video" and known is not None:
        raise BadInputError(
            f"a split by video is refused where students are known ({known.item_id} is of {known.person}): one student "
            "would be on both sides. Split by student."
        )


def _deal(
    groups: Mapping[str, Counter[int]], shares: Mapping[str, float], seed: int, fixed: Mapping[str, str] | None
) -> dict[str, str]:
    """Owner -> part: the biggest first, each to where the classes then come nearest to their shares."""
    total = sum(groups.values(), Counter[int]())
    held: dict[str, Counter[int]] = {part: Counter() for part in shares}
    dealt: dict[str, str] = {}
    for owner, part in (fixed or {}).items():
        if owner in groups:
            if part not in shares:
                raise BadInputError(f"{owner} was in part {part!r}, and the parts now are {', '.join(shares)}.")
            dealt[owner] = part
            held[part] += groups[owner]
    rest = sorted(groups.keys() - dealt.keys(), key=lambda one: (-groups[one].total(), share_of(one, f"split/{seed}")))
    for place, owner in enumerate(rest):
        empty = [part for part in shares if not held[part]]
        open_to = empty if len(empty) >= len(rest) - place else list(shares)
        dealt[owner] = min(open_to, key=lambda part: _strain(held[part], groups[owner], total, shares[part]))
        held[dealt[owner]] += groups[owner]
    return dealt


def _strain(held: Counter[int], more: Counter[int], total: Counter[int], share: float) -> float:
    """By how much a part comes nearer to its share of each class (less is better), counted in shares of the class."""
    return sum(
        (((held[label] + more[label]) / count - share) ** 2 - (held[label] / count - share) ** 2) / share
        for label, count in total.items()
    )
