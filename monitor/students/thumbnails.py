"""The small picture of a student that a dashboard shows. Made for a person's eye, never for a model."""

from __future__ import annotations

import cv2
import numpy as np

from monitor.schema import Image

THUMBNAIL_PX = 112
QUALITY = 80


def thumbnail_jpeg(crop_bgr: Image) -> bytes:
    """A square JPEG of THUMBNAIL_PX pixels a side."""
    small = cv2.resize(crop_bgr, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return np.asarray(encoded, dtype=np.uint8).tobytes()
