"""A tiny base, its pictures and pairs about them: two questions, answers of several lengths."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.rubric import load_rubric
from tests.trainer.policies import write_base
from trainer.pairs import PreferencePair
from trainer.preference.examples import SftItem

RUBRIC = load_rubric("attention")
QUESTIONS = (RUBRIC.question, "Where does the student look?")
PHRASES = [label.phrase for label in RUBRIC.labels]
PICTURES = 12


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base") / "embedded", seed=1)


@pytest.fixture(scope="session")
def images() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (PICTURES, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def pairs() -> list[PreferencePair]:
    return [
        PreferencePair(f"item-{row}", row, QUESTIONS[row % 4 == 3], PHRASES[row % 3], PHRASES[(row + 1) % 3])
        for row in range(PICTURES)
    ]


@pytest.fixture
def items() -> list[SftItem]:
    return [SftItem(row, QUESTIONS[0], PHRASES[row % 3]) for row in range(PICTURES)]
