"""EngageNet: sheets and CSV, odd spellings, clips without a student, students by the name of the clip."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.errors import BadInputError
from monitor.rubric import load_rubric
from tests.trainer.corpora.trees import ATTENTION, write_clip, write_sheet
from trainer.corpora.open import open_corpus
from trainer.corpora.record import NO_LABEL

LEVELS = load_rubric("engagenet", research=True)
TRAIN = {
    "subject_7_as2uk9lhe2_vid_0_0.mp4": "Not-Engaged",
    "subject_7_as2uk9lhe2_vid_0_1.mp4": "Barely-engaged",
    "subject_12_bb_vid_0_0.mp4": " barely-Engaged",
    "subject_12_bb_vid_0_1.mp4": "SNP(Subject Not Present)",
    "subject_12_bb_vid_0_2.mp4": "Highly-Engaged ",
}


@pytest.fixture
def engagenet(tmp_path: Path) -> Path:
    for name in TRAIN:
        write_clip(tmp_path / "Train" / name, 2.0)
    write_clip(tmp_path / "Test" / "subject_40_cc_vid_1_3.mp4", 2.0)
    rows = [("chunk", "label"), *TRAIN.items(), ("subject_99_dd_vid_0_0.mp4", "Engaged"), (None, None)]
    write_sheet(tmp_path / "train_engagement_labels.xlsx", rows)
    (tmp_path / "test_engagement_labels.csv").write_text(
        "chunk,label\nsubject_40_cc_vid_1_3.mp4,Engaged\n", encoding="utf-8"
    )
    return tmp_path


def test_clips_get_the_level_that_is_meant(engagenet: Path) -> None:
    corpus = open_corpus(engagenet, LEVELS)
    assert corpus.name == "engagenet"
    found = {item.video: (item.label, item.person, item.part) for item in corpus.items}
    assert found == {
        "subject_7_as2uk9lhe2_vid_0_0": (0, "engagenet-subject_7", "train"),
        "subject_7_as2uk9lhe2_vid_0_1": (1, "engagenet-subject_7", "train"),
        "subject_12_bb_vid_0_0": (1, "engagenet-subject_12", "train"),
        "subject_12_bb_vid_0_2": (3, "engagenet-subject_12", "train"),
        "subject_40_cc_vid_1_3": (2, "engagenet-subject_40", "test"),
    }
    assert len(corpus.items) == 10
    assert sorted(refusal.why for refusal in corpus.refused) == ["a label without its clip", "no student in it (SNP)"]


def test_under_attention_everybody_present_waits_for_a_label(engagenet: Path) -> None:
    write_clip(engagenet / "Train" / "unnamed.mp4", 1.0)
    (engagenet / "attention.csv").write_text(
        "chunk,second,label\nsubject_40_cc_vid_1_3.mp4,1,paper\n", encoding="utf-8"
    )
    corpus = open_corpus(engagenet, ATTENTION)
    assert {item.item_id: item.label for item in corpus.items if item.label != NO_LABEL} == {
        "subject_40_cc_vid_1_3_1": 1
    }
    assert len(corpus.items) == 10
    assert {refusal.why for refusal in corpus.refused} == {
        "a label without its clip",
        "no student in it (SNP)",
        "not named subject_<number>_...",
    }


def test_a_label_that_is_none_of_them(engagenet: Path) -> None:
    write_sheet(engagenet / "train_engagement_labels.xlsx", [("chunk", "label"), ("subject_7_x.mp4", "Disengaged")])
    with pytest.raises(BadInputError, match=r"train_engagement_labels.xlsx, line 2: label 'Disengaged' is none of"):
        open_corpus(engagenet, LEVELS)


def test_a_damaged_sheet_is_named(engagenet: Path) -> None:
    (engagenet / "train_engagement_labels.xlsx").write_bytes(b"PK not really")
    with pytest.raises(BadInputError, match=r"train_engagement_labels.xlsx: not a readable .xlsx"):
        open_corpus(engagenet, LEVELS)
