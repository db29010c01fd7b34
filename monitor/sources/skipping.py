"""Which packets of a recording need not be decoded when only samples are wanted.

Two things are left out: frames that no other frame refers to (the decoder tells them apart), and the rest of a group
of pictures after its last sample, when the next group starts afresh. Neither changes which frames are delivered.
This file knows numbers only, no packet, no decoder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

REORDER_PACKETS = 32
"""How far, in packets, a frame can be decoded from its place in time: H.264 and HEVC allow 16."""
LONGEST_GROUP = 512
"""Packets looked at together at most, so that a recording with a single key frame does not fill the memory."""
_WORTH_DROPPING = 3
"""Draining and restarting the decoder costs about as much as two frames."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the plan needs to know of a packet."""

    pts: int | None
    """Presentation time in ticks; None where the container has none."""
    key: bool
    """Whether decoding can start here."""


@dataclass(frozen=True, slots=True)
class Part:
    """What to do with one packet."""

    decode: bool
    """False: not needed by any sample."""
    sampled: bool
    """Whether its frame is a sample, or may be one: it must come out of the decoder."""


class SkipPlan:
    """Plans one group of packets after the other, in the order of the file."""

    def __init__(self, index_of: Callable[[int], int]) -> None:
        """index_of: the sample a tick belongs to."""
        self._index_of = index_of
        self._past: list[int] = []

    def plan(self, group: Sequence[Stamp], ahead: Sequence[Stamp]) -> list[Part]:
        """What to do with each packet of a group.

        Args:
            group: packets in decoding order: from a key frame to before the next, or LONGEST_GROUP of them.
            ahead: at least REORDER_PACKETS that follow, fewer only at the end of the file.
        """
        stamps = [*group, *ahead]
        if any(stamp.pts is None for stamp in stamps):
            return [Part(decode=True, sampled=True)] * len(group)
        sampled = self._sampled([stamp.pts for stamp in stamps if stamp.pts is not None])
        self._past = [*self._past, *(stamp.pts for stamp in group if stamp.pts is not None)][-REORDER_PACKETS:]
        end = self._end(group, ahead, sampled)
        return [Part(decode=i < end, sampled=stamp.pts in sampled) for i, stamp in enumerate(group)]

    def _sampled(self, ticks: list[int]) -> set[int]:
        """The moments that are the first of their sample, of all known ones."""
        known = sorted([*self._past, *ticks])
        first = set() if self._past else {known[0]}
        return first | {b for a, b in pairwise(known) if self._index_of(b) > self._index_of(a)}

    @staticmethod
    def _end(group: Sequence[Stamp], ahead: Sequence[Stamp], sampled: set[int]) -> int:
        """How many packets of the group must be decoded; the rest can be dropped."""
        if not ahead or not ahead[0].key:
            return len(group)
        restart = ahead[0].pts
        assert restart is not None
        # Frames shown before the next key frame but stored after it may refer to this group.
        if any(stamp.pts in sampled and stamp.pts is not None and stamp.pts < restart for stamp in ahead):
            return len(group)
        last = max((i for i, stamp in enumerate(group) if stamp.pts in sampled), default=-1)
        return last + 1 if len(group) - last - 1 >= _WORTH_DROPPING else len(group)
