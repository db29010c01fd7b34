"""Pictures of a student as bytes: the small one that a dashboard shows, and the one that is kept for review."""

from __future__ import annotations

import cv2
import numpy as np

from monitor.schema import Image

THUMBNAIL_PX = 112
QUALITY = 80
REVIEW_SIDE_PX = 384
"""More than any model of ours looks at."""
REVIEW_QUALITY = 92


def thumbnail_jpeg(crop_bgr: Image) -> bytes:
    """A square JPEG of THUMBNAIL_PX pixels a side, made for a person's eye, never for a model."""
    small = cv2.resize(crop_bgr, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return np.asarray(encoded, dtype=np.uint8).tobytes()


def review_jpeg(crop_bgr: Image) -> bytes:
    """The whole crop, at most REVIEW_SIDE_PX a side, good enough to be judged and trained on."""
    height, width = crop_bgr.shape[:2]
    scale = REVIEW_SIDE_PX / max(height, width)
    if scale < 1.0:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        crop_bgr = cv2.resize(crop_bgr, size, interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", crop_bgr, [cv2.IMWRITE_JPEG_QUALITY, REVIEW_QUALITY])
    return np.asarray(encoded, dtype=np.uint8).tobytes()
