"""The Student Engagement Dataset in both layouts, with frame numbers padded as it pleases them."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.errors import BadInputError
from monitor.rubric import load_rubric
from tests.trainer.corpora.trees import ATTENTION, write_picture, write_sed_captions
from trainer.corpora.open import open_corpus
from trainer.corpora.record import NO_LABEL, whole


def test_folders_of_classes_within_splits(tmp_path: Path) -> None:
    for part, name, stem in (
        ("train", "Screen", "165113_031"),
        ("train", "paper", "165113_32"),
        ("test", "Wander", "181423_0007"),
    ):
        write_picture(tmp_path / part / name / f"{stem}.jpg")
    (tmp_path / "train" / "paper" / "Thumbs.db").write_bytes(b"x")
    write_picture(tmp_path / "train" / "paper" / "cover.jpg")
    corpus = open_corpus(tmp_path, ATTENTION)
    found = {item.item_id: (item.label, item.video, item.frame, item.part) for item in corpus.items}
    assert corpus.name == "student_engagement"
    assert found == {
        "165113_031": (0, "165113", 31, "train"),
        "165113_032": (1, "165113", 32, "train"),
        "181423_007": (2, "181423", 7, "test"),
    }
    assert sorted(refusal.why for refusal in corpus.refused) == [
        "not a picture by its name",
        "not named <video>_<frame>",
    ]
    assert all(item.person == "" and item.owner == item.video for item in corpus.items)


def test_captions_find_their_frames_whatever_the_padding(tmp_path: Path) -> None:
    captions = {
        "165113_31": "screen",
        "165113_032": "paper",
        "181423_0032.jpg": "wander",
        "181423_99": "paper",
        "notaframe": "paper",
    }
    write_sed_captions(tmp_path / "train", {"165113_031": "", "165113_32": "", "181423_32": ""}, captions)
    write_sed_captions(
        tmp_path / "test", {"165113_31": "", "165113_0032": ""}, {"165113_31": "screen", "165113_32": "wander"}
    )
    (tmp_path / "students.csv").write_text("video,student\n165113,7\n", encoding="utf-8")
    corpus = open_corpus(tmp_path, ATTENTION)
    items = {item.item_id: item for item in corpus.items}
    assert {key: item.label for key, item in items.items()} == {
        "165113_031": 0,
        "165113_032": NO_LABEL,  # paper in one split and wander in the other: nobody knows
        "181423_032": 2,
    }
    assert items["165113_031"].owner == "sed-7" and items["181423_032"].owner == "181423"
    assert sorted(refusal.why for refusal in corpus.refused) == [
        "a caption without its picture",
        "not named <video>_<frame>",
        "the same frame again",
        "the same frame, two labels",
    ]
    pictures = corpus.load(corpus.items, 32, cut=whole)
    assert pictures.images_rgb.shape == (3, 32, 32, 3)
    assert set(pictures.persons) == {"sed-7", "181423"}


@pytest.mark.parametrize("caption", ["Person is asleep", "Person looks from the screen to the paper"])
def test_a_caption_tells_one_class_or_the_corpus_is_refused(tmp_path: Path, caption: str) -> None:
    write_sed_captions(tmp_path, {"1_1": ""}, {"1_1": caption})
    with pytest.raises(BadInputError, match=r"filter_cap.json, annotation 1: caption .* exactly one of"):
        open_corpus(tmp_path, ATTENTION)


def test_captions_that_are_none(tmp_path: Path) -> None:
    write_sed_captions(tmp_path, {}, {})
    (tmp_path / "filter_cap.json").write_text('{"annotations": {"image_id": "1_1"}}', encoding="utf-8")
    with pytest.raises(BadInputError, match=r"filter_cap.json: expected \{\"annotations\""):
        open_corpus(tmp_path, ATTENTION)


def test_labels_of_another_rubric_do_not_fit(tmp_path: Path) -> None:
    write_picture(tmp_path / "paper" / "1_1.jpg")
    with pytest.raises(BadInputError, match=r"label 'paper' is not one of the rubric's \(engagenet\)"):
        open_corpus(tmp_path, load_rubric("engagenet", research=True))
