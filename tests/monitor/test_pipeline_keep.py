"""What settings and opt-outs do to a lecture that runs: they count from the next moment on."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from monitor.pipeline import Pipeline
from monitor.rubric import Rubric, load_rubric
from monitor.schema import UNSURE, Crop, Detection, Frame, Image, Prediction, Presence


class Hesitant:
    """A classifier that is never sure."""

    model_id = "hesitant-1"
    adapter_id: str | None = None

    def __init__(self) -> None:
        self.rubric: Rubric = load_rubric("attention")
        self.asked = 0

    def predict(self, crops: Sequence[Crop]) -> list[Prediction]:
        self.asked += len(crops)
        said = {"screen": 0.4, "paper": 0.35, "wander": 0.25}
        place = (UNSURE, "screen", said, self.model_id, "attention")
        return [Prediction(crop.crop_id, crop.student_id, crop.pts_s, *place) for crop in crops]


class NoFaces:
    """Finds nobody: in the layout "single" the whole picture is the student then."""

    model_id = "no-faces"

    def find(self, images: Sequence[Image], longer_side_px: int | None = None) -> list[list[Detection]]:
        return [[] for _ in images]


def frame(index: int) -> Frame:
    image = np.random.default_rng(index).integers(0, 255, (480, 640, 3), np.uint8)
    return Frame(index=index, pts_s=float(index), image_bgr=image, captured_at=None, monotonic_ns=0)


@pytest.fixture
def classifier() -> Hesitant:
    return Hesitant()


@pytest.fixture
def pipeline(classifier: Hesitant) -> Pipeline:
    return Pipeline("algebra", classifier, layout="single", faces=NoFaces())


def test_an_uncertain_crop_is_kept_as_a_picture(pipeline: Pipeline) -> None:
    assert pipeline.process(frame(0)).to_review == (), "nothing is kept before it is allowed"
    pipeline.keep(pictures=True, names=True, review_per_hour=60)
    (crop,) = pipeline.process(frame(1)).to_review
    assert (crop.student_id, crop.reason) == ("s01", "uncertain")
    picture = cv2.imdecode(np.frombuffer(crop.picture, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert max(picture.shape[:2]) == 384


def test_room_only_carries_no_pictures(pipeline: Pipeline) -> None:
    pipeline.keep(pictures=False, names=False, review_per_hour=0)
    moment = pipeline.process(frame(0))
    assert (moment.to_review, moment.thumbnails, moment.names) == ((), {}, {})
    assert moment.observations[0].prediction is not None


def test_who_opts_out_is_not_judged_from_the_next_moment_on(pipeline: Pipeline, classifier: Hesitant) -> None:
    pipeline.process(frame(0))
    pipeline.keep(pictures=True, names=True, review_per_hour=60, left_out=["s01"])
    moment = pipeline.process(frame(1))
    assert classifier.asked == 1
    assert [seen.presence for seen in moment.observations] == [Presence.OPTED_OUT]
    assert (moment.to_review, moment.thumbnails) == ((), {})
    pipeline.keep(pictures=True, names=True, review_per_hour=60, left_out=[])
    assert pipeline.process(frame(2)).observations[0].prediction is not None
