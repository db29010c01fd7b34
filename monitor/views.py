"""What the pipeline keeps of each stream: who is in its pictures, and their episodes. Knows no model and no store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monitor.schema import Crop, Episode, Observation
from monitor.students.finder import StudentFinder
from monitor.timeline.episodes import EpisodeBuilder


@dataclass(frozen=True, slots=True)
class Glance:
    """What one frame of one stream gave."""

    observations: tuple[Observation, ...]
    episodes: tuple[Episode, ...]
    crops: Sequence[Crop]
    names: Mapping[str, str]
    merges: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class View:
    """One stream from frame to frame. Episodes are its own: who is not in another's picture has not left this one."""

    finder: StudentFinder
    episodes: EpisodeBuilder

    def state(self) -> dict[str, str]:
        """JSON-ready, from which both go on exactly."""
        return {"finder": self.finder.state(), "episodes": self.episodes.state()}
