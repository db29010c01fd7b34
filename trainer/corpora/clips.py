"""Turns one labelled clip into items, a still a second. Knows no corpus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.corpora.pictures import clip_seconds, still_times
from trainer.corpora.record import Item, Refusal
from trainer.corpora.tables import Relabels, relabel


@dataclass(frozen=True, slots=True)
class Clip:
    """What a corpus says of one clip."""

    path: Path
    person: str
    part: str
    label: int
    """Of the whole clip, or NO_LABEL; `relabels` go before it."""
    groups: Mapping[str, Any] = field(default_factory=dict)


def stills_of(clip: Clip, relabels: Relabels) -> list[Item] | Refusal:
    """The stills of a clip, once a second; or why it has none. Only its header is read."""
    duration_s = clip_seconds(clip.path)
    if isinstance(duration_s, str):
        return Refusal(str(clip.path), duration_s)
    name = clip.path.stem
    items = []
    for second, at_s in enumerate(still_times(duration_s)):
        found = relabel(relabels, name, second)
        label = clip.label if found is None else found
        place = (f"{name}_{second}", str(clip.path), second, label, clip.person, name)
        items.append(Item(*place, clip.groups, clip.part, at_s))
    return items


def unknown_relabels(relabels: Relabels, items: Mapping[str, Item]) -> list[Refusal]:
    """Labels of one's own that belong to no still."""
    clips = {item.video for item in items.values()}
    lost = [
        f"{clip}, second {second}" if second is not None else clip
        for clip, second in relabels
        if (second is None and clip not in clips) or (second is not None and f"{clip}_{second}" not in items)
    ]
    return [Refusal(what, "an own label without its still") for what in sorted(lost)]
