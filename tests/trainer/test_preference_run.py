"""`classroom train preference`: the shipped configuration reads, and a tiny run goes from shards to an adapter."""

from pathlib import Path

import pytest

from monitor.errors import BadInputError
from monitor.vlm.checkpoint.adapters import read_manifest
from tests.trainer.configs import CONFIGS, with_changes
from tests.trainer.policies import write_base
from tests.trainer.shards import write_shard
from trainer.pairs import read_pairs
from trainer.preference_run import train_preference_run
from trainer.round_people import read_people
from trainer.round_settings import read_rounds

CONFIG = CONFIGS / "preference.toml"


def test_the_shipped_configuration_reads() -> None:
    text = CONFIG.read_text(encoding="utf-8")
    assert text.startswith("# classroom train preference --config trainer/configs/preference.toml")
    assert read_rounds(CONFIG).preference.method == "hadpo"


def test_from_shards_to_an_adapter(tmp_path: Path) -> None:
    for number in range(2):
        write_shard(tmp_path / "shards", number, pictures=60, size=32 * 4)
    base = write_base(tmp_path / "base", seed=2)
    small = {
        # Noise with a square in one of four places: nearly copies of each other.
        '"runs/renders/elsewhere"]': f'"{(tmp_path / "shards").as_posix()}"]\nrefuse_copies = false',
        "runs/embedded": base.as_posix(),
        "draws = 4": "draws = 1",
        "epochs = 2.0": "steps = 3",
        "batch_size = 32\nsft": "batch_size = 8\nsft",
    }
    config = with_changes(tmp_path / "config.toml", CONFIG.name, small)
    told: list[str] = []
    out = tmp_path / "run"
    adapter = train_preference_run(config, method="ipo", out=out, tell=told.append)
    assert read_manifest(adapter)["story"]["method"] == "ipo"
    pairs = read_pairs(out / "pairs.jsonl")
    assert {pair.origin for pair in pairs} >= {"disagreement", "extra"}
    assert set(read_people(out).values()) == {"train", "selection", "final"}
    assert any("before" in line and "after" in line for line in told)
    with pytest.raises(BadInputError, match="--resume"):
        train_preference_run(config, method="ipo", out=out)
    with pytest.raises(BadInputError, match="no run to resume"):
        train_preference_run(config, out=tmp_path / "other", resume=True)
    with pytest.raises(BadInputError, match="must be one of hadpo"):
        train_preference_run(config, method="sorpo", out=tmp_path / "other")
