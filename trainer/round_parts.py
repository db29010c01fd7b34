"""What a round is given: pictures of different people, and a model behind a small interface.

The loop is in rounds.py, a round's stages in round_stages.py. This file knows neither.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.rubric import Rubric
from trainer.acceptance import require_different_people, require_every_class
from trainer.corpora.record import NO_LABEL, PictureSet
from trainer.disagreements import Answerer, require_teachable
from trainer.pairs import PreferencePair


@dataclass(frozen=True)
class Parts:
    """Pictures of different people; only those with a label count where something is measured."""

    train: PictureSet
    item_ids: tuple[str, ...]
    """One a training picture."""
    selection: PictureSet
    final: PictureSet
    part_of: Mapping[str, str] = field(default_factory=dict)
    """Everybody who was ever dealt to a part, here or in an earlier run: for a later run, see round_people.py."""


@dataclass(frozen=True)
class Job:
    """One training run."""

    pairs: Sequence[PreferencePair]
    images_rgb: NDArray[np.uint8]
    """(N, S, S, 3): what `image_row` of pairs and examples points into."""
    examples: Sequence[tuple[int, str, str]]
    """(image_row, question, right answer): all labelled training pictures, each class as often; for losses that want a
    separate batch."""
    parent: Path | None
    """Adapter that it goes on from; None = the base as it is."""
    seed: int
    out: Path
    """Its own folder: what it needs to resume lies there."""
    begin: Callable[[Answerer], None]
    """To be called with the policy before the first step; what it raises ends the run."""
    report: Callable[[Mapping[str, float]], None]
    """To be called with the figures of each step; the same."""


@dataclass(frozen=True)
class Trained:
    """What a training run leaves."""

    adapter: Path
    history: Sequence[Mapping[str, float]]


class Engine(Protocol):
    """The model and its training."""

    base_sha256: str
    side_px: int
    """Of the pictures that the model reads."""

    def answerer(self, adapter: Path | None) -> Answerer:
        """The model with an adapter, or as it is."""
        ...

    def train(self, job: Job) -> Trained:
        """Train; called again with the same job after a crash, go on.

        Raises:
            RunRefusedError: the run must not become a round.
        """
        ...


def check_parts(parts: Parts, rubric: Rubric) -> None:
    """Refuse pictures from which a round could not be learned or judged.

    Raises:
        BadInputError: an empty part, one class only, a label outside the rubric, or people in two parts.
    """
    named = {"train": parts.train, "selection": parts.selection, "final": parts.final}
    require_different_people({name: part.persons for name, part in named.items()})
    for name, part in named.items():
        require_teachable(part, rubric, f"the {name} students")
    for name in ("selection", "final"):
        require_every_class(labelled(named[name]).labels, rubric.names, f"the {name} students")


def labelled(part: PictureSet) -> PictureSet:
    """The pictures that have a label."""
    return part.take(np.flatnonzero(part.labels != NO_LABEL))


def balanced_examples(train: PictureSet, rubric: Rubric, seed: int) -> list[tuple[int, str, str]]:
    """Right answers to the rubric's question, each class as often as the commonest one, in a drawn order."""
    rng = np.random.default_rng(seed)
    by_class = [np.flatnonzero(train.labels == label) for label in range(len(rubric.labels))]
    most = max(len(rows) for rows in by_class)
    found = [
        (int(row), rubric.question, rubric.labels[label].phrase)
        for label, rows in enumerate(by_class)
        if len(rows)
        for row in np.concatenate([rng.permutation(rows) for _ in range(math.ceil(most / len(rows)))])[:most]
    ]
    return [found[index] for index in rng.permutation(len(found))]


def some_of_each_label(pictures: PictureSet, most: int, seed: int) -> list[int]:
    """Rows of at most so many pictures of each label, drawn by a seed."""
    rng = np.random.default_rng(seed)
    labels = np.unique(pictures.labels[pictures.labels != NO_LABEL])
    return [int(row) for label in labels for row in rng.permutation(np.flatnonzero(pictures.labels == label))[:most]]


def hash_data(parts: Parts, keys: Sequence[str]) -> str:
    """sha256 of all pictures, their names, labels and people, in every part.

    Args:
        parts: the pictures.
        keys: `picture_keys` of the training pictures.
    """
    whole = hashlib.sha256()
    for row, key in enumerate(keys):
        whole.update(f"{parts.item_ids[row]} {key} {parts.train.labels[row]} {parts.train.persons[row]}\n".encode())
    for part in (parts.selection, parts.final):
        whole.update(part.images_rgb.tobytes() + part.labels.tobytes() + "\n".join(part.persons).encode())
    return whole.hexdigest()
