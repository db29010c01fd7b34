"""Watches a class in real time: the newest frame wins, every moment is stored whole, figures are reported each second.

It owns the one writer of its store. It knows no dashboard; whoever wants to look reads the store.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from monitor.config import MonitorSettings, inference_threads
from monitor.errors import SourceError, StoreError
from monitor.hotswap import Change, FixedModel, FollowedModel
from monitor.pipeline import Pipeline
from monitor.registry import CHAMPION, Registry, models_folder
from monitor.rubric import Rubric, load_rubric
from monitor.schema import Frame, Lecture, Moment
from monitor.sources.source import ManyStreams, Source, SourceCounts, open_source, samples
from monitor.store.control import add_note, is_paused, set_paused
from monitor.store.database import Store
from monitor.store.keeping import commit_with_crops
from monitor.store.records import MonitorStatus, ResumePoint
from monitor.store.wishes import DAY_S, Wishes, current_wishes
from monitor.students.facemodel import open_face_finder
from monitor.vlm.choice import choose_classifier

SAME_LECTURE_WITHIN_S = 600
"""A source that comes back within ten minutes goes on in the same lecture."""

LATENCIES_KEPT = 120


class LiveMonitor:
    """One lecture being watched.

    Args:
        source: webcam:0, screen, webrtc, a recording (played in real time) or demo.
        settings: rate, rubric, layout, model, where publishers connect.
        store: path or sqlite URL; None is the user's own store.
        lecture_id: go on in this lecture, however long ago it was.

    Raises:
        ClassroomError: a source, rubric, bundle or store that cannot be opened; nothing has been recorded then.
    """

    def __init__(
        self, source: str, settings: MonitorSettings, *, store: str | None = None, lecture_id: str | None = None
    ) -> None:
        self._settings = settings
        rubric = load_rubric(settings.rubric, research=settings.research)
        self._models = _open_models(settings, store, rubric)
        classifier = self._models.classifier
        faces = open_face_finder(settings.face_model, settings.face_model_sha256)
        self._store = Store.open(store)
        try:
            self.lecture_id, point = self._choose_lecture(source, lecture_id, rubric.rubric_id)
            self._source, self._first_index, self._first_pts_s = self._open_source(source, point)
            if point is not None and lecture_id is None and self._is_over(point):
                self._source.close()
                self.lecture_id, point = _new_lecture_id(), None
                self._source, self._first_index, self._first_pts_s = self._open_source(source, point)
            if point is None:
                lecture = Lecture(self.lecture_id, source, rubric.rubric_id, datetime.now(UTC))
                self._store.begin_lecture(
                    lecture,
                    rubric=rubric,
                    sample_period_s=settings.sample_period_s,
                    model_id=classifier.model_id,
                    adapter_id=classifier.adapter_id,
                )
            else:
                self._store.use_model(self.lecture_id, classifier.model_id, classifier.adapter_id)
            self._pipeline = Pipeline(
                self.lecture_id,
                classifier,
                layout=settings.layout,
                sample_period_s=settings.sample_period_s,
                known_names={} if point and point.resume_state else self._store.known_names(),
                opted_out=self._store.opted_out(self.lecture_id),
                wait_for_names=False,
                keep_pictures=settings.keep_pictures,
                resume_state=(point.resume_state or None) if point else None,
                faces=faces,
            )
        except BaseException:
            self._store.close()
            raise
        self._latencies_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._unnoted: list[str] = []
        self.on_stored: Callable[[float, int], None] = lambda latency_ms, waiting: None
        """Called after each moment: milliseconds from captured to stored, and frames that wait now."""
        self.on_change: Callable[[Change], None] = lambda change: None
        """Called between two moments, when a model was taken up or refused."""

    @property
    def counts(self) -> SourceCounts:
        """Frames captured, dropped and delivered so far."""
        return self._source.counts

    @property
    def notices(self) -> list[str]:
        """What to tell whoever started it: where to publish, for a source that others fill. Holds the token."""
        return self._source.notices if isinstance(self._source, ManyStreams) else []

    @property
    def store_path(self) -> Path:
        """The database file that is written."""
        return self._store.path

    def run(self, *, report: Callable[[str], None] = lambda line: None) -> str:
        """Watch until the source ends, and say what was done. An interrupt ends the lecture in order and goes on up.

        Raises:
            ClassroomError: the store cannot be written any more, or the source is lost for good.
        """
        try:
            moments = self._watch(report)
        except (KeyboardInterrupt, SourceError):
            self._end()
            raise
        self._end()
        counts = self._source.counts
        return f"{moments} moments stored, {counts.captured} frames captured, {counts.dropped} dropped"

    def wait_for_model(self) -> None:
        """Until no model is being loaded: one that was chosen before the last sample answers the next."""
        self._models.wait()

    def _watch(self, report: Callable[[str], None]) -> int:
        moments = 0
        for frames in samples(self._source):
            self._follow(report)
            first = next(frames, None)
            if is_paused(self._store, self.lecture_id):
                self._beat("paused", None)  # the frames are let go unseen
                continue
            if first is None:  # nobody shares anything now
                self._beat("running", None)
                continue
            wishes = self._heed()
            self._note_changes(self._rebased(first).pts_s)
            moment = self._pipeline.process_sample(map(self._rebased, chain((first,), frames)))
            commit_with_crops(
                self._store,
                moment,
                kept_s=wishes.pictures_kept_days * DAY_S,
                annotators=2 if wishes.two_people else 1,
            )
            self._latencies_ms.append((time.monotonic_ns() - first.monotonic_ns) / 1e6)
            self.on_stored(self._latencies_ms[-1], self._waiting)
            self._beat("running", moment)
            if moments == 0:
                report(f"watching {self._source.uri}: {len(moment.observations)} students in the first picture")
            moments += 1
        return moments

    def _follow(self, report: Callable[[str], None]) -> None:
        """Take up the models that somebody chose since the last sample; what is refused changes nothing."""
        for change in self._models.look():
            report(change.line)
            if not change.refused:
                classifier = self._models.classifier
                self._pipeline.ask(classifier)
                self._store.use_model(self.lecture_id, classifier.model_id, classifier.adapter_id)
                if change.alias == CHAMPION:
                    self._unnoted.append(f"From here on the model is {change.model}")
            self.on_change(change)

    def _note_changes(self, pts_s: float) -> None:
        """Put a changed model on the timeline: who compares labels before and after must see it."""
        for words in self._unnoted:
            add_note(self._store, self.lecture_id, f"model-{secrets.token_hex(8)}", words, pts_s)
        self._unnoted.clear()

    def _heed(self) -> Wishes:
        """What the dashboard's settings say now: a change counts from the next moment on."""
        wishes = current_wishes(self._store)
        pictures = self._settings.keep_pictures and not wishes.room_only
        self._store.thumbnails_kept_s = wishes.pictures_kept_days * DAY_S
        self._pipeline.keep(
            pictures=pictures,
            names=not wishes.room_only,
            review_per_hour=self._crops_per_hour(wishes) if pictures else 0,
            left_out=self._store.opted_out(self.lecture_id),
        )
        return wishes

    def _crops_per_hour(self, wishes: Wishes) -> int:
        chosen = self._settings.review_crops_per_hour
        return wishes.review_crops_per_hour if chosen is None else chosen

    def _end(self) -> None:
        set_paused(self._store, self.lecture_id, False)
        self._store.end_lecture(self.lecture_id, faults=self._source.faults)
        self._beat("ended", None)

    def close(self) -> None:
        """Release the camera, stop the threads, close the store. Safe to call twice."""
        self._source.close()
        self._pipeline.close()
        self._models.close()
        self._store.close()

    @property
    def _waiting(self) -> int:
        counts = self._source.counts
        return counts.captured - counts.dropped - counts.delivered

    @property
    def _source_state(self) -> str:
        source = self._source
        state = source.state if isinstance(source, ManyStreams) else "".join(source.faults[-1:])
        return " · ".join(filter(None, (state, self._models.notice)))

    def _choose_lecture(self, source: str, lecture_id: str | None, rubric_id: str) -> tuple[str, ResumePoint | None]:
        recent = self._store.find_recent(source, within_s=SAME_LECTURE_WITHIN_S, rubric_id=rubric_id)
        chosen = lecture_id or recent
        if chosen is None:
            return _new_lecture_id(), None
        point = self._store.resume_point(chosen)
        if point is None and lecture_id is not None:
            raise StoreError(
                f"{self._store.path} holds no lecture {lecture_id!r}; leave --lecture out to start a new one"
            )
        return chosen, point

    def _open_source(self, uri: str, point: ResumePoint | None) -> tuple[Source, int, float]:
        """Open the source where the lecture stopped.

        Returns the source and what to add to its frames' index and media time: a recording seeks and needs nothing,
        a camera counts from the lecture's start.
        """
        next_index = point.index + 1 if point else 0
        start_s = next_index / self._settings.rate
        source = open_source(
            uri, rate=self._settings.rate, start_s=start_s, realtime=True, ingest=self._settings.ingest
        )
        if source.duration_s is not None or point is None:
            return source, 0, 0.0
        started_at = point.started_at
        elapsed_s = (datetime.now(UTC) - started_at).total_seconds() if started_at else start_s
        return source, next_index, max(elapsed_s, start_s)

    def _is_over(self, point: ResumePoint) -> bool:
        """Whether the recording was played to its end: opening it again is a new lecture."""
        duration_s = self._source.duration_s
        return duration_s is not None and point.pts_s + self._settings.sample_period_s >= duration_s

    def _rebased(self, frame: Frame) -> Frame:
        if not self._first_index:
            return frame
        return replace(frame, index=frame.index + self._first_index, pts_s=frame.pts_s + self._first_pts_s)

    def _beat(self, state: str, moment: Moment | None) -> None:
        ordered = sorted(self._latencies_ms)
        counts = self._source.counts
        status = MonitorStatus(
            state=state,
            captured=counts.captured,
            dropped=counts.dropped,
            delivered=counts.delivered,
            queued=self._waiting,
            p50_ms=ordered[len(ordered) // 2] if ordered else 0.0,
            p95_ms=ordered[int(len(ordered) * 0.95)] if ordered else 0.0,
            students=len(moment.observations) if moment else 0,
            source_state=self._source_state,
        )
        self._store.heartbeat(self.lecture_id, status)


def _open_models(settings: MonitorSettings, store: str | None, rubric: Rubric) -> FixedModel | FollowedModel:
    """The model that was given by hand, to the end; else whatever the registry names, now and later."""
    if settings.bundle is not None or settings.model is not None:
        return FixedModel(choose_classifier(settings, rubric))
    return FollowedModel(Registry(settings.models or models_folder(store)), rubric, inference_threads())


def _new_lecture_id() -> str:
    return f"live-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
