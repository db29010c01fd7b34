"""Shards in, pictures out; people stay on their side of the split, new shards are taken up."""

from pathlib import Path

import numpy as np
import pytest
import torch

from monitor.errors import BadInputError
from tests.trainer.shards import LABELS, write_shard
from trainer.corpora.record import NO_LABEL, join
from trainer.corpora.synthetic import list_shards, read_shard
from trainer.feed import Feed
from trainer.split import is_development, share_of
from trainer.synthetic.recipe import Recipe


def test_a_shard_comes_back_with_its_truth(tmp_path: Path) -> None:
    pictures = read_shard(write_shard(tmp_path, 3), LABELS)
    assert len(pictures) == 120
    assert pictures.images_rgb.shape == (120, 128, 128, 3)
    assert (pictures.labels == NO_LABEL).sum() == 6
    down = pictures.labels == LABELS.index("paper")
    assert (pictures.angles_deg[down, 3] == 45).all()
    assert pictures.persons[:5] == ("p3-0",) * 4 + ("p3-1",)


def test_a_shard_without_truth_is_not_ready(tmp_path: Path) -> None:
    write_shard(tmp_path, 0)
    write_shard(tmp_path, 1).with_suffix(".jsonl").unlink()
    assert [path.name for path in list_shards(tmp_path)] == ["shard_00000.npz"]


def test_damaged_shards_are_named(tmp_path: Path) -> None:
    cut = write_shard(tmp_path, 0)
    cut.write_bytes(cut.read_bytes()[:5000])
    with pytest.raises(BadInputError, match=r"shard_00000\.npz: not a shard"):
        read_shard(cut, LABELS)
    short = write_shard(tmp_path, 1)
    lines = short.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    short.with_suffix(".jsonl").write_text("".join(lines[:-2]), encoding="utf-8")
    with pytest.raises(BadInputError, match="120 pictures but 118 lines"):
        read_shard(short, LABELS)
    with pytest.raises(BadInputError, match="label 'paper' is not one"):
        read_shard(write_shard(tmp_path, 2), ("screen", "wander"))


def test_nowhere_to_read_from(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no such folder of shards"):
        list_shards(tmp_path / "absent")
    with pytest.raises(BadInputError, match="no shards to train on"):
        Feed([tmp_path], LABELS, 0.1)


def test_people_stay_on_their_side(tmp_path: Path) -> None:
    write_shard(tmp_path, 0, pictures=400)
    feed = Feed([tmp_path], LABELS, 0.3)
    first = set(feed.development(10**6).persons)
    assert 10 < len(first) < 50
    write_shard(tmp_path, 1, pictures=400)
    before = feed.size
    assert feed.refresh() == 1 and feed.refresh() == 0
    assert feed.size > before
    assert first <= set(feed.development(10**6).persons)
    assert all(is_development(person, 0.3) for person in feed.development(10**6).persons)


def test_an_epoch_deals_every_picture_once(tmp_path: Path) -> None:
    write_shard(tmp_path, 0)
    write_shard(tmp_path, 1)
    feed = Feed([tmp_path], LABELS, 0.0)
    batches = list(feed.epoch(48, torch.Generator().manual_seed(0)))
    assert [len(batch.labels) for batch in batches] == [48] * 5
    sums = torch.cat([batch.images.flatten(1).long().sum(1) for batch in batches])
    whole = join([read_shard(path, LABELS) for path in list_shards(tmp_path)])
    assert sorted(sums.tolist()) == sorted(whole.images_rgb.reshape(240, -1).astype(np.int64).sum(1).tolist())


def test_pictures_of_older_recipes_keep_to_the_limits(tmp_path: Path) -> None:
    write_shard(tmp_path, 0)
    whole, far = (
        next(Feed([tmp_path], LABELS, 0.0, limits=limits).epoch(120, torch.Generator().manual_seed(0)))
        for limits in (None, Recipe(name="far", wander_aside_deg=60.0, wander_up_deg=20.0))
    )
    wander = LABELS.index("wander")
    assert (whole.labels == wander).sum() > 10
    assert (far.labels == wander).sum() == 0, "all of them look 50 degrees aside"
    others = whole.labels != wander
    assert torch.equal(far.labels[others], whole.labels[others])
    assert torch.equal(far.angles_deg, whole.angles_deg), "the angles teach on"


def test_shares_are_even_and_fixed() -> None:
    shares = [share_of(f"r{number}") for number in range(2000)]
    assert abs(float(np.mean(shares)) - 0.5) < 0.02
    assert share_of("r1") == share_of("r1")
    with pytest.raises(ValueError, match="must be in"):
        is_development("r1", 1.0)
