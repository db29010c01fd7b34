"""Stores a moment together with those of its crops that wait for a person: both or neither. Knows no pipeline."""

from __future__ import annotations

from monitor.schema import Moment
from monitor.store.annotations import REVIEW_KEPT_S, keep_crop, queue_crops, record_prediction
from monitor.store.database import Store


def commit_with_crops(store: Store, moment: Moment, *, kept_s: float = REVIEW_KEPT_S, annotators: int = 1) -> int:
    """Commit a moment, keep its crops worth a look, and put them into the review queue; returns how many were kept.

    Args:
        store: open for writing.
        moment: as `Store.commit` takes it.
        kept_s: seconds until a crop that nobody labelled is purged.
        annotators: how many people are asked about each.

    Raises:
        StoreError, BusyError: as `Store.commit`; nothing of the moment is stored then.
    """
    if not moment.to_review:
        store.commit(moment)
        return 0
    said = {seen.student_id: seen.prediction for seen in moment.observations}
    kept = 0
    with store.writing(f"storing moment {moment.index} of {moment.lecture_id} with its crops"):
        store.commit(moment)
        for crop in moment.to_review:
            prediction = said.get(crop.student_id)
            if prediction is None:
                continue
            place = (moment.lecture_id, crop.student_id, moment.pts_s)
            if keep_crop(store, prediction.crop_id, crop.picture, place, kept_s=kept_s):
                if prediction.shadow is not None:
                    record_prediction(store, prediction.shadow, shadow=True)
                record_prediction(store, prediction)
                priorities = {prediction.crop_id: crop.priority}
                queue_crops(store, priorities, prediction.rubric_id, crop.reason, annotators=annotators)
                kept += 1
    return kept
