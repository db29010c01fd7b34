"""Labels of single pictures: what can be judged is, what cannot says why and does not stop the others."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from monitor.config import MonitorSettings
from monitor.still import label_pictures
from tests.galleries import person_picture

PERSON = person_picture(3)


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        ("plain.png", PERSON),
        ("grey.png", cv2.cvtColor(PERSON, cv2.COLOR_BGR2GRAY)),
        ("deep.png", PERSON.astype(np.uint16) * 257),
        ("alpha.png", np.dstack([PERSON, np.full(PERSON.shape[:2], 200, np.uint8)])),
        ("tall.png", PERSON[:, :40]),
        ("large.jpg", cv2.resize(PERSON, (4000, 4000))),
        ("small.png", cv2.resize(PERSON, (8, 8))),
    ],
)
def test_pictures_of_every_kind_are_judged(tmp_path: Path, name: str, picture: np.ndarray) -> None:
    cv2.imwrite(str(tmp_path / name), picture)
    (answer,) = label_pictures([tmp_path / name], MonitorSettings(), whole=True)
    assert isinstance(answer, dict), answer
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    x1, y1, x2, y2 = answer["box"]
    assert 0 <= x1 < x2 <= picture.shape[1] and 0 <= y1 < y2 <= picture.shape[0]


def test_one_student_is_judged_by_the_head_or_else_by_all_there_is(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 40, (120, 160, 3), dtype=np.uint8)
    paths = [tmp_path / "person.png", tmp_path / "room.png"]
    for path, picture in zip(paths, (PERSON, noise), strict=True):
        cv2.imwrite(str(path), picture)
    person, nobody = label_pictures(paths, MonitorSettings(), whole=True)
    (found,) = label_pictures(paths[:1], MonitorSettings())
    assert isinstance(person, dict) and isinstance(nobody, dict) and isinstance(found, dict)
    assert person["box"] == found["box"] and person["probabilities"] == found["probabilities"]
    assert nobody["box"] == [0, 0, 160, 120]


def test_depth_does_not_change_the_answer(tmp_path: Path) -> None:
    paths = [tmp_path / "plain.png", tmp_path / "deep.png"]
    cv2.imwrite(str(paths[0]), PERSON)
    cv2.imwrite(str(paths[1]), PERSON.astype(np.uint16) * 257)
    plain, deep = label_pictures(paths, MonitorSettings(), whole=True)
    assert isinstance(plain, dict) and isinstance(deep, dict)
    assert plain["probabilities"] == deep["probabilities"]


def test_what_cannot_be_judged_says_why_and_the_others_go_on(tmp_path: Path) -> None:
    for name, picture in (
        ("dot.png", np.full((1, 1, 3), 9, np.uint8)),
        ("black.png", np.zeros((64, 64, 3), np.uint8)),
        ("good.png", PERSON),
    ):
        cv2.imwrite(str(tmp_path / name), picture)
    (tmp_path / "text.png").write_text("not a picture", encoding="utf-8")
    (tmp_path / "cut.jpg").write_bytes(cv2.imencode(".jpg", PERSON)[1].tobytes()[:100])
    names = ["dot.png", "black.png", "text.png", "cut.jpg", "missing.png", ".", "good.png"]
    *told, good = label_pictures([tmp_path / name for name in names], MonitorSettings(), whole=True)
    expected = [
        "too small to show a student: expected at least 8 x 8 pixels, found 1 x 1",
        "one flat colour, nobody can be seen",
        "not a picture that can be read (13 bytes)",
        "not a picture that can be read (100 bytes)",
        "no such file",
        "a folder, expected a picture",
    ]
    for name, message, words in zip(names, told, expected, strict=False):
        assert isinstance(message, str)
        assert words in message
        assert str(tmp_path / name) in message
    assert isinstance(good, dict)


def test_a_room_without_anybody(tmp_path: Path) -> None:
    path = tmp_path / "room.png"
    noise = np.random.default_rng(0).integers(0, 40, (120, 160, 3), dtype=np.uint8)
    cv2.imwrite(str(path), noise)
    (message,) = label_pictures([path], MonitorSettings())
    assert isinstance(message, str)
    assert "no student found; if the picture is one student's head, add --whole" in message
