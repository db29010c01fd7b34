"""Similarity of free answers to what was expected: chrF by letters, ROUGE-L by words, and embeddings if one is given.

Pure but for `Embedder`s, which the caller brings. Similarity never decides which label an answer is: "at paper" and
"at the screen" are similar sentences and opposite answers. 0 to 1 each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Embedder = Callable[[Sequence[str]], NDArray[np.float64]]
"""Texts to (N, D) vectors."""

_LETTERS = 6
_BETA = 2.0


@dataclass(frozen=True, slots=True)
class Similarity:
    """Means over the answers; each against the most similar of its references."""

    answers: int
    exact: float
    """Share that equals a reference but for case and surrounding space."""
    chrf: float
    rouge_l: float
    embedding: float | None
    """Mean cosine; None without an embedder."""


def compare_texts(
    answers: Sequence[str], references: Sequence[Sequence[str]], embedder: Embedder | None = None
) -> Similarity:
    """Compare each answer with its references.

    Args:
        answers: (N,) what was said.
        references: (N,) the wordings that would be right, at least one each.
        embedder: for cosines; None leaves them out.

    Raises:
        ValueError: no answers, or an answer without a reference.
    """
    if not answers or len(answers) != len(references) or not all(references):
        raise ValueError(f"each answer needs a reference: {len(answers)} answers, {len(references)} references")
    rows = list(zip(answers, references, strict=True))
    known: dict[tuple[str, str], tuple[float, float]] = {}  # closed vocabularies repeat: each pair is measured once
    for answer, wordings in rows:
        for wording in wordings:
            if (answer, wording) not in known:
                known[answer, wording] = chrf(answer, wording), rouge_l(answer, wording)
    return Similarity(
        answers=len(rows),
        exact=float(np.mean([any(_bare(a) == _bare(w) for w in wordings) for a, wordings in rows])),
        chrf=float(np.mean([max(known[a, w][0] for w in wordings) for a, wordings in rows])),
        rouge_l=float(np.mean([max(known[a, w][1] for w in wordings) for a, wordings in rows])),
        embedding=_cosines(rows, embedder) if embedder else None,
    )


def chrf(answer: str, reference: str) -> float:
    """F2 of the letters' n-grams, n from 1 to 6, white space left out; orders longer than a text are left out too."""
    said, meant = "".join(answer.casefold().split()), "".join(reference.casefold().split())
    if not said or not meant:
        return float(said == meant)
    precisions, recalls = [], []
    for n in range(1, _LETTERS + 1):
        ours, theirs = _ngrams(said, n), _ngrams(meant, n)
        if not ours or not theirs:
            break
        shared = (ours & theirs).total()
        precisions.append(shared / ours.total())
        recalls.append(shared / theirs.total())
    return _f(float(np.mean(precisions)), float(np.mean(recalls)), _BETA)


def rouge_l(answer: str, reference: str) -> float:
    """F1 of the longest run of words that both have in the same order, gaps allowed."""
    said, meant = answer.casefold().split(), reference.casefold().split()
    if not said or not meant:
        return float(said == meant)
    shared = _longest_common(said, meant)
    return _f(shared / len(said), shared / len(meant), 1.0)


def _longest_common(first: Sequence[str], second: Sequence[str]) -> int:
    row = [0] * (len(second) + 1)
    for word in first:
        before = row
        row = [0]
        for at, other in enumerate(second, start=1):
            row.append(before[at - 1] + 1 if word == other else max(before[at], row[-1]))
    return row[-1]


def _ngrams(text: str, n: int) -> Counter[str]:
    return Counter(text[at : at + n] for at in range(len(text) - n + 1))


def _f(precision: float, recall: float, beta: float) -> float:
    if precision + recall == 0:
        return 0.0
    return (1 + beta**2) * precision * recall / (beta**2 * precision + recall)


def _bare(text: str) -> str:
    return text.strip().casefold()


def _cosines(rows: Sequence[tuple[str, Sequence[str]]], embedder: Embedder) -> float:
    texts = list(dict.fromkeys(text for answer, wordings in rows for text in (answer, *wordings)))
    vectors = embedder(texts)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = dict(zip(texts, vectors / np.maximum(lengths, 1e-12), strict=True))
    return float(np.mean([max(float(unit[a] @ unit[w]) for w in wordings) for a, wordings in rows]))
