"""Log-probabilities of the reference, computed once and kept in a file under a key for all they depend on.

A key holds the hashes of base, adapter, quantisation and picture preparation (`keys.policy_sha256`), of the picture's
bytes, and the tokens of prompt and answer: change one, and the number is computed anew. This file knows no training.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
        """Keep numbers, in memory and on disk."""
        self._known.update(numbers)
        if self._path is not None and numbers:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lines = "".join(json.dumps({"key": key, "log_prob": number}) + "\n" for key, number in numbers.items())
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

    def look_up(
        self, asked: Sequence[Asked], compute: Callable[[Sequence[Asked]], Tensor], batch_size: int
    ) -> list[float]:
        """The reference's log-probability of each answer.

        Args:
            asked: answers; repeated ones are computed once.
            compute: log-probabilities (len(batch),) of a batch by the reference model.
            batch_size: answers at a time.
        """
        keys = [self._key(one) for one in asked]
        missing = {key: one for key, one in zip(keys, asked, strict=True) if self.file.get(key) is None}
        # Alike lengths side by side, or padding costs more than answers.
        todo = sorted(missing.items(), key=lambda item: (len(item[1].prompt_ids), len(item[1].answer_ids)))
        for start in range(0, len(todo), batch_size):
            batch = todo[start : start + batch_size]
            with torch.no_grad():
                numbers = compute([one for _, one in batch]).tolist()
            self.file.put({key: number for (key, _), number in zip(batch, numbers, strict=True)})
        self.computed += len(todo)
        found = [self.file.get(key) for key in keys]
        return [number for number in found if number is not None]

    def _key(self, one: Asked) -> str:
        tokens = json.dumps([one.prompt_ids, one.answer_ids])
        return digest(self.reference_key, self.picture_keys[one.image_row], tokens)
