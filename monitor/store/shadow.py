"""How often a challenger in shadow answered as the model in use did. Read-only; it knows nobody's truth.

Who is right where they disagree, people say: those crops are in the review queue under the reason "challenger".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from monitor.store.reader import StoreReader


@dataclass(frozen=True, slots=True)
class ShadowTally:
    """All samples that one challenger answered beside one model."""

    champion: tuple[str, str | None]
    """model_id and adapter_id of the model in use."""
    challenger: tuple[str, str | None]
    lectures: int
    answers: Mapping[tuple[str, str], int]
    """(what the champion said, what the challenger said) -> samples; the likeliest labels, sure or not."""

    @property
    def samples(self) -> int:
        """Crops that both were asked about."""
        return sum(self.answers.values())

    @property
    def disagreed(self) -> int:
        """Those on which they said different things."""
        return sum(count for (one, other), count in self.answers.items() if one != other)


def shadow_tallies(reader: StoreReader, rubric_id: str) -> list[ShadowTally]:
    """One tally for each pair of models that were asked side by side under a rubric, the pair seen last first."""
    rows = reader.rows(
        """SELECT m.model_id, m.adapter_id, s.model_id, s.adapter_id, o.best, o.shadow_best, count(*), o.lecture_no
        FROM observations o JOIN lectures USING (lecture_no) JOIN models m ON m.model_no = o.model_no
        JOIN models s ON s.model_no = o.shadow_no
        WHERE o.shadow_no IS NOT NULL AND lectures.rubric_id = ?
        GROUP BY o.lecture_no, o.model_no, o.shadow_no, o.best, o.shadow_best ORDER BY o.lecture_no DESC""",
        rubric_id,
    )
    answers: dict[tuple[str, ...], Counter[tuple[str, str]]] = {}
    lectures: dict[tuple[str, ...], set[int]] = {}
    for row in rows:
        pair = tuple(row[:4])
        answers.setdefault(pair, Counter())[row[4], row[5]] += row[6]
        lectures.setdefault(pair, set()).add(row[7])
    return [
        ShadowTally((pair[0], pair[1] or None), (pair[2], pair[3] or None), len(lectures[pair]), said)
        for pair, said in answers.items()
    ]
