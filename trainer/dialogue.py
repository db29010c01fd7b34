"""Turns what is known of a picture into questions and answers: the label, yes/no probes, gaze in words.

This file knows the prompt's text and the tokenizer, and no picture.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from functools import cached_property

import torch
from tokenizers import Tokenizer
from torch import Tensor

from monitor.rubric import Rubric
from monitor.vlm import prompt
from trainer.tokenizer import encode, token_id

IGNORED = -100
"""Target of tokens that are not the model's to say."""


class Dialogue:
    """Asks about pictures, in tokens."""

    paraphrased = 0.2
    """Share of label questions asked in other words than the rubric's own."""
    second_turn = 0.5
    """Share of pictures that are asked about twice: the text costs a quarter of a step."""

    def __init__(self, rubric: Rubric, tokenizer: Tokenizer, image_tokens: int) -> None:
        self.rubric = rubric
        self._tokenizer = tokenizer
        self._image_tokens = image_tokens
        self._cache: dict[tuple[str, str], tuple[list[int], int]] = {}

    @cached_property
    def phrases(self) -> tuple[str, ...]:
        """The answers to the rubric's question, in the order of its labels."""
        return tuple(label.phrase for label in self.rubric.labels)

    def label_turn(self, label: int, rng: random.Random) -> tuple[str, str]:
        """The rubric's question, now and then paraphrased, and the label's own phrase."""
        question = self.rubric.question
        if self.rubric.paraphrases and rng.random() < self.paraphrased:
            question = rng.choice(self.rubric.paraphrases)
        return question, self.phrases[label]

    def probe_turn(self, label: int, rng: random.Random) -> tuple[str, str]:
        """A yes/no question; yes is right half of the time."""
        others = [phrase for index, phrase in enumerate(self.phrases) if index != label]
        if rng.random() < 0.5:
            return prompt.probe_question(self.phrases[label]), prompt.YES
        return prompt.probe_question(rng.choice(others)), prompt.NO

    def gaze_turn(self, yaw_deg: float, pitch_deg: float) -> tuple[str, str]:
        """The direction of gaze in words."""
        return prompt.GAZE_QUESTION, prompt.gaze_phrase(yaw_deg, pitch_deg)

    def turns(self, label: int, gaze_deg: Sequence[float], rng: random.Random) -> list[tuple[str, str]]:
        """Turns about one picture: its label where it has one; for `second_turn` of pictures a probe or its gaze."""
        known = not any(math.isnan(angle) for angle in gaze_deg)
        gaze = self.gaze_turn(*gaze_deg) if known else None
        if label < 0:
            return [gaze] if gaze else []
        first = self.label_turn(label, rng)
        if rng.random() >= self.second_turn:
            return [first]
        return [first, gaze if gaze and rng.random() < 0.4 else self.probe_turn(label, rng)]

    def tokens(self, turns: Sequence[tuple[str, str]]) -> tuple[Tensor, Tensor]:
        """Ids and targets (T turns, longest length), padded on the right; targets stand where they are predicted."""
        encoded = [self._encode(question, answer) for question, answer in turns]
        longest = max(len(ids) for ids, _ in encoded)
        ids = torch.full((len(encoded), longest), token_id(self._tokenizer, prompt.PAD))
        targets = torch.full((len(encoded), longest), IGNORED)
        for row, (sequence, start) in enumerate(encoded):
            ids[row, : len(sequence)] = torch.tensor(sequence)
            # Token t is predicted from the state at t - 1.
            targets[row, start - 1 : len(sequence) - 1] = torch.tensor(sequence[start:])
        return ids, targets

    def _encode(self, question: str, answer: str) -> tuple[list[int], int]:
        """The whole sequence, and where the answer starts."""
        key = (question, answer)
        if key not in self._cache:
            before = encode(self._tokenizer, prompt.prompt_text(question, self._image_tokens))
            after = encode(self._tokenizer, prompt.answer_text(answer))
            self._cache[key] = (before + after, len(before))
        return self._cache[key]


def answer_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Negative log-probability of whole answers, averaged over sequences: exactly what labels are scored by."""
    spoken = targets != IGNORED
    losses = torch.nn.functional.cross_entropy(logits[spoken].float(), targets[spoken], reduction="sum")
    return losses / max(1, len(targets))
