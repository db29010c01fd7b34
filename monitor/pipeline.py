"""Joins the stages: frame in, moment out. The only file that knows their order.

It knows neither where frames come from nor where moments go, and keeps no clock of its own: live and batch share it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

from monitor.schema import Box, Crop, Frame, Image, Moment, Observation, Prediction, ReviewCrop, Track
from monitor.students.crops import cut_crop
from monitor.students.facemodel import FindsFaces
from monitor.students.finder import StudentFinder
from monitor.students.thumbnails import review_jpeg, thumbnail_jpeg
from monitor.timeline.episodes import EpisodeBuilder
from monitor.timeline.smoothing import Smoother
from monitor.timeline.worth import ReviewChooser
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
        self._finder = StudentFinder(
            layout,
            known_names=known_names or {},
            opted_out=opted_out,
            state=state.get("finder"),
            wait_for_names=wait_for_names,
            faces=faces,
        )
        self._smoother = Smoother(classifier.rubric.names, state=state.get("smoother"))
        self._episodes = EpisodeBuilder(state=state.get("episodes"))
        self._review = ReviewChooser(0, state.get("review"))

    def keep(self, *, pictures: bool, names: bool, review_per_hour: int) -> None:
        """What the next moments may carry: thumbnails, names, and so many crops an hour for review."""
        self._keep_pictures, self._keep_names, self._review.per_hour = pictures, names, review_per_hour

    def process(self, frame: Frame) -> Moment:
        """All that one frame gives. Moments come in the order of their frames."""
        sighting = self._finder.find(frame)
        self._smoother.merge(sighting.merges)
        judged = [track for track in sighting.tracks if track.presence.judged]
        crops = [self._crop(frame, track) for track in judged]
        predictions = dict(zip((t.student_id for t in judged), self._classifier.predict(crops), strict=True))
        observations = tuple(self._observe(track, frame.pts_s, predictions) for track in sighting.tracks)
        episodes = self._episodes.update(frame.pts_s, observations, self._sample_period_s, sighting.merges)
        thumbnails = self._thumbnails(frame.pts_s, crops)
        to_review = self._choose(frame.pts_s, observations, crops)
        return Moment(
            lecture_id=self.lecture_id,
            index=frame.index,
            pts_s=frame.pts_s,
            captured_at=frame.captured_at,
            observations=observations,
            episodes=episodes,
            resume_state=self._state(),
            thumbnails=thumbnails,
            names=sighting.names if self._keep_names else {},
            merges=sighting.merges,
            to_review=to_review,
        )

    def close(self) -> None:
        """Stop the finder's reading thread, where there is one."""
        self._finder.close()

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
        return json.dumps(
            {
                "finder": self._finder.state(),
                "smoother": self._smoother.state(),
                "episodes": self._episodes.state(),
                "thumbnail_at_s": self._thumbnail_at_s,
                "review": self._review.state(),
            },
            separators=(",", ":"),
        )
