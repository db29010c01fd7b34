"""The seconds around a crop: of the right student and time, from a file that the store knows, and from no other."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from monitor.clips import AROUND_S, RATE, clip_around, recording_of
from monitor.store.database import Store, StoreReader
from tests.monitor.builders import lecture, moment, observation
from tests.recordings import Film, steady, write_recording


def store_of(folder: Path, source: str) -> StoreReader:
    with Store.open(folder / "classroom.db", durable=False) as store:
        store.begin_lecture(lecture(source=source))
        for index in range(12):
            store.commit(moment(index, [observation("s01", float(index))]))
    return StoreReader(folder / "classroom.db")


def test_pictures_of_the_seconds_around(tmp_path: Path) -> None:
    write_recording(tmp_path / "class.mp4", Film(steady(60, fps=5.0)))
    with store_of(tmp_path, "class.mp4") as reader:
        clip = clip_around(reader, "algebra", "s01", 6.0)
        assert clip is not None
        assert len(clip.jpegs) == pytest.approx(2 * AROUND_S * RATE, abs=2)
        pictures = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) for jpeg in clip.jpegs]
        assert len({picture.shape for picture in pictures if picture is not None}) == 1
        assert len(set(clip.jpegs)) > 1, "something moves"
        assert clip_around(reader, "algebra", "s09", 6.0) is None


@pytest.mark.parametrize("source", ["demo", "webcam:0", "gone.mp4", "../secret.mp4", "/etc/hostname.mp4"])
def test_without_a_recording_nothing_is_played(tmp_path: Path, source: str) -> None:
    with store_of(tmp_path, source) as reader:
        assert recording_of(reader, "algebra") is None
        assert clip_around(reader, "algebra", "s01", 6.0) is None


def test_a_named_folder_is_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "class.mp4").write_bytes(b"")
    monkeypatch.setenv("CLASSROOM_RECORDINGS", str(folder))
    with store_of(tmp_path, "lectures/class.mp4") as reader:
        assert recording_of(reader, "algebra") == folder / "class.mp4"
