"""Log-probabilities of the reference, computed once and kept in a file under a key for all they depend on.

A key holds the hashes of base, adapter, quantisation and picture preparation (`keys.policy_sha256`), of the picture's
bytes, and the tokens of prompt and answer: change one, and the number is computed anew. This file knows no training.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch
from torch import Tensor

from trainer.preference.keys import digest


@dataclass(frozen=True, slots=True)
class Asked:
    """One answer to one picture, in tokens."""

    image_row: int
    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """One picture and prompt, and several answers to it: they share the prompt's computation."""

    image_row: int
    prompt_ids: tuple[int, ...]
    answers: tuple[tuple[int, ...], ...]


Compute = Callable[[Sequence[Question]], Tensor]
"""Log-probabilities (B, A) of B questions with A answers each."""


class ReferenceFile:
    """Numbers by key: one JSON line each, appended; a line cut short by a crash is computed again."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, float] = {}
        if path is not None and path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    entry = json.loads(line)
                    self._known[entry["key"]] = float(entry["log_prob"])
                except (ValueError, KeyError, TypeError):
                    continue

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: str) -> float | None:
        """The number, or None where it is not known."""
        return self._known.get(key)

    def put(self, numbers: dict[str, float]) -> None:
        """Keep numbers, in memory and, those that are finite, on disk."""
        self._known.update(numbers)
        if self._path is not None and numbers:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            entries = ({"key": key, "log_prob": number} for key, number in numbers.items() if math.isfinite(number))
            lines = "".join(json.dumps(entry) + "\n" for entry in entries)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(lines)


@dataclass
class References:
    """Answers the question: what did the reference say to this?"""

    reference_key: str
    """`keys.policy_sha256` of the reference."""
    picture_keys: dict[int, str]
    """sha256 of the picture in each row."""
    file: ReferenceFile
    computed: int = 0
    """How many were not in the file."""

    def look_up(self, asked: Sequence[Asked], compute: Compute, batch_size: int) -> list[float]:
        """The reference's log-probability of each answer.

        Args:
            asked: answers; repeated ones are computed once.
            compute: the reference model's log-probabilities of several answers to each of some questions.
            batch_size: questions at a time.
        """
        keys = [self._key(one) for one in asked]
        missing = {key: one for key, one in zip(keys, asked, strict=True) if self.file.get(key) is None}
        for batch in _batches(missing, batch_size):
            with torch.no_grad():
                numbers = compute([question for question, _ in batch])
            found = [key for _, known in batch for key in known]
            self.file.put(dict(zip(found, numbers.flatten().tolist(), strict=True)))
        self.computed += len(missing)
        return [number for number in map(self.file.get, keys) if number is not None]

    def _key(self, one: Asked) -> str:
        tokens = json.dumps([one.prompt_ids, one.answer_ids])
        return digest(self.reference_key, self.picture_keys[one.image_row], tokens)


def _batches(missing: dict[str, Asked], batch_size: int) -> Iterator[list[tuple[Question, tuple[str, ...]]]]:
    """Questions with equally many answers, and the keys of these; alike lengths side by side, to pad little."""
    heard: dict[tuple[int, tuple[int, ...]], list[tuple[tuple[int, ...], str]]] = defaultdict(list)
    for key, one in missing.items():
        heard[one.image_row, one.prompt_ids].append((one.answer_ids, key))
    questions = [
        (Question(row, prompt, tuple(answer for answer, _ in known)), tuple(key for _, key in known))
        for (row, prompt), known in heard.items()
    ]
    questions.sort(key=lambda one: (len(one[1]), one[0].prompt_ids, one[0].answers))
    for _, alike in groupby(questions, key=lambda one: len(one[1])):
        rest = list(alike)
        for start in range(0, len(rest), batch_size):
            yield rest[start : start + batch_size]
