"""The head of the one student in a picture, cut as a tile's is."""

from __future__ import annotations

import numpy as np

from monitor.schema import Box
from monitor.students.crops import cut_crop
from monitor.students.faces import TILE_SIDE_PX, FaceFinder
from monitor.students.headcut import HeadCut
from tests.galleries import person_picture


def test_the_biggest_head_is_cut_as_the_monitor_cuts_it() -> None:
    small, big = person_picture(3)[::4, ::4], person_picture(5)
    both = np.full((360, 900, 3), 90, np.uint8)
    both[:, :640] = big
    both[:90, 700:860] = small
    box = FaceFinder().find([both], TILE_SIDE_PX)[0]
    biggest = max((one.box for one in box), key=lambda one: one.area)
    crop = HeadCut()(both[:, :, ::-1])
    assert crop is not None and biggest.x2 <= 640
    assert (crop[:, :, ::-1] == cut_crop(both, biggest, Box(0, 0, 900, 360))).all()


def test_nobody_is_nobody() -> None:
    blank = np.full((120, 160, 3), 128, np.uint8)
    cut = HeadCut()
    assert cut(blank) is None
    assert cut.or_whole(blank) is blank, "somebody said that a student is in it"
    somebody = np.ascontiguousarray(person_picture(5)[:, :, ::-1])
    around = cut(somebody)
    assert around is not None and (cut.or_whole(somebody) == around).all()
    assert cut.or_whole(around) is around, "a crop is no picture to cut again"
