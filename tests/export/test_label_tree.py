from __future__ import annotations

import pytest

from export.label_tree import plant
from monitor.errors import RubricError

END = 99


def test_labels_that_begin_alike_share_their_first_tokens() -> None:
    tree = plant([[1, 2, 3, END], [1, 4, END], [5, END]])
    assert tree.tokens == (1, 2, 3, 4, 5)
    assert tree.parents == (-1, 0, 1, 0, -1)
    assert tree.depths == (0, 1, 2, 1, 0)
    assert tree.steps[1] == ((-1, 1), (0, 4), (3, END))
    assert tree.ancestors(2) == [2, 1, 0]


def test_a_label_may_begin_with_the_whole_of_another() -> None:
    tree = plant([[1, END], [1, 2, END]])
    assert tree.tokens == (1, 2)
    assert tree.steps == (((-1, 1), (0, END)), ((-1, 1), (0, 2), (1, END)))


def test_one_token_labels_need_no_nodes() -> None:
    assert plant([[7], [8]]).tokens == ()


@pytest.mark.parametrize(
    "sequences",
    [
        [[1, END]],  # one label decides nothing
        [[1, END], []],
        [[1, END], [1, END]],  # two names, the same words
    ],
)
def test_sequences_that_cannot_be_told_apart_are_refused(sequences: list[list[int]]) -> None:
    with pytest.raises(RubricError):
        plant(sequences)
