"""Smooths the answers about each student, so that one odd frame never changes what a person sees.

Every sample votes for its answer and a little for the alternatives; votes fade with time. Another state takes over when
it leads the faded votes clearly *and* at least two samples in a row said so: at one sample a second a real change shows
with its second or third sample. Consecutive frames share their errors, so votes are averaged, never multiplied into
certainty. Pure: records in, words out; it knows no clock but media time, and no store.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from monitor.schema import UNSURE, Prediction, Presence

MEMORY_S = 1.5
"""Votes fade by 1/e in this time."""
AGREEMENT_MEMORY_S = 5.0
"""How far back answers must support the state."""
MAX_WEIGHT = 0.5
"""The newest sample never outweighs all before it, however slow the rate."""
MAX_AGREEMENT_WEIGHT = 0.25
VOTE = 0.6
"""Share of a sample's weight that goes to its answer; the rest follows the probabilities."""
LEAD = 0.1
"""By how much another state must lead the votes."""
SAMPLES_IN_A_ROW = 2
AGREEMENT_FLOOR = 0.4
"""Where fewer of the recent answers agree with the state, they contradict each other: unsure."""
FORGET_AFTER_S = 10.0
"""A student not judged for this long, and for several samples, starts anew."""
FORGET_AFTER_SAMPLES = 3.5
DROP_AFTER_S = 600.0
"""Far beyond any forgetting: students who left do not pile up."""
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class _Belief:
    """What is known of one student."""

    pts_s: float
    """Of the last judged sample."""
    step_s: float
    """Time between the last two judged samples."""
    state: str
    answer: str
    """Of the last judged sample."""
    in_a_row: int
    """Samples that gave this answer without another between."""
    agreement: float
    """Faded share of the answers that were the state."""
    votes: tuple[float, ...]
    """Faded votes: the rubric's labels in order, then unsure; they sum to one, or less after another model took over.
    """


class Smoother:
    """One smoothed state per student. Students do not influence each other.

    Args:
        labels: the rubric's labels, in order.
        state: what `state()` gave, to go on exactly there.

    Raises:
        ValueError: the state was made with other labels.
    """

    def __init__(self, labels: Sequence[str], state: str | None = None) -> None:
        self._words = (*labels, UNSURE)
        self._beliefs: dict[str, _Belief] = {}
        if state:
            data = json.loads(state)
            if tuple(data["words"]) != self._words:
                raise ValueError(f"a smoother of {data['words']} cannot go on with {list(self._words)}")
            for student_id, fields in data["beliefs"].items():
                self._beliefs[student_id] = _Belief(**{**fields, "votes": tuple(fields["votes"])})

    def update(self, student_id: str, pts_s: float, prediction: Prediction | None, presence: Presence) -> str | None:
        """Take one sample in and give the state after it: a label, "unsure", or None where nothing may be judged.

        A stretch that was not judged, if short, leaves the state as it was; after a long one the next answer stands
        alone. Being named or not (visible, unidentified) makes no difference.
        """
        if not presence.judged:
            return None
        known = self._beliefs.get(student_id)
        if prediction is None:
            return known.state if known else UNSURE
        if known is None or self._forgotten(known, pts_s):
            belief = self._fresh(prediction, pts_s, step_s=pts_s - known.pts_s if known else 0.0)
        else:
            belief = self._settled(self._faded(known, prediction, pts_s))
        self._beliefs[student_id] = belief
        self._drop_old(pts_s)
        return belief.state

    def another_model(self) -> None:
        """From now on another model answers: what the one before said counts no more, but shows until it is denied.

        So a state that the new one denies is gone with its second sample, at any rate, and no single sample shows.
        """
        self._beliefs = {
            student_id: replace(belief, votes=(0.0,) * len(belief.votes), in_a_row=0, agreement=1.0)
            for student_id, belief in self._beliefs.items()
        }

    def merge(self, merges: Mapping[str, str]) -> None:
        """A provisional student turns out to be a known one: the newer of the two beliefs goes on."""
        for provisional, known in merges.items():
            belief = self._beliefs.pop(provisional, None)
            if belief and (known not in self._beliefs or self._beliefs[known].pts_s < belief.pts_s):
                self._beliefs[known] = belief

    def state(self) -> str:
        """JSON from which another smoother goes on as if this one had never stopped."""
        beliefs = {student_id: asdict(belief) for student_id, belief in sorted(self._beliefs.items())}
        return json.dumps({"words": self._words, "beliefs": beliefs}, separators=(",", ":"))

    @staticmethod
    def _forgotten(known: _Belief, pts_s: float) -> bool:
        pause_s = pts_s - known.pts_s
        return pause_s > FORGET_AFTER_S and pause_s > FORGET_AFTER_SAMPLES * known.step_s

    def _fresh(self, prediction: Prediction, pts_s: float, step_s: float) -> _Belief:
        return _Belief(
            pts_s=pts_s,
            step_s=step_s,
            state=prediction.label,
            answer=prediction.label,
            in_a_row=1,
            agreement=1.0,
            votes=self._ballot(prediction),
        )

    def _ballot(self, prediction: Prediction) -> tuple[float, ...]:
        """One sample's votes over the words; they sum to one."""
        return tuple(
            VOTE * (word == prediction.label) + (1.0 - VOTE) * prediction.probabilities.get(word, 0.0)
            for word in self._words
        )

    def _faded(self, known: _Belief, prediction: Prediction, pts_s: float) -> _Belief:
        """The belief with one more sample in it, before any change of state."""
        step_s = max(0.0, pts_s - known.pts_s)
        weight = min(MAX_WEIGHT, 1.0 - math.exp(-step_s / MEMORY_S))
        slow = min(MAX_AGREEMENT_WEIGHT, 1.0 - math.exp(-step_s / AGREEMENT_MEMORY_S))
        ballot = self._ballot(prediction)
        return replace(
            known,
            pts_s=pts_s,
            step_s=step_s,
            answer=prediction.label,
            in_a_row=known.in_a_row + 1 if prediction.label == known.answer else 1,
            agreement=round(known.agreement + slow * ((prediction.label == known.state) - known.agreement), _DIGITS),
            votes=tuple(round(v + weight * (b - v), _DIGITS) for v, b in zip(known.votes, ballot, strict=True)),
        )

    def _settled(self, belief: _Belief) -> _Belief:
        """The belief with the state that it calls for."""
        votes = dict(zip(self._words, belief.votes, strict=True))
        lead = votes[belief.answer] - max(vote for word, vote in votes.items() if word != belief.answer)
        if belief.answer != belief.state and belief.in_a_row >= SAMPLES_IN_A_ROW and lead >= LEAD:
            return replace(belief, state=belief.answer, agreement=1.0)
        if belief.agreement < AGREEMENT_FLOOR and belief.state != UNSURE:
            return replace(belief, state=UNSURE, agreement=1.0)
        return belief

    def _drop_old(self, pts_s: float) -> None:
        old = [student_id for student_id, belief in self._beliefs.items() if pts_s - belief.pts_s > DROP_AFTER_S]
        for student_id in old:
            del self._beliefs[student_id]
