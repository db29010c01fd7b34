"""Folds by person: what is fitted for a person's pictures is fitted on other people's.

Pure. It does not know what is fitted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.intervals import people_of


def folds_by_person(persons: Sequence[str], folds: int = 5, seed: int = 0) -> NDArray[np.int64]:
    """(N,) which fold each row is in; all rows of one person are in one fold.

    Args:
        persons: (N,) whose each row is.
        folds: at most so many; fewer where there are fewer people.
        seed: shuffles the people.

    Raises:
        ValueError: fewer than two people, so that nothing can be fitted on others.
    """
    names, owner = people_of(persons)
    if len(names) < 2:
        raise ValueError("folds need two people or more, found one")
    places = np.random.default_rng(seed).permutation(len(names)) % min(folds, len(names))
    return places[owner]
