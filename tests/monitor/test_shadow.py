"""A challenger beside the model in use: the same pictures, seen once where that is the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from monitor.bundle import open_bundle
from monitor.errors import BadInputError
from monitor.registry import Registry
from monitor.rubric import load_rubric
from monitor.schema import Box, Crop
from monitor.vlm.bundled import BundledClassifier, Seen
from monitor.vlm.shadow import ShadowClassifier
from tests.monitor.models import write_swappable, write_turned

RUBRIC = load_rubric("attention")


class Looking(BundledClassifier):
    """Counts how often it was shown pictures; what is swapped from it counts for itself."""

    looks = 0

    def see(self, crops: Sequence[Crop]) -> Seen:
        self.looks += 1
        return super().see(crops)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Looking, Looking]:
    """A model, and an adapter on the same sessions."""
    base = write_swappable(tmp_path / "colors-1")
    write_turned(tmp_path / "turn-1", base)
    champion = Looking(open_bundle(base), RUBRIC)
    challenger = champion.swapped(Registry(tmp_path).entry("turn-1").adapter)
    assert isinstance(challenger, Looking)
    return champion, challenger


def crops(count: int) -> list[Crop]:
    rng = np.random.default_rng(0)
    return [
        Crop(f"c{number}", f"s{number:02d}", 1.0, Box(0, 0, 9, 9), rng.integers(0, 256, (9, 9, 3), np.uint8))
        for number in range(count)
    ]


@pytest.mark.parametrize("see_once", [True, False])
def test_both_answer_as_each_does_alone(see_once: bool, pair: tuple[Looking, Looking]) -> None:
    champion, challenger = pair
    pictures = crops(71)
    together = ShadowClassifier(champion, challenger, see_once=see_once).predict(pictures)
    assert [one.crop_id for one in together] == [crop.crop_id for crop in pictures]
    for one, alone, other in zip(together, champion.predict(pictures), challenger.predict(pictures), strict=True):
        assert one.shadow is not None
        assert one.probabilities == pytest.approx(alone.probabilities, abs=1e-6)
        assert one.shadow.probabilities == pytest.approx(other.probabilities, abs=1e-6)


def test_pictures_are_seen_once_where_both_see_alike(pair: tuple[Looking, Looking]) -> None:
    champion, challenger = pair
    ShadowClassifier(champion, challenger, see_once=True).predict(crops(3))
    assert (champion.looks, challenger.looks) == (1, 0)
    ShadowClassifier(champion, challenger, see_once=False).predict(crops(3))
    assert (champion.looks, challenger.looks) == (2, 1)


def test_it_goes_by_the_name_of_the_champion(pair: tuple[Looking, Looking]) -> None:
    shadow = ShadowClassifier(*pair, see_once=True)
    assert (shadow.model_id, shadow.adapter_id, shadow.rubric) == ("colors-1", None, RUBRIC)
    assert shadow.predict([]) == []


def test_a_bad_crop_is_no_fault_of_the_challenger(pair: tuple[Looking, Looking]) -> None:
    shadow = ShadowClassifier(*pair, see_once=True)
    with pytest.raises(BadInputError, match="c0"):
        shadow.predict([Crop("c0", "s00", 1.0, Box(0, 0, 9, 9), np.zeros((0, 9, 3), np.uint8))])
    assert shadow.trouble == ""
