"""Labelled stills in, figures out; what cannot be read is named."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from monitor.errors import BadInputError
from monitor.sources.stills import read_picture
from monitor.vlm.pixels import fit_square
from trainer.evaluation.held_out import figures, read_stills

LABELS = ("screen", "paper", "wander")


def _stills(folder: Path, label: str = "paper") -> Path:
    cv2.imwrite(str(folder / "a.png"), np.full((90, 100, 3), (10, 20, 200), dtype=np.uint8))
    cv2.imwrite(str(folder / "b.png"), np.full((50, 60), 77, dtype=np.uint8))
    rows = f"file,set,person,label\na.png,x,ann,screen\nb.png,x,bob,{label}\n"
    (folder / "labels.csv").write_text(rows, encoding="utf-8")
    return folder


def test_stills_of_any_size_and_grey_ones_come_as_rgb_squares(tmp_path: Path) -> None:
    pictures = read_stills(_stills(tmp_path), LABELS)
    assert pictures.images_rgb.shape == (2, 128, 128, 3)
    assert pictures.images_rgb[0, 5, 5].tolist() == [200, 20, 10]
    assert pictures.images_rgb[1, 5, 5].tolist() == [77, 77, 77]
    assert pictures.labels.tolist() == [0, 1]
    assert pictures.persons == ("ann", "bob")


def test_what_is_wrong_with_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"no labels\.csv"):
        read_stills(tmp_path, LABELS)
    with pytest.raises(BadInputError, match="'asleep' is not one of screen, paper, wander"):
        read_stills(_stills(tmp_path, label="asleep"), LABELS)
    (tmp_path / "b.png").write_text("no picture", encoding="utf-8")
    with pytest.raises(BadInputError, match=r"b\.png: not a picture"):
        read_stills(tmp_path, LABELS)


def test_figures_of_a_perfect_and_of_a_blind_judge() -> None:
    truth = np.array([0, 1, 2, 0, 1, 2])
    persons = ["a", "a", "a", "b", "b", "b"]
    perfect = figures(np.eye(3)[truth] * 0.97 + 0.01, truth, persons, LABELS, draws=20)
    assert perfect["macro_f1"] == 1.0 and perfect["macro_f1_interval"] == [1.0, 1.0]
    assert perfect["ece"] == pytest.approx(0.02, abs=1e-6)
    blind = figures(np.full((6, 3), 1 / 3), truth, persons, LABELS, draws=20)
    assert blind["macro_f1"] == blind["majority_macro_f1"] == pytest.approx(1 / 6, abs=1e-3)


def test_a_still_is_read_as_the_runtime_reads_it(tmp_path: Path) -> None:
    """The same pixels on both sides, whatever the picture's shape: smaller, larger, not square."""
    chance = np.random.default_rng(0)
    shapes = [(60, 60), (300, 300), (120, 128), (90, 160)]
    rows = []
    for number, (height, width) in enumerate(shapes):
        cv2.imwrite(str(tmp_path / f"{number}.png"), chance.integers(0, 256, (height, width, 3), dtype=np.uint8))
        rows.append(f"{number}.png,p{number},screen")
    (tmp_path / "labels.csv").write_text("file,person,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    stills = read_stills(tmp_path, LABELS)
    for number, image_rgb in enumerate(stills.images_rgb):
        picture_bgr = read_picture(tmp_path / f"{number}.png")
        assert picture_bgr is not None
        assert np.array_equal(image_rgb, fit_square(picture_bgr, 128)[:, :, ::-1])
