"""Joins the stages: frame in, moment out. The only file that knows their order.

It knows neither where frames come from nor where moments go, and keeps no clock of its own: live and batch share it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from monitor.schema import Box, Crop, Frame, Image, Moment, Observation, Prediction, Presence, ReviewCrop, Track
from monitor.students.crops import cut_crop
from monitor.students.facemodel import FindsFaces, open_face_finder
from monitor.students.finder import StudentFinder
from monitor.students.thumbnails import review_jpeg, thumbnail_jpeg
from monitor.timeline.episodes import EpisodeBuilder
from monitor.timeline.smoothing import Smoother
from monitor.timeline.worth import ReviewChooser
from monitor.views import Glance, View
from monitor.vlm.classifier import Classifier

THUMBNAIL_EVERY_S = 2.0
"""Thumbnails are for a person's eye: newer ones every two seconds are plenty."""


class Pipeline:
    """Finds the students of a frame, asks the model about them, smooths the answers.

    Args:
        lecture_id: names the lecture in every moment.
        classifier: asked once per frame, with the crops of all students who may be judged.
        layout: one of monitor.config.LAYOUTS.
        sample_period_s: seconds between samples: a longer gap ends an episode.
        known_names: folded name -> student_id, from the store: a student keeps the pseudonym over lectures.
        opted_out: students who are never inferred.
        wait_for_names: read names at once (recordings) or on a thread of their own (live).
        keep_pictures: whether moments carry thumbnails; what else they carry, `keep` says.
        resume_state: `resume_state` of the last moment stored, to go on exactly there.
        faces: finds the faces; None is the finder that ships.
    """

    def __init__(  # noqa: PLR0913 - the one place where all the stages meet
        self,
        lecture_id: str,
        classifier: Classifier,
        *,
        layout: str = "auto",
        sample_period_s: float = 1.0,
        known_names: Mapping[str, str] | None = None,
        opted_out: Collection[str] = (),
        wait_for_names: bool = True,
        keep_pictures: bool = True,
        resume_state: str | None = None,
        faces: FindsFaces | None = None,
    ) -> None:
        state = json.loads(resume_state) if resume_state else {}
        self.lecture_id = lecture_id
        self._classifier = classifier
        self._sample_period_s = sample_period_s
        self._keep_pictures = keep_pictures
        self._keep_names = True
        self._thumbnail_at_s: float = state.get("thumbnail_at_s", -THUMBNAIL_EVERY_S)
        found_by = faces or open_face_finder()

        def open_view(stream: str, saved: Mapping[str, Any]) -> View:
            finder = StudentFinder(
                layout,
                known_names=known_names or {},
                opted_out=opted_out,
                state=saved.get("finder"),
                wait_for_names=wait_for_names,
                faces=found_by,
                prefix=f"{stream}-" if stream else "",
            )
            return View(finder, EpisodeBuilder(state=saved.get("episodes")))

        self._open_view = open_view
        self._views = {stream: open_view(stream, saved) for stream, saved in state.get("streams", {}).items()}
        if "finder" in state:
            self._views[""] = open_view("", state)
        self._smoother = Smoother(classifier.rubric.names, state=state.get("smoother"))
        self._review = ReviewChooser(0, state.get("review"))
        self._left_out: frozenset[str] = frozenset()

    def keep(
        self, *, pictures: bool, names: bool, review_per_hour: int, left_out: Collection[str] | None = None
    ) -> None:
        """What the next moments may carry: thumbnails, names, and so many crops an hour for review.

        left_out: students who are not judged from now on, beside those of the beginning; None leaves them as they were.
        """
        self._keep_pictures, self._keep_names, self._review.per_hour = pictures, names, review_per_hour
        if left_out is not None:
            self._left_out = frozenset(left_out)

    def ask(self, classifier: Classifier) -> None:
        """Ask another model from the next moment on, about the same rubric; who is who stays as it is.

        Raises:
            ValueError: another rubric.
        """
        if classifier.rubric.names != self._classifier.rubric.names:
            raise ValueError(f"{classifier.model_id} answers {classifier.rubric.rubric_id}, which is not asked here")
        before, self._classifier = self._classifier, classifier
        if (before.model_id, before.adapter_id) != (classifier.model_id, classifier.adapter_id):
            self._smoother.another_model()

    def process(self, frame: Frame) -> Moment:
        """All that one frame gives. Moments come in the order of their frames."""
        return self.process_sample((frame,))

    def process_sample(self, frames: Iterable[Frame]) -> Moment:
        """All that one sample gives: a frame of each stream, with the same index and media time.

        Args:
            frames: at least one; each is asked for when the one before is judged, so that it is as new as can be.
        """
        looked: list[tuple[Frame, Glance]] = []
        seen: set[str] = set()
        for frame in frames:
            glance = self._look(frame, seen)
            seen.update(observation.student_id for observation in glance.observations)
            looked.append((frame, glance))
        first = looked[0][0]
        glances = [glance for _, glance in looked]
        observations = tuple(chain.from_iterable(glance.observations for glance in glances))
        crops = list(chain.from_iterable(glance.crops for glance in glances))
        names = dict(chain.from_iterable(glance.names.items() for glance in glances))
        thumbnails = self._thumbnails(first.pts_s, crops)
        to_review = self._choose(first.pts_s, observations, crops)
        return Moment(
            lecture_id=self.lecture_id,
            index=first.index,
            pts_s=first.pts_s,
            captured_at=first.captured_at,
            observations=observations,
            episodes=tuple(chain.from_iterable(glance.episodes for glance in glances)),
            resume_state=self._state(),
            thumbnails=thumbnails,
            names=names if self._keep_names else {},
            merges=dict(chain.from_iterable(glance.merges.items() for glance in glances)),
            to_review=to_review,
        )

    def close(self) -> None:
        """Stop the finders' reading threads, where there are any."""
        for view in self._views.values():
            view.finder.close()

    def _look(self, frame: Frame, seen: Collection[str]) -> Glance:
        """What one stream's frame gives. Who was seen in this sample already, in another stream, is left out."""
        view = self._views.get(frame.stream)
        if view is None:
            view = self._views[frame.stream] = self._open_view(frame.stream, {})
        sighting = view.finder.find(frame)
        tracks = [self._heeded(track) for track in sighting.tracks if track.student_id not in seen]
        self._smoother.merge(sighting.merges)
        judged = [track for track in tracks if track.presence.judged]
        crops = [self._crop(frame, track) for track in judged]
        predictions = dict(zip((t.student_id for t in judged), self._classifier.predict(crops), strict=True))
        observations = tuple(self._observe(track, frame.pts_s, predictions) for track in tracks)
        episodes = view.episodes.update(frame.pts_s, observations, self._sample_period_s, sighting.merges)
        return Glance(observations, episodes, crops, sighting.names, sighting.merges)

    def _heeded(self, track: Track) -> Track:
        """The track of somebody who opted out while the lecture runs."""
        return replace(track, presence=Presence.OPTED_OUT) if track.student_id in self._left_out else track

    def _crop(self, frame: Frame, track: Track) -> Crop:
        return Crop(
            crop_id=f"{self.lecture_id}.{track.student_id}.{round(frame.pts_s * 1000):09d}",
            student_id=track.student_id,
            pts_s=frame.pts_s,
            box=track.box,
            pixels_bgr=cut_crop(frame.image_bgr, track.face, self._surroundings(frame.image_bgr, track)),
            captured_at=frame.captured_at,
        )

    @staticmethod
    def _surroundings(image: Image, track: Track) -> Box:
        """What a crop may show: the student's own tile, or, where the box is a face, the whole picture."""
        if track.face is None or track.box != track.face:
            return track.box
        height, width = image.shape[:2]
        return Box(0, 0, width, height)

    def _observe(self, track: Track, pts_s: float, predictions: Mapping[str, Prediction]) -> Observation:
        prediction = predictions.get(track.student_id)
        state = self._smoother.update(track.student_id, pts_s, prediction, track.presence)
        return Observation(track.student_id, track.box, track.presence, prediction, state)

    def _thumbnails(self, pts_s: float, crops: Sequence[Crop]) -> dict[str, bytes]:
        if not self._keep_pictures or pts_s - self._thumbnail_at_s < THUMBNAIL_EVERY_S:
            return {}
        self._thumbnail_at_s = pts_s
        return {crop.student_id: thumbnail_jpeg(crop.pixels_bgr) for crop in crops}

    def _choose(
        self, pts_s: float, observations: Sequence[Observation], crops: Sequence[Crop]
    ) -> tuple[ReviewCrop, ...]:
        pixels = {crop.student_id: crop.pixels_bgr for crop in crops}
        return tuple(
            ReviewCrop(worth.student_id, review_jpeg(pixels[worth.student_id]), worth.reason, worth.priority)
            for worth in self._review.choose(pts_s, observations)
        )

    def _state(self) -> str:
        state: dict[str, Any] = {
            "smoother": self._smoother.state(),
            "thumbnail_at_s": self._thumbnail_at_s,
            "review": self._review.state(),
        }
        named = {stream: view.state() for stream, view in self._views.items() if stream}
        if "" in self._views:
            state |= self._views[""].state()
        if named:
            state["streams"] = named
        return json.dumps(state, separators=(",", ":"))
