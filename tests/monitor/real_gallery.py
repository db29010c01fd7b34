"""Where the real gallery recording lies on machines that have it, and its truth. Nothing here knows the finder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.schema import Box, Frame

_ROOT = Path(os.environ.get("CLASSROOM_REAL_DATA", Path(__file__).parents[3] / "shared" / "real"))
RECORDING = _ROOT / "gallery" / "gallery_720p_24.mp4"
needs_recording = pytest.mark.skipif(
    not RECORDING.is_file(), reason="the real gallery recording is not on this machine"
)


@dataclass(frozen=True)
class TruePerson:
    """One participant in one second."""

    person_id: str
    name: str
    tile: Box
    camera_on: bool
    faces: tuple[Box, ...]
    """In pixels of the frame; empty where the truth has none."""


def frames(every_s: int = 1, until_s: int = 90) -> Iterator[tuple[Frame, list[TruePerson]]]:
    """The picture in the middle of each second with its truth."""
    import av

    truth = json.loads(RECORDING.with_suffix(".truth.json").read_text(encoding="utf-8"))["seconds"]
    faces = json.loads(RECORDING.with_suffix(".faces.json").read_text(encoding="utf-8"))
    with av.open(str(RECORDING)) as container:
        for number, picture in enumerate(container.decode(video=0)):
            second, rest = divmod(number, 25)
            if second >= until_s:
                return
            if rest == 12 and second % every_s == 0:
                image = np.asarray(picture.to_ndarray(format="bgr24"), np.uint8)
                yield Frame(second, float(second), image, None, 0), _people(truth[second], faces[second]["faces"])


def _people(second: dict[str, Any], faces: dict[str, list[list[int]]]) -> list[TruePerson]:
    return [
        TruePerson(
            person_id=tile["id"],
            name=tile["name"],
            tile=_box(tile["bbox"]),
            camera_on=tile["camera"] == "on",
            faces=tuple(_box(face) for face in faces.get(tile["id"], ())),
        )
        for tile in second["tiles"]
        if tile["present"]
    ]


def _box(corner_and_size: list[int]) -> Box:
    x, y, width, height = corner_and_size
    return Box(max(0, x), max(0, y), x + width, y + height)
