"""Which crops of a lecture are worth a person's look, within a budget. Records in, a choice out; it sees no picture.

Four kinds: a challenger in shadow answers something else; the model was not sure; its answer stands against those
before it; and, whatever it said, one crop at a steady pace, so that agreement can be told without favour. The same
lecture gives the same choice, also when resumed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monitor.schema import UNSURE, Observation, Prediction

SHARES = {"uncertain": 0.5, "flicker": 0.25, "random": 0.25}
"""How the budget of an hour is divided."""
SHADOWED_SHARES = {"challenger": 0.3, "uncertain": 0.3, "flicker": 0.15, "random": 0.25}
"""The same while a challenger is asked as well."""
STUDENT_GAP_S = 10.0
"""Two crops of one student are so far apart at least: neighbours look alike."""
UNCERTAIN_MARGIN = 0.2
"""The model hesitates where its two likeliest answers are closer than this."""
SAVED_UP_S = 600.0
"""What was not spent in so much time is not saved for later; a lecture begins with it."""
FIRST_RANDOM_S = 30.0
BANDS = {"challenger": 3.0, "uncertain": 3.0, "flicker": 1.0}
"""What a kind's priorities begin at; each reaches one further. Random ones lie anywhere, so that they come up too."""
TOP_PRIORITY = 4.0


@dataclass(frozen=True, slots=True)
class Worth:
    """One crop of a moment that is to be kept."""

    student_id: str
    reason: str
    priority: float


class ReviewChooser:
    """Spends a lecture's budget of crops, moment by moment, in the order of time.

    Args:
        per_hour: crops of an hour of media, at most, over all kinds; may be changed on the way.
        state: what `state()` gave after a moment, to go on exactly there.
    """

    def __init__(self, per_hour: int, state: Mapping[str, Any] | None = None) -> None:
        known = state or {}
        self.per_hour = per_hour
        self._saved: dict[str, float] = dict(known.get("saved", {}))
        self._at_s: float | None = known.get("at_s")
        self._random_at_s: float | None = known.get("random_at_s")
        self._kept_at_s: dict[str, float] = dict(known.get("kept_at_s", {}))

    def choose(self, pts_s: float, observations: Sequence[Observation]) -> list[Worth]:
        """The crops of this moment that are worth keeping; each student at most once."""
        if self.per_hour <= 0:
            return []
        judged = [seen for seen in observations if seen.prediction is not None]
        shadowed = any(seen.prediction.shadow for seen in judged if seen.prediction)
        self._save_up(pts_s, SHADOWED_SHARES if shadowed else SHARES)
        chosen: dict[str, Worth] = {}
        picked = self._random(pts_s, judged)
        if picked is not None:
            chosen[picked.student_id] = picked
        for found in sorted(filter(None, map(_reason, judged)), key=lambda worth: -worth.priority):
            if found.student_id not in chosen and self._may_keep(found, pts_s):
                self._saved[found.reason] -= 1.0
                chosen[found.student_id] = found
        for student_id in chosen:
            self._kept_at_s[student_id] = pts_s
        return list(chosen.values())

    def state(self) -> dict[str, Any]:
        """What another chooser needs to go on."""
        recent = {who: at_s for who, at_s in self._kept_at_s.items() if at_s + STUDENT_GAP_S > (self._at_s or 0.0)}
        return {"saved": self._saved, "at_s": self._at_s, "random_at_s": self._random_at_s, "kept_at_s": recent}

    def _save_up(self, pts_s: float, shares: Mapping[str, float]) -> None:
        for kind, share in shares.items():
            a_second = self.per_hour * share / 3600
            most = max(1.0, a_second * SAVED_UP_S)
            gained = a_second * max(0.0, pts_s - self._at_s) if self._at_s is not None else most
            self._saved[kind] = min(most, self._saved.get(kind, most) + gained)
        self._at_s = pts_s

    def _may_keep(self, worth: Worth, pts_s: float) -> bool:
        rested = pts_s - self._kept_at_s.get(worth.student_id, -STUDENT_GAP_S) >= STUDENT_GAP_S
        return rested and self._saved[worth.reason] >= 1.0

    def _random(self, pts_s: float, judged: Sequence[Observation]) -> Worth | None:
        """One of those judged, each time a period is over; which one, the crop ids decide."""
        period_s = 3600 / (self.per_hour * SHARES["random"])
        if self._random_at_s is None:
            self._random_at_s = pts_s + min(period_s, FIRST_RANDOM_S)
        if not judged or pts_s < self._random_at_s:
            return None
        self._random_at_s = max(self._random_at_s + period_s, pts_s + period_s / 2)
        draws = {seen.student_id: _draw(seen.prediction) for seen in judged if seen.prediction}
        student_id = min(draws, key=lambda who: draws[who])
        return Worth(student_id, "random", TOP_PRIORITY * _draw(student_id + str(pts_s)))


def _reason(seen: Observation) -> Worth | None:
    """Why this answer is worth a look, or None."""
    prediction = seen.prediction
    assert prediction is not None  # only those judged come here
    other = prediction.shadow
    if other is not None and other.best != prediction.best:
        return Worth(seen.student_id, "challenger", BANDS["challenger"] + min(prediction.confidence, other.confidence))
    first, second = sorted(prediction.probabilities.values(), reverse=True)[:2]
    if prediction.label == UNSURE or first - second < UNCERTAIN_MARGIN:
        return Worth(seen.student_id, "uncertain", BANDS["uncertain"] + (1.0 - (first - second)))
    if seen.state not in (None, UNSURE, prediction.best):
        return Worth(seen.student_id, "flicker", BANDS["flicker"] + prediction.confidence)
    return None


def _draw(what: Prediction | str) -> float:
    """From 0 to 1, the same for the same crop on every machine."""
    name = what if isinstance(what, str) else what.crop_id
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6]) / 2**48
