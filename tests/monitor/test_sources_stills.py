"""A folder of pictures, in the order a person would number them, whatever the pictures are made of."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from monitor.errors import SourceError
from monitor.schema import Image
from monitor.sources.picture_file import read_picture
from monitor.sources.source import SourceCounts, open_source
from tests.recordings import number_in, numbered_picture


def write(path: Path, image: np.ndarray) -> Path:
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())  # as OpenCV's own writer fails on some paths
    return path


def picture(number: int) -> Image:
    return numbered_picture(number, (160, 96))


def test_pictures_come_in_the_natural_order_of_their_names(tmp_path: Path) -> None:
    names = ["a2.png", "A10.png", "a1.jpg", "b.webp", "a003.bmp"]
    for number, name in enumerate(names):
        write(tmp_path / name, picture(number))
    write_notes(tmp_path)
    with open_source(str(tmp_path), rate=2.0) as source:
        frames = list(source.frames())
        assert not source.live and source.duration_s == 2.5
    ordered = ["a1.jpg", "a2.png", "a003.bmp", "A10.png", "b.webp"]
    assert [number_in(frame.image_bgr) for frame in frames] == [names.index(name) for name in ordered]
    assert [(frame.index, frame.pts_s) for frame in frames] == [(k, k / 2) for k in range(5)]


def test_a_start_within_gives_the_same_pictures(tmp_path: Path) -> None:
    for number in range(6):
        write(tmp_path / f"{number}.png", picture(number))
    with open_source(str(tmp_path), rate=0.3, start_s=10.0) as source:
        assert [(frame.index, number_in(frame.image_bgr)) for frame in source.frames()] == [(3, 3), (4, 4), (5, 5)]


def test_a_picture_that_cannot_be_read_leaves_its_place_and_a_fault(tmp_path: Path) -> None:
    for number in (0, 2):
        write(tmp_path / f"{number}.png", picture(number))
    (tmp_path / "1.png").write_text("no picture", encoding="utf-8")
    (tmp_path / "3.jpg").touch()
    with open_source(str(tmp_path)) as source:
        assert [(frame.index, number_in(frame.image_bgr)) for frame in source.frames()] == [(0, 0), (2, 2)]
        assert source.faults == [
            "1.png: not a readable picture, passed over",
            "3.jpg: not a readable picture, passed over",
        ]
        assert source.counts == SourceCounts(captured=2, dropped=0, delivered=2)


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    write_notes(tmp_path)
    with pytest.raises(SourceError, match=r"no picture in this folder\. Expected files ending in .*\.jpg"):
        open_source(str(tmp_path))


def test_sixteen_bit_grey_and_alpha_become_eight_bit_colour(tmp_path: Path) -> None:
    levels = np.tile(np.linspace(0, 255, 64, dtype=np.uint8), (32, 1))
    colour = np.dstack([levels, levels[:, ::-1], levels])
    expected = {"grey.png": np.dstack([levels] * 3), "deep.png": colour, "deep_grey.png": np.dstack([levels] * 3)}
    write(tmp_path / "grey.png", levels)
    write(tmp_path / "deep.png", colour.astype(np.uint16) * 257)
    write(tmp_path / "deep_grey.png", levels.astype(np.uint16) * 257)
    for name, image in expected.items():
        found = read_picture(tmp_path / name)
        assert found is not None and found.dtype == np.uint8 and found.shape == (32, 64, 3)
        assert np.abs(found.astype(int) - image).max() <= 1, name


@pytest.mark.parametrize("deep", [False, True])
def test_what_is_transparent_lies_on_white(tmp_path: Path, deep: bool) -> None:
    image = np.zeros((20, 30, 4), np.uint8)
    image[:, 15:] = (10, 200, 30, 255)
    path = write(tmp_path / "alpha.png", image.astype(np.uint16) * 257 if deep else image)
    found = read_picture(path)
    assert found is not None
    assert found[5, 3].tolist() == [255, 255, 255]
    assert found[5, 20].tolist() == [10, 200, 30]


@pytest.mark.parametrize(
    ("orientation", "turns", "mirrored"), [(1, 0, False), (3, 2, False), (6, 3, False), (2, 0, True)]
)
def test_a_photograph_is_turned_by_its_exif(tmp_path: Path, orientation: int, turns: int, mirrored: bool) -> None:
    image = np.zeros((40, 64, 3), np.uint8)
    image[:20, :32] = 255
    data = cv2.imencode(".jpg", image)[1].tobytes()
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([orientation, 0, 0, 0]) + b"\0\0\0\0"
    path = tmp_path / "photo.jpg"
    path.write_bytes(data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:])
    found = read_picture(path)
    upright = np.rot90(image[:, ::-1] if mirrored else image, turns)
    assert found is not None and found.shape == upright.shape
    assert np.abs(found.astype(int) - upright).mean() < 5


def write_notes(folder: Path) -> None:
    (folder / "notes.txt").write_text("nothing to see", encoding="utf-8")
