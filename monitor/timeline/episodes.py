"""Joins smoothed states into episodes: what a person sees on the timeline.

A sample speaks for the time until the next one. Pure: records in, records out; knows neither votes nor a store.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from monitor.schema import UNSURE, Episode, Observation

GAP_PERIODS = 3.0
"""A pause of more sample periods than this ends an episode."""
_ROUNDING_S = 1e-6


@dataclass(slots=True)
class _Open:
    """The episode of a student that may still grow."""

    state: str
    started_s: float
    last_s: float
    """Media time of its newest sample."""
    ended_s: float
    total: float = 0.0
    """Sum of the probabilities of the state over its judged samples."""
    judged: int = 0

    def as_episode(self, student_id: str) -> Episode:
        confidence = round(self.total / self.judged, 6) if self.judged else None
        return Episode(student_id, self.state, self.started_s, self.ended_s, confidence)


class EpisodeBuilder:
    """Per student contiguous episodes that never overlap and cover every sampled moment of theirs.

    Args:
        state: what `state()` gave, to go on exactly there.
    """

    def __init__(self, state: str | None = None) -> None:
        self._open: dict[str, _Open] = {}
        if state:
            self._open = {student_id: _Open(**fields) for student_id, fields in json.loads(state).items()}

    def update(
        self,
        pts_s: float,
        observations: Sequence[Observation],
        sample_period_s: float,
        merges: Mapping[str, str] | None = None,
    ) -> tuple[Episode, ...]:
        """Take one sampled moment in; give the episodes that it opened, prolonged or closed, as they now stand.

        Args:
            pts_s: media time of the moment, after that of the last one.
            observations: of all students in view; an episode of a student who is not in view ends.
            sample_period_s: seconds between samples.
            merges: provisional pseudonym -> known student; open episodes go over, as the stored ones do.
        """
        changed = self._merge(merges or {})
        for student_id in sorted(set(self._open) - {seen.student_id for seen in observations}):
            changed += self._close(student_id, self._open.pop(student_id), pts_s)
        for seen in observations:
            current = self._open.get(seen.student_id)
            word = seen.state or (UNSURE if seen.presence.judged else seen.presence.value)
            paused = current is not None and pts_s - current.last_s > GAP_PERIODS * sample_period_s + _ROUNDING_S
            if current is None or paused or current.state != word:
                if current is not None:
                    changed += self._close(seen.student_id, current, pts_s, contiguous=not paused)
                current = _Open(word, pts_s, pts_s, pts_s)
                self._open[seen.student_id] = current
            self._prolong(current, seen, pts_s, sample_period_s)
            changed.append(current.as_episode(seen.student_id))
        return tuple(changed)

    def state(self) -> str:
        """JSON from which another builder goes on as if this one had never stopped."""
        return json.dumps({key: asdict(value) for key, value in sorted(self._open.items())}, separators=(",", ":"))

    @staticmethod
    def _prolong(current: _Open, seen: Observation, pts_s: float, sample_period_s: float) -> None:
        current.last_s = pts_s
        current.ended_s = round(pts_s + sample_period_s, 6)
        if (found := seen.prediction) is not None:
            current.judged += 1
            current.total += found.probabilities.get(current.state, found.confidence)

    @staticmethod
    def _close(student_id: str, ending: _Open, pts_s: float, *, contiguous: bool = False) -> list[Episode]:
        """The closed episode, where closing moves its end: on to the next episode, or back before it."""
        end_s = pts_s if contiguous else min(ending.ended_s, pts_s)
        if end_s == ending.ended_s:
            return []
        ending.ended_s = end_s
        return [ending.as_episode(student_id)]

    def _merge(self, merges: Mapping[str, str]) -> list[Episode]:
        changed: list[Episode] = []
        for provisional, known in merges.items():
            moving, staying = self._open.pop(provisional, None), self._open.get(known)
            if moving is None or (staying is not None and staying.last_s >= moving.started_s):
                continue
            if staying is not None:
                changed += self._close(known, staying, moving.started_s)
            self._open[known] = moving
        return changed
