"""The rows of one sampled moment: what `Store.commit` writes. Runs inside the writer's transaction, opens none."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import numpy as np

from monitor.schema import Moment, Observation, Prediction, Presence
from monitor.store.encoding import pack_probabilities, time_text
from monitor.store.roster import Roster

_NOT_JUDGED = (None,) * 12


class MomentWriter:
    """Writes one moment of one lecture.

    Args:
        connection: with a write transaction open.
        lecture_no: the lecture's row.
        labels: of the lecture's rubric, in order.
        now: UTC of the commit, as text.
        keep_until: UTC until which thumbnails stay, as text.
    """

    def __init__(
        self, connection: sqlite3.Connection, lecture_no: int, labels: Sequence[str], now: str, keep_until: str
    ) -> None:
        self._connection = connection
        self._lecture_no = lecture_no
        self._labels = labels
        self._now = now
        self._keep_until = keep_until
        self._roster = Roster(connection, lecture_no, now)

    def write(self, moment: Moment) -> None:
        """Insert all rows; merges and names come first, so that each row goes to whom it belongs to."""
        captured_at = time_text(moment.captured_at) if moment.captured_at else None
        self._connection.execute(
            "INSERT INTO moments VALUES (?, ?, ?, ?, ?)",
            (self._lecture_no, moment.index, moment.pts_s, captured_at, self._now),
        )
        self._roster.merge(moment.merges)
        for pseudonym, name in moment.names.items():
            self._roster.name(pseudonym, name)
        opted_out = {row[0] for row in self._connection.execute("SELECT student_no FROM opt_outs")}
        self._insert_observations(moment, opted_out)
        self._upsert_episodes(moment, opted_out)
        self._replace_thumbnails(moment, opted_out)
        self._connection.execute(
            "UPDATE lectures SET resume_index = ?, resume_pts_s = ?, resume_state = ?, active_at = ?, ended_at = NULL "
            "WHERE lecture_no = ?",
            (moment.index, moment.pts_s, moment.resume_state, self._now, self._lecture_no),
        )

    # An opt-out counts from the moment it is stored, even before the monitor hears of it.

    def _insert_observations(self, moment: Moment, opted_out: set[int]) -> None:
        rows: list[tuple[object, ...]] = []
        for seen in moment.observations:
            student_no = self._roster.student_no(seen.student_id)
            place = (self._lecture_no, moment.index, student_no, *seen.box.as_tuple())
            if student_no in opted_out:
                rows.append((*place, Presence.OPTED_OUT.value, *_NOT_JUDGED))
            else:
                rows.append((*place, seen.presence.value, *self._judgement(seen)))
        self._connection.executemany(f"INSERT INTO observations VALUES ({', '.join('?' * 20)})", rows)

    def _judgement(self, seen: Observation) -> tuple[str | float | bytes | None, ...]:
        """state, label, best, confidence, probabilities, model_no, crop_id, latency_ms, and four of a challenger's."""
        found = seen.prediction
        if found is None:
            return (seen.state, *_NOT_JUDGED[1:])
        packed = pack_probabilities(found.probabilities, self._labels, found.crop_id)
        confidence = float(np.float32(found.confidence))  # as the packed probability has it
        model_no = self._model_no(found.model_id, found.adapter_id or "")
        said = (found.label, found.best, confidence, packed, model_no, found.crop_id, found.latency_ms)
        return seen.state, *said, *self._shadow(found.shadow)

    def _shadow(self, found: Prediction | None) -> tuple[str | float | None, ...]:
        """model_no, label, best, confidence of a challenger."""
        if found is None:
            return (None,) * 4
        model_no = self._model_no(found.model_id, found.adapter_id or "")
        return model_no, found.label, found.best, float(np.float32(found.confidence))

    def _model_no(self, model_id: str, adapter_id: str) -> int:
        found = self._connection.execute(
            "SELECT model_no FROM models WHERE model_id = ? AND adapter_id = ?", (model_id, adapter_id)
        ).fetchone()
        if found:
            return int(found[0])
        cursor = self._connection.execute(
            "INSERT INTO models (model_id, adapter_id) VALUES (?, ?)", (model_id, adapter_id)
        )
        return int(cursor.lastrowid or 0)

    def _upsert_episodes(self, moment: Moment, opted_out: set[int]) -> None:
        rows = []
        for episode in moment.episodes:
            student_no = self._roster.student_no(episode.student_id)
            if student_no not in opted_out or episode.state == Presence.OPTED_OUT:
                values = (episode.started_s, episode.ended_s, episode.state, episode.confidence)
                rows.append((self._lecture_no, student_no, *values))
        self._connection.executemany("INSERT OR REPLACE INTO episodes VALUES (?, ?, ?, ?, ?, ?)", rows)

    def _replace_thumbnails(self, moment: Moment, opted_out: set[int]) -> None:
        rows = []
        for student_id, jpeg in moment.thumbnails.items():
            student_no = self._roster.student_no(student_id)
            if student_no not in opted_out:
                rows.append((self._lecture_no, student_no, jpeg, moment.pts_s, self._keep_until))
        self._connection.executemany("INSERT OR REPLACE INTO thumbnails VALUES (?, ?, ?, ?, ?)", rows)
