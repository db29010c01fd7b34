"""Packs prompts and the answers that share them into one sequence a row, so that each prompt is computed once.

A row is the prompt, then every answer without its last token; a token sees the prompt and the earlier tokens of its own
answer only. This file knows token ids, and neither model nor picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

Ids = Sequence[int]
Place = Callable[[tuple[int, ...]], Tensor]
"""Positions (D, P) of a prompt's tokens; D is 1, or 3 where pictures have rows and columns."""


@dataclass(frozen=True)
class Packed:
    """Rows ready for a model, and where each answer's tokens are predicted."""

    ids: Tensor
    """(B, T), padded on the right."""
    positions: Tensor
    """(D, B, T)."""
    visible: Tensor
    """(B, T, T), bool: row sees column. A padding token sees itself alone, so that no softmax is empty."""
    sources: Tensor
    """(B, K): the place in the row whose state predicts token k."""
    targets: Tensor
    """(B, K): the token that is predicted there."""
    owners: Tensor
    """(B, K): index of the answer that token k belongs to; -1 for padding."""
    answers: int
    """Answers a row."""

    def to(self, device: torch.device) -> Packed:
        """The same on another device."""
        return Packed(
            self.ids.to(device),
            self.positions.to(device),
            self.visible.to(device),
            self.sources.to(device),
            self.targets.to(device),
            self.owners.to(device),
            self.answers,
        )


def in_order(prompt: tuple[int, ...]) -> Tensor:
    """Positions of a prompt whose tokens simply follow each other, (1, P)."""
    return torch.arange(len(prompt))[None]


def pack(prompts: Sequence[Ids], answers: Sequence[Sequence[Ids]], pad_id: int, place: Place = in_order) -> Packed:
    """Pack B prompts with A answers each.

    Args:
        prompts: B prompts as token ids.
        answers: B times A answers as token ids, each at least one token.
        pad_id: fills the rows up.
        place: positions of a prompt's tokens.

    Raises:
        ValueError: no rows, an empty prompt or answer, or rows with different numbers of answers.
    """
    counts = {len(row) for row in answers}
    if len(prompts) != len(answers) or len(counts) != 1 or counts == {0}:
        raise ValueError(f"{len(prompts)} prompts need as many rows of equally many answers, found {len(answers)} rows")
    rows = [
        _row(tuple(prompt), tuple(tuple(answer) for answer in own), place)
        for prompt, own in zip(prompts, answers, strict=True)
    ]
    if all(row is rows[0] for row in rows):  # every picture is asked the same: built once, no copies
        return _expand(_stack(rows[:1], pad_id, counts.pop()), len(rows))
    return _stack(rows, pad_id, counts.pop())


@dataclass(frozen=True)
class _Row:
    ids: Tensor
    positions: Tensor
    visible: Tensor
    sources: Tensor
    targets: Tensor
    owners: Tensor


@lru_cache(maxsize=512)
def _row(prompt: tuple[int, ...], answers: tuple[tuple[int, ...], ...], place: Place) -> _Row:
    if not prompt or not all(answers):
        raise ValueError("a prompt and each of its answers need at least one token")
    shared = place(prompt)
    start = len(prompt)
    ids, positions = list(prompt), [shared]
    sources: list[int] = []
    targets: list[int] = []
    owners: list[int] = []
    seen = torch.ones(start, start, dtype=torch.bool).tril()
    after = int(shared.max()) + 1
    blocks = []
    for owner, answer in enumerate(answers):
        begin = len(ids)
        spoken = answer[:-1]  # nothing is predicted from the last token
        sources += [start - 1, *range(begin, begin + len(spoken))]
        targets += answer
        owners += [owner] * len(answer)
        ids += spoken
        positions.append(torch.arange(after, after + len(spoken)).expand(len(shared), -1))
        blocks.append((begin, len(spoken)))
    visible = torch.zeros(len(ids), len(ids), dtype=torch.bool)
    visible[:start, :start] = seen
    visible[start:, :start] = True
    for begin, length in blocks:
        visible[begin : begin + length, begin : begin + length] = torch.ones(length, length, dtype=torch.bool).tril()
    return _Row(
        torch.tensor(ids), torch.cat(positions, dim=1), visible,
        torch.tensor(sources), torch.tensor(targets), torch.tensor(owners),
    )  # fmt: skip


def _stack(rows: Sequence[_Row], pad_id: int, answers: int) -> Packed:
    length = max(len(row.ids) for row in rows)
    steps = max(len(row.targets) for row in rows)
    depth = len(rows[0].positions)
    ids = torch.full((len(rows), length), pad_id)
    positions = torch.zeros(depth, len(rows), length, dtype=torch.long)
    visible = torch.eye(length, dtype=torch.bool).repeat(len(rows), 1, 1)
    sources = torch.zeros(len(rows), steps, dtype=torch.long)
    targets = torch.zeros(len(rows), steps, dtype=torch.long)
    owners = torch.full((len(rows), steps), -1)
    for number, row in enumerate(rows):
        long, many = len(row.ids), len(row.targets)
        ids[number, :long] = row.ids
        positions[:, number, :long] = row.positions
        visible[number, :long, :long] = row.visible
        sources[number, :many], targets[number, :many], owners[number, :many] = row.sources, row.targets, row.owners
    return Packed(ids, positions, visible, sources, targets, owners, answers)


def _expand(packed: Packed, rows: int) -> Packed:
    """One row as many, without copies."""
    return Packed(
        packed.ids.expand(rows, -1),
        packed.positions.expand(-1, rows, -1),
        packed.visible.expand(rows, -1, -1),
        packed.sources.expand(rows, -1),
        packed.targets.expand(rows, -1),
        packed.owners.expand(rows, -1),
        packed.answers,
    )
