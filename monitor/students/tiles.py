"""Finds the tiles of a gallery view in one picture, or says that the picture is no gallery.

It fits a layout (layouts.py) to what the picture shows against its background (evidence.py). It does not know who sits
in a tile, nor whether the camera is on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.schema import Box, Detection, Image
from monitor.students.evidence import gather_evidence
from monitor.students.grids import fit_region
from monitor.students.layouts import Fit, Region


def find_tiles(image_bgr: Image, previous: Sequence[Box] = ()) -> list[Detection]:
    """Tiles of a gallery picture, row by row; [] when the picture is no gallery.

    `previous` are the boxes found in the picture before this one: when they still hold, no search is made.
    """
    best: Fit | None = None
    for background in background_candidates(image_bgr):
        evidence = gather_evidence(image_bgr, background)
        fit = fit_region(evidence, Region(0, 0, evidence.width, evidence.height))
        if fit is not None and is_gallery(fit) and (best is None or fit.score > best.score):
            best = fit
            if is_plain(fit):
                break
    return [] if best is None else detections_of(best)


def background_candidates(image_bgr: Image) -> list[NDArray[np.uint8]]:
    """Colours that the space around the tiles may have: those at the picture's four edges, the commonest first."""
    edges = [image_bgr[0], image_bgr[-1], image_bgr[:, 0], image_bgr[:, -1]]
    medians = [np.median(edge, axis=0).astype(np.int64) for edge in edges]
    ring = np.concatenate(edges).astype(np.int64)
    shares = [float((np.abs(ring - median).max(axis=1) <= 6).mean()) for median in medians]
    chosen: list[NDArray[np.int64]] = []
    for index in np.argsort(shares)[::-1]:
        if all(np.abs(medians[index] - other).max() > 4 for other in chosen):
            chosen.append(medians[index])
    return [colour.astype(np.uint8) for colour in chosen]


def is_gallery(fit: Fit) -> bool:
    """Whether a layout explains its region well enough to be believed."""
    return fit.stray < 0.1 and float(fit.support.mean()) > 0.45


def is_plain(fit: Fit) -> bool:
    """Whether a layout explains so much that no other background needs to be tried."""
    return fit.stray < 0.05 and float(fit.support.mean()) > 0.6


def detections_of(fit: Fit) -> list[Detection]:
    """Tiles as records."""
    scores = np.clip(fit.support.mean(axis=1), 0, 1)
    return [
        Detection("tile", Box(*(int(v) for v in box)), float(score))
        for box, score in zip(fit.layout.boxes, scores, strict=True)
    ]
