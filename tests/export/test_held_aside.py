"""The pictures that judge: students set aside, what all agree on, nobody who opted out; renders; a folder instead."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from export.held_aside import FOLDER, RENDERS, STORE, are_rendered, gather, read_aside, read_parts, students_in
from monitor.errors import BadInputError
from monitor.rubric import load_rubric
from monitor.store.annotations import annotate, keep_crop
from monitor.store.database import Store
from monitor.store.erasure import set_opt_out
from monitor.store.held_aside import held_aside, make_key
from monitor.store.people import merge
from monitor.store.records import Answer
from tests.export.checkpoints import write_shards
from tests.export.registry.models import color_picture, write_pictures
from tests.monitor.builders import lecture, moment

RUBRIC = load_rubric("attention")
STUDENTS = [f"s{number:02d}" for number in range(1, 21)]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """20 students, each seen alone; two crops of each are labelled."""
    path = tmp_path / "class.db"
    make_key(path, b"k" * 32, 0.5)
    with Store.open(path, durable=False) as opened:
        opened.begin_lecture(lecture())
        for number, student in enumerate(STUDENTS):
            opened.commit(moment(number, students=[student]))
            for label in (0, 1):
                png = cv2.imencode(".png", color_picture(label, number))[1].tobytes()
                keep_crop(opened, f"{student}-{label}", png, ("algebra", student, float(label)))
                annotate(opened, Answer(f"{student}-{label}", RUBRIC.names[label], "ada"), RUBRIC)
    return path


def aside_in(path: Path) -> list[str]:
    return [student for student in STUDENTS if held_aside(path).set_aside(student)]


def test_only_students_set_aside_judge(store: Path) -> None:
    found = read_aside(store, RUBRIC.names, "attention")
    assert Counter(found.students) == dict.fromkeys(aside_in(store), 2)
    assert Counter(found.truth) == {0: len(aside_in(store)), 1: len(aside_in(store))}
    pictures = found.at_side_px(16)
    assert pictures.pixels.shape == (2 * len(aside_in(store)), 16, 16, 3)
    reds = pictures.pixels[..., 0].mean(axis=(1, 2)) > pictures.pixels[..., 1].mean(axis=(1, 2))
    assert (reds == (pictures.truth == 0)).all()  # red-green-blue


def test_disagreement_doubt_and_opting_out_leave_crops_out(store: Path) -> None:
    first, second, third, *_ = aside_in(store)
    with Store.open(store, durable=False) as opened:
        annotate(opened, Answer(f"{first}-0", "wander", "bob"), RUBRIC)
        annotate(opened, Answer(f"{second}-0", None, "ada"), RUBRIC)
        set_opt_out(opened, third, True)
    counts = Counter(read_aside(store, RUBRIC.names, "attention").students)
    assert (counts[first], counts[second], counts[third]) == (1, 1, 0)


def test_who_was_merged_with_somebody_taught_does_not_judge(store: Path) -> None:
    aside = aside_in(store)
    free = next(student for student in STUDENTS if student not in aside)
    with Store.open(store, durable=False) as opened:
        merge(opened, aside[0], free)
        merge(opened, aside[1], aside[2])
    counts = Counter(read_aside(store, RUBRIC.names, "attention").students)
    assert (counts[aside[0]], counts[aside[1]]) == (0, 4)


def test_renders_ship_with_every_label_and_many_people() -> None:
    pictures = gather(read_parts(Path("nowhere.db"), None, RUBRIC.names, "attention"), 32)
    assert pictures.pixels.shape[1:] == (32, 32, 3)
    assert len(set(pictures.people)) == len(pictures) > 400
    assert min(Counter(pictures.truth.tolist()).values()) > 120
    assert are_rendered(pictures).all()
    assert students_in(pictures) == frozenset()


def test_a_folder_takes_the_place_of_the_renders(store: Path, tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "folder", people=3)
    parts = read_parts(store, folder, RUBRIC.names, "attention")
    assert [part.name for part in parts] == [FOLDER, STORE]
    pictures = gather(parts, 16)
    assert Counter(group["set"] for group in pictures.groups) == {FOLDER: 27, STORE: 2 * len(aside_in(store))}
    assert not are_rendered(pictures).any()
    assert students_in(pictures) == frozenset(aside_in(store))
    assert RENDERS not in {group["set"] for group in pictures.groups}


def test_shards_show_nobodys_students(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "shards", 12)
    pictures = gather(read_parts(Path("nowhere.db"), folder, RUBRIC.names, "attention"), 16)
    assert are_rendered(pictures).all()


def test_other_labels_than_the_renders_show_need_a_folder() -> None:
    with pytest.raises(BadInputError, match="--heldout FOLDER"):
        gather(read_parts(Path("nowhere.db"), None, ("engaged", "bored"), "mine"), 16)


def test_a_stored_label_that_the_model_lacks_is_named(store: Path) -> None:
    with pytest.raises(BadInputError, match=r"crop s\d+-0: label 'screen' is not one of the model's: paper, wander"):
        read_aside(store, ("paper", "wander"), "attention")


def test_the_same_pictures_at_each_size(store: Path) -> None:
    parts = read_parts(store, None, RUBRIC.names, "attention")
    small, big = gather(parts, 16), gather(parts, 64)
    assert (small.people == big.people).all()
    assert (small.truth == big.truth).all()
    halves = np.stack([cv2.resize(picture, (16, 16), interpolation=cv2.INTER_AREA) for picture in big.pixels[:20]])
    assert np.abs(halves.astype(int) - small.pixels[:20].astype(int)).mean() < 6
