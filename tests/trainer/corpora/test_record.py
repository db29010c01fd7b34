"""Opening and loading: empty and foreign corpora, unreadable pictures, sets that nothing can be learned from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from monitor.errors import BadInputError
from monitor.schema import Image
from tests.trainer.corpora.trees import ATTENTION, picture, write_picture
from tests.trainer.shards import write_shard
from trainer.corpora.open import open_corpus
from trainer.corpora.record import NO_LABEL, Corpus, Item, require_classes
from trainer.corpora.synthetic import read_shard


def write_table(folder: Path, count: int, *, broken: int = 0) -> Path:
    lines = ["file,person,label,glasses"]
    for number in range(count):
        path = write_picture(folder / f"{number}.png", number)
        if number < broken:
            path.write_bytes(b"")
        lines.append(f"{path.name},p{number // 2},{ATTENTION.names[number % 3]},{number % 2}")
    (folder / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_pictures_with_a_table(tmp_path: Path) -> None:
    corpus = open_corpus(write_table(tmp_path, 6), ATTENTION)
    assert [item.label for item in corpus.items] == [0, 1, 2, 0, 1, 2]
    assert corpus.items[3].groups == {"glasses": "1"}
    pictures = corpus.load(corpus.items[::-1], 48)
    assert pictures.persons == ("p2", "p2", "p1", "p1", "p0", "p0")
    assert (pictures.images_rgb[-1] == picture(0)[:, 8:56, ::-1]).all()  # 64 x 48: the centred square
    assert np.isnan(pictures.angles_deg).all()


def test_a_few_unreadable_pictures_are_named_and_skipped_many_are_refused(tmp_path: Path) -> None:
    corpus = open_corpus(write_table(tmp_path, 10, broken=3), ATTENTION)
    pictures = corpus.load(corpus.items, 16)
    assert len(pictures) == 7
    assert [refusal.what for refusal in pictures.skipped] == ["0.png", "1.png", "2.png"]
    with pytest.raises(
        BadInputError, match=r"3 of 4 pictures cannot be used, more than the limit of 2% \(0.png: an em"
    ):
        corpus.load(corpus.items[:4], 16)
    with pytest.raises(BadInputError, match="no pictures asked for"):
        corpus.load([], 16)


def test_a_head_is_cut_out_first_where_that_is_asked_for(tmp_path: Path) -> None:
    corpus = open_corpus(write_table(tmp_path, 8), ATTENTION)

    def corner(whole: Image) -> Image | None:
        return None if (whole == picture(2)[:, :, ::-1]).all() else whole[:20, :20]

    pictures = corpus.load(corpus.items, 20, cut=corner)
    assert (pictures.images_rgb[0] == picture(0)[:20, :20, ::-1]).all()
    assert [(refusal.what, refusal.why) for refusal in pictures.skipped] == [("2.png", "nobody found in it")]


def test_rendered_students_by_folder_with_angles_and_boxes(tmp_path: Path) -> None:
    write_shard(tmp_path / "train", 0, pictures=40, size=64)
    write_shard(tmp_path / "hard", 1, pictures=40, size=64)
    write_shard(tmp_path / "hard", 2, pictures=4, size=64).with_suffix(".jsonl").unlink()
    corpus = open_corpus(tmp_path, ATTENTION)
    assert corpus.name == "synthetic" and len(corpus.items) == 80
    assert [refusal.why for refusal in corpus.refused] == ["a shard without its truth"]
    hard = [item for item in corpus.items if item.part == "hard"]
    assert len({item.item_id for item in corpus.items}) == 80
    whole = read_shard(tmp_path / "hard" / "shard_00001.npz", ATTENTION.names)
    loaded = corpus.load(hard[::-1], 32)
    assert (loaded.labels == whole.labels[::-1]).all() and (loaded.angles_deg == whole.angles_deg[::-1]).all()
    assert np.allclose(loaded.face_boxes_px[0], [12, 12, 52, 52])
    assert (loaded.labels == NO_LABEL).sum() == 2
    assert loaded.groups[0] == {"glasses": True}


def test_what_is_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no such corpus"):
        open_corpus(tmp_path / "absent", ATTENTION)
    with pytest.raises(BadInputError, match="not a corpus known here"):
        open_corpus(tmp_path, ATTENTION)
    with pytest.raises(BadInputError, match=r"no kind of corpus 'imagenet'; known are auto, classroom, synthetic"):
        open_corpus(tmp_path, ATTENTION, "imagenet")
    (tmp_path / "notes.txt").write_text("?", encoding="utf-8")
    with pytest.raises(BadInputError, match=r"notes.txt: not a corpus known here"):
        open_corpus(tmp_path / "notes.txt", ATTENTION)
    with pytest.raises(BadInputError, match=r"notes.txt: a file, expected the corpus's folder for 'engagenet'"):
        open_corpus(tmp_path / "notes.txt", ATTENTION, "engagenet")
    with pytest.raises(BadInputError, match=r"a folder, expected the file of a store for 'classroom'"):
        open_corpus(tmp_path, ATTENTION, "classroom")
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper" / "readme.txt").write_text("?", encoding="utf-8")
    with pytest.raises(BadInputError, match=r"an empty corpus \(student_engagement\).*readme.txt: not a picture"):
        open_corpus(tmp_path, ATTENTION)


def test_sets_that_nothing_can_be_learned_from() -> None:
    def items(*labels: int) -> list[Item]:
        return [Item(f"i{n}", "", None, label, "p", "v") for n, label in enumerate(labels)]

    require_classes(items(0, 1, NO_LABEL), ATTENTION.names, "train")
    with pytest.raises(BadInputError, match="train: no labelled picture among 1"):
        require_classes(items(NO_LABEL), ATTENTION.names, "train")
    with pytest.raises(BadInputError, match="all 2 labelled pictures are 'paper'; with one class"):
        require_classes(items(1, 1, NO_LABEL), ATTENTION.names, "train")
    with pytest.raises(BadInputError, match="label number 3, the rubric has 3"):
        require_classes(items(1, 3), ATTENTION.names, "train")


def test_an_item_of_nobody_and_no_video_has_no_side() -> None:
    item = Item("i0", "x.jpg", None, 0, "", "")
    assert Corpus("x", ATTENTION.names, (item,), (), lambda items: iter(())).items == (item,)
    with pytest.raises(BadInputError, match="i0: neither a person nor a video is known"):
        assert item.owner
