from __future__ import annotations

import pytest

from export.manifest import without_places


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ("/home/someone/data/train", "train"),
        ("C:\\Users\\someone\\train", "train"),
        ("runs/train", "runs/train"),
        ("yes / no", "yes / no"),
        ({"folders": ["/a/b"], "seed": 3}, {"folders": ["b"], "seed": 3}),
        ((1, 2.5, None), [1, 2.5, None]),
    ],
)
def test_places_on_the_makers_machine_are_not_told(found: object, told: object) -> None:
    assert without_places(found) == told
