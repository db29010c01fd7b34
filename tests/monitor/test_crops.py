"""One definition of a crop: square, around the head, and never a look at the neighbour."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.schema import Box
from monitor.students.crops import CROP_SCALE, cut_crop


@pytest.fixture
def frame() -> np.ndarray:
    """Two tiles side by side, black and white, with one red pixel in the first."""
    image = np.zeros((100, 200, 3), np.uint8)
    image[:, 100:] = 255
    image[50, 40] = (0, 0, 255)
    return image


def test_the_face_is_in_the_middle_at_the_agreed_scale(frame: np.ndarray) -> None:
    crop = cut_crop(frame, Box(31, 41, 50, 61), Box(0, 0, 100, 100))
    side = round(CROP_SCALE * 20)
    assert crop.shape == (side, side, 3)
    row, column = np.argwhere(crop[:, :, 2] == 255)[0]
    assert abs(row - side / 2) <= 1
    assert abs(column - side / 2) <= 1


def test_the_neighbour_is_never_seen(frame: np.ndarray) -> None:
    crop = cut_crop(frame, Box(80, 30, 100, 60), Box(0, 0, 100, 100))
    assert not crop.any()


def test_without_a_face_the_middle_of_the_tile(frame: np.ndarray) -> None:
    crop = cut_crop(frame, None, Box(0, 20, 100, 80))
    assert crop.shape == (60, 60, 3)
    assert crop[30, 20].tolist() == [0, 0, 255]


def test_edge_pixels_are_repeated_outside(frame: np.ndarray) -> None:
    frame[0, :100] = (10, 20, 30)
    crop = cut_crop(frame, Box(40, 0, 60, 20), Box(0, 0, 100, 100))
    assert (crop[:6] == (10, 20, 30)).all()


def test_a_tile_outside_the_frame_is_refused(frame: np.ndarray) -> None:
    with pytest.raises(ValueError, match="200 x 100 frame"):
        cut_crop(frame, None, Box(300, 0, 400, 50))


@given(st.integers(0, 99), st.integers(0, 99), st.integers(1, 90), st.integers(1, 90))
def test_always_square_and_never_a_view(x: int, y: int, width: int, height: int) -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    crop = cut_crop(image, Box(x, y, x + width, y + height), Box(0, 0, 100, 100))
    assert crop.shape[0] == crop.shape[1] == max(1, round(CROP_SCALE * max(width, height)))
    assert crop.flags.c_contiguous
