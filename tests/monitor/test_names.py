"""Names are read as they stand, accents and all, and what is no name is left out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.students.names import NameReader
from monitor.students.naming import clean_name, edit_distance, name_key, skeleton
from tests.monitor.real_gallery import frames, needs_recording


@pytest.fixture(scope="module")
def reader() -> NameReader:
    return NameReader()


@needs_recording
def test_reads_the_names_of_the_real_recording(reader: NameReader) -> None:
    labels = right = 0
    for frame, people in frames(every_s=30):
        tiles = [person.tile.cut(frame.image_bgr) for person in people]
        readings = reader.read(tiles, [not person.camera_on for person in people])
        for person, reading in zip(people, readings, strict=True):
            labels += 1
            right += reading is not None and name_key(reading.text) == name_key(person.name)
    assert labels > 60
    assert right / labels >= 0.98


def test_reads_nothing_where_nothing_is_written(reader: NameReader) -> None:
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (136, 240, 3), dtype=np.uint8)
    dark = np.full((136, 240, 3), 33, np.uint8)
    tiny = np.full((3, 5, 3), 33, np.uint8)
    assert reader.read([noise, dark, tiny], [False, True, True]) == [None, None, None]
    assert reader.read([]) == []


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("Ana Lopes", "Ana Lopes"),
        ("  Zoë   Martin (Host) ", "Zoë Martin"),
        ("José Peña (Host, me)", "José Peña"),
        ("Ida Holm (You)", "Ida Holm"),
        ("Megan K (she/her)", "Megan K (she/her)"),
        ("Karya D.", "Karya D."),
        ("*| Tom O'Neil", "Tom O'Neil"),
        ("y Tom O'Neil", "Tom O'Neil"),
        ("分Karim Benali", "Karim Benali"),
        ("李雷", "李雷"),
        ("X", None),
        ("%/", None),
        ("", None),
    ],
)
def test_labels_are_cleaned(label: str, name: str | None) -> None:
    assert clean_name(label) == name


@pytest.mark.parametrize(
    "same",
    [
        ("Zoë Martin", "ZOE MARTIN", "zoemartin"),
        ("Megan K (she/her)", "Megan K", "megan k (shelher)", "Megan K (SHE / HER", "Megan K (she/her))"),
        ("Łukasz Król", "Lukasz Krol"),
        ("Åsa Öberg", "asa oberg"),
    ],
)
def test_keys_fold_case_accents_spaces_and_pronouns(same: tuple[str, ...]) -> None:
    assert len({name_key(name) for name in same}) == 1


def test_keys_keep_apart_what_is_not_a_pronoun() -> None:
    assert name_key("Sam (Helen) ") != name_key("Sam")
    assert name_key("(they/them)") != ""
    assert skeleton(name_key("Iris Lang")) == skeleton(name_key("lris Iang"))
    assert skeleton(name_key("Ana")) != skeleton(name_key("Eva"))


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_edit_distance_is_a_distance(first: str, second: str) -> None:
    distance = edit_distance(first, second, limit=9)
    assert distance == edit_distance(second, first, limit=9)
    assert (distance == 0) == (first == second)
    assert abs(len(first) - len(second)) <= distance <= max(len(first), len(second))
