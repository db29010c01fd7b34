"""Rendered students as the monitor would cut them."""

from pathlib import Path

import numpy as np

from monitor.rubric import load_rubric
from monitor.schema import Box
from monitor.students.crops import cut_crop
from monitor.vlm.pixels import fit_square
from tests.trainer.shards import write_shard
from trainer.corpora.facecut import cut_around_faces
from trainer.corpora.synthetic import read_shard

NAMES = load_rubric("attention").names


def test_a_face_that_is_known_is_cut_as_one_that_is_found(tmp_path: Path) -> None:
    shard = read_shard(write_shard(tmp_path, 1), NAMES)
    shard.face_boxes_px[0] = (20, 16, 40, 44)
    shard.face_boxes_px[1] = np.nan
    shard.face_boxes_px[2] = (-9, -9, -2, -1)
    shard.face_boxes_px[3] = (2, 2, shard.images_rgb.shape[1] - 2, shard.images_rgb.shape[1] - 2)
    cut = cut_around_faces(shard)
    side = shard.images_rgb.shape[1]
    expected = fit_square(cut_crop(shard.images_rgb[0], Box(20, 16, 40, 44), Box(0, 0, side, side)), side)
    assert (cut.images_rgb[0] == expected).all()
    assert (cut.images_rgb[1:3] == shard.images_rgb[1:3]).all(), "no face is known in the picture: it stays"
    assert (cut.images_rgb[3] == shard.images_rgb[3]).all(), "it shows no more than a crop: it stays"
    assert np.isnan(cut.face_boxes_px).all()
    assert (cut.labels == shard.labels).all() and cut.persons == shard.persons
