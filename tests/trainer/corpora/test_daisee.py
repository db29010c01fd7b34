"""DAiSEE: clips of both kinds, the header with its space, stills once a second, people by clip number, new labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.errors import BadInputError
from monitor.rubric import load_rubric
from tests.recordings import cut, number_in
from tests.trainer.corpora.trees import ATTENTION, write_clip, write_daisee
from trainer.corpora.open import open_corpus
from trainer.corpora.record import NO_LABEL, whole

LEVELS = load_rubric("daisee-engagement", research=True)
CLIPS = {
    "1100011002.avi": ("Train", 2),
    "1100022003.mp4": ("Train", 0),
    "4000221001.avi": ("Test", 3),
}


@pytest.fixture(scope="module")
def daisee(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_daisee(tmp_path_factory.mktemp("daisee"), CLIPS)
    lists = folder / "GenderClips"
    lists.mkdir()
    (lists / "Males.txt").write_text("1100011002.avi \n", encoding="utf-8")
    (lists / "Females.txt").write_text("4000221001\n", encoding="utf-8")
    return folder


def test_stills_once_a_second_with_the_level_of_their_clip(daisee: Path) -> None:
    corpus = open_corpus(daisee, LEVELS)
    assert corpus.name == "daisee" and corpus.refused == ()
    found = {item.item_id: (item.label, item.person, item.part) for item in corpus.items}
    assert len(found) == 9
    assert found["1100011002_0"] == (2, "daisee-110001", "train")
    assert found["1100022003_2"] == (0, "daisee-110002", "train")
    assert found["4000221001_1"] == (3, "daisee-400022", "test")
    genders = {item.video: item.groups.get("gender") for item in corpus.items}
    assert genders == {"1100011002": "male", "1100022003": None, "4000221001": "female"}


def test_a_still_is_the_frame_of_its_second(daisee: Path) -> None:
    corpus = open_corpus(daisee, LEVELS)
    wanted = [item for item in corpus.items if item.frame != 1][::-1]
    numbers = {
        wanted[place].item_id: number_in(still)
        for place, still in corpus.pictures(wanted)
        if not isinstance(still, str)
    }
    # Four frames a second, a still in the middle of each second.
    assert numbers == {item.item_id: 4 * (item.frame or 0) + 2 for item in wanted}
    pictures = corpus.load(wanted, 24, cut=whole)
    assert [item.item_id for item in pictures.items] == [item.item_id for item in wanted]
    with pytest.raises(
        BadInputError, match=r"6 of 6 pictures cannot be used, more than the limit of 25%.*nobody found"
    ):
        corpus.load(wanted, 24)


def test_under_another_rubric_only_new_labels_count(daisee: Path) -> None:
    assert {item.label for item in open_corpus(daisee, ATTENTION).items} == {NO_LABEL}
    table = daisee / "Labels" / "attention.csv"
    rows = "1100011002.avi,0,paper\n1100022003.mp4,,Screen \n1100022003.mp4,1,wander\n1100011002,7,wander\n"
    table.write_text("ClipID , Second,Label\n" + rows, encoding="utf-8-sig")
    corpus = open_corpus(daisee, ATTENTION)
    found = {item.item_id: item.label for item in corpus.items if item.label != NO_LABEL}
    assert found == {"1100011002_0": 1, "1100022003_0": 0, "1100022003_1": 2, "1100022003_2": 0}
    assert [refusal.what for refusal in corpus.refused] == ["1100011002, second 7"]
    table.write_text("ClipID,Second,Label\n1100011002.avi,0,asleep\n", encoding="utf-8")
    with pytest.raises(BadInputError, match=r"attention.csv, line 2: label 'asleep' is not one of"):
        open_corpus(daisee, ATTENTION)
    table.unlink()


def test_faults_are_named_and_counted(tmp_path: Path) -> None:
    folder = write_daisee(tmp_path, {"1100011002.avi": ("Train", 2), "1100011003.mp4": ("Train", 1)}, seconds=1.0)
    with (folder / "Labels" / "AllLabels.csv").open("a", encoding="utf-8") as table:
        table.write("5000441001.avi,0,1,0,0\n")
    home = folder / "DataSet" / "Train" / "110001"
    cut(home / "1100011003" / "1100011003.mp4", home / "1100011003" / "x.mp4", 0.3).replace(
        home / "1100011003" / "1100011003.mp4"
    )
    write_clip(home / "1100011004" / "1100011004.avi", 1.0)
    (home / "1100011005").mkdir()
    write_clip(home / "2100011002" / "2100011002.avi", 1.0)
    corpus = open_corpus(folder, LEVELS)
    assert [item.item_id for item in corpus.items] == ["1100011002_0"]
    assert sorted((Path(refusal.what).name, refusal.why) for refusal in corpus.refused) == [
        ("1100011003.mp4", "not a readable clip"),
        ("1100011004.avi", "a clip without a label"),
        ("1100011005", "a folder without its clip"),
        ("2100011002.avi", "in the folder of another user"),
        ("5000441001", "a label without its clip"),
    ]


def test_labels_that_cannot_be(tmp_path: Path) -> None:
    folder = write_daisee(tmp_path, {"1100011002.avi": ("Train", 2)}, seconds=1.0)
    table = folder / "Labels" / "TrainLabels.csv"
    table.write_text("ClipID,Engagement\n1100011002.avi,7\n", encoding="utf-8")
    with pytest.raises(BadInputError, match=r"TrainLabels.csv, line 2: engagement must be 0 to 3, found '7'"):
        open_corpus(folder, LEVELS)
    table.write_text("ClipID,Engagement\n1100011002.avi,1\n", encoding="utf-8")
    with pytest.raises(BadInputError, match="has level 1 here and 2 elsewhere"):
        open_corpus(folder, LEVELS)
    table.write_text("ClipID,Boredom\n1100011002.avi,1\n", encoding="utf-8")
    with pytest.raises(BadInputError, match="no column 'engagement', found clipid, boredom"):
        open_corpus(folder, LEVELS)
    for path in (folder / "Labels").iterdir():
        path.unlink()
    with pytest.raises(BadInputError, match="Copy the folder Labels again"):
        open_corpus(folder, LEVELS)
