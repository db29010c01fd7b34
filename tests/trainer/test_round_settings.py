"""The configuration of rounds: the shipped ones read, and each mistake is named."""

from pathlib import Path

import pytest

from monitor.errors import BadInputError
from tests.trainer.configs import CONFIGS
from trainer.round_settings import read_rounds

GOOD = "name = 'x'\n[data]\ncorpora = ['a']\n[model]\nbase = 'b'\n"


@pytest.mark.parametrize("name", ["rounds.toml", "rounds-tiny.toml"])
def test_shipped_configurations_read(name: str) -> None:
    text = (CONFIGS / name).read_text(encoding="utf-8")
    assert text.startswith(f"# classroom train rounds --config trainer/configs/{name}\n")
    settings = read_rounds(CONFIGS / name)
    assert settings.name == name.removesuffix(".toml")
    assert settings.pairs.extra_share == 0.3
    assert (settings.preference.beta, settings.preference.gamma) == (0.1, 0.5)
    assert "out" not in settings.as_dict()
    assert "parts_of" not in settings.as_dict()["data"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "[pairs]\nextra = 0.3", r"\[pairs\]: unknown key 'extra'"),
        (GOOD + "[pairs]\nextra_share = 1.5", "three shares lie in 0 to 1"),
        (GOOD + "[preference]\nmethod = 'ppo'", "'method' must be one of hadpo"),
        (GOOD + "[preference]\nmethod = 'robust'\nepsilon = 0.4", "'epsilon' must lie from 0 to below 0.4"),
        (GOOD + "[acceptance]\nlevel = 1.0", r"\[acceptance\]"),
        (GOOD + "[guards]\nshuffles = 0", r"\[guards\]"),
        (GOOD + "[sampling]\ntemperature = 0.0", r"\[sampling\]"),
        (GOOD.replace("name = 'x'", "name = 'x'\nrounds = 0"), "rounds is 1 or more"),
        (GOOD.replace("corpora = ['a']", "corpora = ['a']\nfinal_share = 0.9"), "leave people to learn from"),
        (GOOD.replace("corpora = ['a']", ""), "'corpora' must name"),
        (GOOD.replace("base = 'b'", ""), "'base' must name"),
        (GOOD.replace("name = 'x'", ""), "'name' must be a text"),
    ],
)
def test_bad_configurations_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError, match=message):
        read_rounds(path)
