"""Faces are found where they are, turned ones too, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.schema import Box
from monitor.students import centerface
from monitor.students.faces import FaceFinder
from tests.monitor.real_gallery import frames, needs_recording


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


@needs_recording
def test_finds_nearly_every_face_of_the_real_recording(finder: FaceFinder) -> None:
    true = found = surplus = 0
    for frame, people in frames(every_s=9):
        seen = [person for person in people if person.camera_on]
        for person, detections in zip(seen, finder.find([p.tile.cut(frame.image_bgr) for p in seen]), strict=True):
            boxes = [_moved(d.box, person.tile) for d in detections]
            true += len(person.faces)
            found += sum(any(face.iou(box) > 0.4 for box in boxes) for face in person.faces)
            surplus += max(0, len(boxes) - len(person.faces))
    assert true > 200
    assert found / true >= 0.98
    assert surplus / true <= 0.02


@needs_recording
def test_a_face_has_the_same_place_alone_as_among_others(finder: FaceFinder) -> None:
    frame, people = next(frames())
    tiles = [person.tile.cut(frame.image_bgr) for person in people if person.camera_on][:6]
    together = finder.find(tiles)
    for tile, detections in zip(tiles, together, strict=True):
        assert [d.box for d in finder.find([tile])[0]] == [d.box for d in detections]


@needs_recording
def test_finds_the_small_faces_of_a_whole_room(finder: FaceFinder) -> None:
    frame, people = next(frames())
    detections = finder.find([frame.image_bgr], longer_side_px=960)[0]
    faces = [face for person in people for face in person.faces]
    assert sum(any(face.iou(d.box) > 0.4 for d in detections) for face in faces) >= 0.9 * len(faces)


def test_finds_nothing_where_nobody_is(finder: FaceFinder) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (136, 240, 3), dtype=np.uint8)
    grey = np.full((136, 240, 3), 90, np.uint8)
    assert finder.find([noise, grey]) == [[], []]


def test_takes_pictures_of_any_size_and_none_at_all(finder: FaceFinder) -> None:
    shapes = [(4, 4), (20, 300), (300, 20), (720, 1280)]
    assert finder.find([np.zeros((*shape, 3), np.uint8) for shape in shapes]) == [[], [], [], []]
    assert finder.find([]) == []


def test_a_foreign_detector_file_is_told_apart(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    from pathlib import Path

    from monitor.errors import BundleError

    broken = Path(str(tmp_path)) / "centerface.onnx"
    broken.write_bytes(b"not a network")
    monkeypatch.setattr(centerface, "_packaged_file", lambda: broken)
    with pytest.raises(BundleError, match=r"centerface\.onnx.*pip install"):
        FaceFinder()


def _moved(box: Box, tile: Box) -> Box:
    return Box(box.x1 + tile.x1, box.y1 + tile.y1, box.x2 + tile.x1, box.y2 + tile.y1)
