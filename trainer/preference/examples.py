"""Pairs and SFT examples in tokens, as the trainers' datasets want them; what cannot be learned from is refused here.

This file knows the policy's tokens and no loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from datasets import Dataset

from monitor.errors import BadInputError
from trainer.pairs import PreferencePair
from trainer.policy import Policy


@dataclass(frozen=True, slots=True)
class SftItem:
    """One picture, one question, its right answer."""

    image_row: int
    """Row in the set of pictures that is trained on."""
    prompt: str
    """The question alone."""
    answer: str
    """The right phrase, without an end token."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Turns texts into a policy's tokens, and refuses what would be cut off or lose its picture."""

    policy: Policy
    image_tokens: int
    """Features that a picture has."""

    def prompt(self, question: str) -> list[int]:
        """Ids of all that stands before the answer.

        Raises:
            BadInputError: the prompt's image markers are not as many as the picture's features.
        """
        ids = self.policy.prompt_ids(question)
        marked = ids.count(self.policy.talk.image_token_id)
        if marked != self.image_tokens:
            raise BadInputError(
                f"the prompt {question!r} holds {marked} image tokens, but a picture gives {self.image_tokens} "
                "features: the tokenizer and the picture preparation are not of one model."
            )
        return ids

    def answer(self, phrase: str, prompt_ids: Sequence[int]) -> list[int]:
        """Ids of an answer, with its end token.

        Raises:
            BadInputError: prompt and answer are longer than the model reads.
        """
        ids = self.policy.answer_ids(phrase)
        most = getattr(self.policy.core.config.get_text_config(), "max_position_embeddings", None)
        if most is not None and len(prompt_ids) + len(ids) > most:
            raise BadInputError(
                f"the answer {phrase!r} ends at token {len(prompt_ids) + len(ids)}, but this model reads {most}: "
                "nothing is cut off, so shorten the question or the answer."
            )
        return ids


def pair_rows(pairs: Sequence[PreferencePair], tokens: Tokens) -> Dataset:
    """prompt_ids, chosen_ids, rejected_ids, image_row, weight: one row a pair."""
    columns: dict[str, list[Any]] = {
        name: [] for name in ("prompt_ids", "chosen_ids", "rejected_ids", "image_row", "weight")
    }
    for pair in pairs:
        prompt = tokens.prompt(pair.prompt)
        columns["prompt_ids"].append(prompt)
        columns["chosen_ids"].append(tokens.answer(pair.chosen, prompt))
        columns["rejected_ids"].append(tokens.answer(pair.rejected, prompt))
        columns["image_row"].append(pair.image_row)
        columns["weight"].append(float(pair.weight))
    return Dataset.from_dict(columns)


def thumb_rows(pairs: Sequence[PreferencePair], tokens: Tokens, batch_size: int) -> Dataset:
    """prompt_ids, completion_ids, KL_completion_ids, label, image_row, weight: two rows a pair, a thumb up and a down.

    `KL_completion_ids` is the answer of the row before it in the batch: KTO estimates its divergence on answers that
    belong to other pictures. Pass the pairs shuffled: the order stays.
    """
    columns: dict[str, list[Any]] = {
        name: [] for name in ("prompt_ids", "completion_ids", "label", "image_row", "weight")
    }
    # All thumbs up of a batch's pictures, then all thumbs down: neighbours are of different pictures.
    half = max(1, batch_size // 2)
    for start in range(0, len(pairs), half):
        for label in (True, False):
            for pair in pairs[start : start + half]:
                prompt = tokens.prompt(pair.prompt)
                columns["prompt_ids"].append(prompt)
                columns["completion_ids"].append(tokens.answer(pair.chosen if label else pair.rejected, prompt))
                columns["label"].append(label)
                columns["image_row"].append(pair.image_row)
                columns["weight"].append(float(pair.weight))
    answers = columns["completion_ids"]
    columns["KL_completion_ids"] = [
        turned
        for start in range(0, len(answers), batch_size)
        for part in [answers[start : start + batch_size]]
        for turned in [*part[-1:], *part[:-1]]
    ]
    return Dataset.from_dict(columns)


def sft_rows(items: Sequence[SftItem], tokens: Tokens) -> Dataset:
    """prompt_ids, answer_ids, image_row: one row an example."""
    columns: dict[str, list[Any]] = {"prompt_ids": [], "answer_ids": [], "image_row": []}
    for item in items:
        prompt = tokens.prompt(item.prompt)
        columns["prompt_ids"].append(prompt)
        columns["answer_ids"].append(tokens.answer(item.answer, prompt))
        columns["image_row"].append(item.image_row)
    return Dataset.from_dict(columns)
