"""From a corpus into the review queue and back as labels; the two commands as a person calls them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from classroom import app
from monitor.errors import BadInputError
from monitor.store.annotations import annotate
from monitor.store.database import Store
from monitor.store.reader import StoreReader
from monitor.store.records import Answer
from monitor.store.review import kept_crop, waiting
from tests.trainer.corpora.trees import ATTENTION, write_clip, write_daisee, write_picture
from trainer.corpora.inspection import inspect_corpus
from trainer.corpora.open import open_corpus
from trainer.corpora.record import NO_LABEL, whole
from trainer.corpora.review import crop_id_of, queue_stills


@pytest.fixture(scope="module")
def daisee(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clips = {
        f"{user}{clip:04d}.mp4": ("Train", 2) for user, count in ((110001, 3), (110002, 1)) for clip in range(count)
    }
    folder = write_daisee(tmp_path_factory.mktemp("daisee"), clips)
    write_clip(folder / "DataSet" / "Test" / "110003" / "1100030000" / "1100030000.mp4", 1.0).write_bytes(b"nothing")
    return folder


def test_stills_go_into_the_queue_and_come_back_labelled(daisee: Path, tmp_path: Path) -> None:
    corpus = open_corpus(daisee, ATTENTION)
    with Store.open(tmp_path / "a.db", durable=False) as store:
        first = queue_stills(corpus, store, ATTENTION, most=5, cut=whole)
        assert (first.queued, first.people, first.left, first.skipped) == (5, 2, 7, ())
        with StoreReader(store.path) as reader:
            queue = waiting(reader, "attention", "ada")
            crop = kept_crop(reader, queue[0].crop.crop_id)
        assert crop is not None and crop.picture is not None
        people = [entry.crop.person for entry in queue]
        assert sorted(Counter(people).values()) == [2, 3]
        assert people[0] != people[1]
        videos = [entry.crop.video for entry in queue if entry.crop.person == "daisee-110001"]
        assert len(set(videos)) == len(videos)
        second = queue_stills(corpus, store, ATTENTION, most=100, cut=whole, annotators=2)
        assert (second.queued, second.left) == (7, 0)
        with pytest.raises(BadInputError, match="nothing left to label under 'attention': of 12 pictures 12 have no"):
            queue_stills(corpus, store, ATTENTION, most=1, cut=whole)
        annotate(store, Answer(queue[0].crop.crop_id, "paper", "ada", may_train=True), ATTENTION)
        back = open_corpus(store.path, ATTENTION)
        (labelled,) = [item for item in back.items if item.label != NO_LABEL]
        assert labelled.label == 1 and labelled.person == people[0]
        ((_, original),) = corpus.pictures([item for item in corpus.items if item.item_id == crop.item_id])
        ((_, kept),) = back.pictures([labelled])
        assert not isinstance(original, str) and not isinstance(kept, str)
        assert np.array_equal(original, kept)
        with pytest.raises(BadInputError, match="a store's own crops"):
            queue_stills(back, store, ATTENTION, most=1)


def test_a_frame_without_anybody_is_skipped_and_named(daisee: Path, tmp_path: Path) -> None:
    corpus = open_corpus(daisee, ATTENTION)
    with Store.open(tmp_path / "a.db", durable=False) as store:
        done = queue_stills(corpus, store, ATTENTION, most=2)
    assert done.queued == 0
    assert {refusal.why for refusal in done.skipped} == {"nobody found in it"}


def test_ids_of_stills_are_short_words_and_never_the_same() -> None:
    assert crop_id_of("daisee", "1100011002_3") == "daisee.1100011002_3"
    odd = {crop_id_of("pictures", name) for name in ("a b.png", "a/b.png", "a_b.png", "ä" * 300, "ä" * 301)}
    assert len(odd) == 5
    assert all(len(name) < 100 and not set(name) & set(" /\\") for name in odd)


def test_inspect_counts_and_says_what_was_refused(daisee: Path) -> None:
    shown = CliRunner().invoke(app, ["corpus", "inspect", str(daisee)], env={"COLUMNS": "120"})
    assert shown.exit_code == 0, shown.output
    lines = [" ".join(line.split()) for line in shown.output.splitlines()]
    assert lines[0] == "daisee: 12 pictures, 2 students, 4 videos"
    assert "train 0 0 0 12 12" in lines
    assert "daisee-110001 0 0 0 9 9" in lines
    assert "Refused: 1" in lines
    assert any(line.startswith("1 not a readable clip: ") for line in lines)


def test_inspect_finds_students_on_two_sides_and_under_two_names(tmp_path: Path) -> None:
    for part, stem, seed in (("train", "1_1", 1), ("train", "1_2", 2), ("test", "2_7", 2), ("test", "1_9", 3)):
        write_picture(tmp_path / part / "paper" / f"{stem}.png", seed)
    arguments = ["corpus", "inspect", str(tmp_path), "--json"]
    found = json.loads(CliRunner().invoke(app, arguments).output)
    assert found["by_part"]["train"] == {"screen": 0, "paper": 2, "wander": 0, "unlabelled": 0}
    assert found["shared"] == ["1"] and found["copies"] is None
    read = inspect_corpus(replace(open_corpus(tmp_path, ATTENTION), frames=False), copies=True)
    assert read.copies is not None
    assert [(copy.pictures, copy.parts) for copy in read.copies] == [(("2_007", "1_002"), ("test", "train"))]


def test_annotate_says_how_many_wait(tmp_path: Path) -> None:
    lines = ["file,person,label"]
    for number in range(4):
        write_picture(tmp_path / f"{number}.png", number)
        lines.append(f"{number}.png,p{number % 2},{'paper' if number == 0 else ''}")
    (tmp_path / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    arguments = ["corpus", "annotate", str(tmp_path), "--store", str(tmp_path / "a.db"), "--most", "2"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("2 stills of 2 people wait in ")
    assert done.output.rstrip().endswith("a.db; 1 more are left.")
