"""The embedded model's own tokenizer: a small byte-level BPE, so that any rubric's text can be encoded.

It is trained on the words that questions, phrases and definitions use; nothing of it is downloaded. This file knows no
model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, trainers
from tokenizers.models import BPE

from monitor.rubric import Rubric, load_rubric, shipped_rubrics
from monitor.vlm import prompt
from monitor.vlm.checkpoint.tokens import for_transformers, load_tokenizer

__all__ = ["encode", "for_transformers", "load_tokenizer", "token_id", "train_tokenizer"]

VOCABULARY_SIZE = 640
_CHATTER = (
    "the student looks at a screen, a book, a phone, a keyboard, the camera, the window, another person, the teacher",
    "head and eyes, face, hands, turned, bowed, raised, lowered, open, closed, hidden, covered, visible",
    "left right up down straight ahead away aside behind forward far near slightly",
    "yes no unsure not very mostly often never always attentive distracted engaged bored confused tired asleep",
    "where what which how who is are does do can cannot describe answer with one word",
)


def train_tokenizer(rubrics: Sequence[Rubric] | None = None, size: int = VOCABULARY_SIZE) -> Tokenizer:
    """Learn the vocabulary from rubric texts and the prompts; the same input gives the same tokenizer.

    Args:
        rubrics: whose words to learn; None means every shipped rubric.
        size: at most so many tokens; the 256 bytes and the special tokens are always in.
    """
    if rubrics is None:
        rubrics = [load_rubric(name, research=True) for name in shipped_rubrics()]
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    # A space before each piece: a phrase has the same tokens after <answer> as inside a sentence.
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(prompt.SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(rubrics), trainer)
    return tokenizer


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """Token ids of a text; special tokens written in it become themselves, none are added."""
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """The id of one token.

    Raises:
        KeyError: the vocabulary has no such token.
    """
    number: int | None = tokenizer.token_to_id(token)
    if number is None:
        raise KeyError(token)
    return number


def _texts(rubrics: Sequence[Rubric]) -> Iterable[str]:
    for rubric in rubrics:
        yield from (rubric.title, rubric.question, *rubric.paraphrases)
        for label in rubric.labels:
            phrases = (label.phrase, *label.paraphrases)
            # Phrases weigh more than definitions: what the model says should be whole words.
            yield from (text for phrase in phrases for text in (phrase, prompt.probe_question(phrase)) * 4)
            yield from (label.name, label.definition)
    yield from (prompt.GAZE_QUESTION, prompt.YES, prompt.NO) * 4
    yield from prompt.gaze_phrases() * 2
    yield from _CHATTER
