"""The films of the WebRTC benchmark: each picture says which one it is, also after a way through an encoder."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from benchmarks.webrtc_film import read_number, write_films, write_pictures
from tests.recordings import Film, steady, write_recording

WIDTH_PX = 320


def numbers(film: Path) -> list[int | None]:
    with av.open(str(film)) as source:
        pictures = (np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in source.decode(video=0))
        return [read_number(picture, WIDTH_PX) for picture in pictures]


def test_pictures_are_known_by_their_numbers_in_every_film(tmp_path: Path) -> None:
    write_recording(tmp_path / "class.mp4", Film(steady(10, fps=5.0), size=(WIDTH_PX, 180)))
    camera, scored = write_films(tmp_path / "class.mp4", tmp_path, seconds=1.0)
    assert numbers(camera) == numbers(scored) == list(range(30))
    write_pictures(scored, [5, 20, 7, 20], tmp_path / "sampled.mp4")
    assert numbers(tmp_path / "sampled.mp4") == [5, 20, 7, 20]
