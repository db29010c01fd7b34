"""Packs the token sequences of all labels into one small tree, so that one pass can score them all.

Labels that begin alike share their first tokens. This file knows no model and no tokenizer: lists of token ids in,
index tables out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.errors import RubricError


@dataclass(frozen=True, slots=True)
class LabelTree:
    """The label tokens that must be fed to the model, each once, parents before children."""

    tokens: tuple[int, ...]
    """Token id of each node."""
    parents: tuple[int, ...]
    """Index of each node's parent; -1 hangs from the prompt's last token."""
    depths: tuple[int, ...]
    """Tokens between the prompt's end and the node: 0 for the first of a label."""
    steps: tuple[tuple[tuple[int, int], ...], ...]
    """Per label, its (node that predicts, token predicted) pairs; node -1 is the prompt's last token."""

    def ancestors(self, node: int) -> list[int]:
        """The node and all above it, nearest first."""
        line = []
        while node >= 0:
            line.append(node)
            node = self.parents[node]
        return line


def plant(sequences: Sequence[Sequence[int]]) -> LabelTree:
    """Build the tree of label token sequences, each with its end token.

    A sequence's last token is only predicted, never fed, so it makes no node.

    Raises:
        RubricError: fewer than two labels, an empty one, or two that become the same tokens.
    """
    if len(sequences) < 2 or any(not sequence for sequence in sequences):
        raise RubricError(f"a label tree needs two or more labels of one or more tokens, found {list(sequences)}")
    if len({tuple(sequence) for sequence in sequences}) < len(sequences):
        raise RubricError("two labels become the same tokens: give each label its own phrase")
    known: dict[tuple[int, int], int] = {}
    parents: list[int] = []
    tokens: list[int] = []
    steps = []
    for sequence in sequences:
        node, path = -1, []
        for position, token in enumerate(sequence):
            path.append((node, token))
            if position + 1 == len(sequence):
                break
            if (node, token) not in known:
                known[node, token] = len(tokens)
                parents.append(node)
                tokens.append(token)
            node = known[node, token]
        steps.append(tuple(path))
    depths: list[int] = []
    for parent in parents:
        depths.append(0 if parent < 0 else depths[parent] + 1)
    return LabelTree(tuple(tokens), tuple(parents), tuple(depths), tuple(steps))
