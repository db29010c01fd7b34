"""Lets a checkpoint explain its label in one sentence, token by token under a grammar (llguidance).

The grammar is conditioned on the scored label, so a sentence never contradicts it; within it the model says what it
finds likeliest. A model of the hub says the whole sentence. The embedded model has learned single answers: it is asked
about other labels and the gaze one by one, as in training, and the sentence is put together from what it says.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor

from monitor.errors import BadInputError
from monitor.schema import Crop, Prediction
from monitor.vlm import prompt
from monitor.vlm.checkpoint.classifier import CheckpointClassifier
from monitor.vlm.checkpoint.extra import require_library
from monitor.vlm.checkpoint.sight import Pixels
from monitor.vlm.sentences import Choice, Text, as_lark, compose, longest, sentences

_ASKED_FOR = "Answer in one sentence."
_MOST_CONTRASTS = 2
_LARGEST_BATCH = 16


class Speaker:
    """Explains what a checkpoint has scored."""

    def __init__(self, classifier: CheckpointClassifier) -> None:
        """Make its tokenizer ready for grammars.

        Raises:
            ClassroomError: llguidance is not installed.
            BadInputError: a tokenizer that grammars cannot work with.
        """
        require_library("llguidance", "--explain")
        self._classifier = classifier
        self._talk = classifier.opened.talk
        answer = self._talk.answer_ids("x")
        self._end_id = answer[-1]
        self._tokens = _open_tokens(self._talk.tokenizer, classifier.opened.core, self._end_id, classifier.model_id)
        text = self._tokens.decode_str([one for one in answer if not self._tokens.is_special_token(one)])
        self._lead = text[: text.index("x")]
        """What stands between the prompt and an answer's first letter: a space, or nothing."""

    def explain(self, crops: Sequence[Crop], predictions: Sequence[Prediction]) -> list[str]:
        """One sentence for each crop, about the label that was predicted for it as the likeliest.

        Raises:
            BadInputError: the model gives nothing that can be compared (NaN).
        """
        said: list[str] = []
        for start in range(0, len(crops), _LARGEST_BATCH):
            rows = slice(start, start + _LARGEST_BATCH)
            said += self._explain_batch(crops[rows], predictions[rows])
        return said

    def _explain_batch(self, crops: Sequence[Crop], predictions: Sequence[Prediction]) -> list[str]:
        pixels = self._classifier.prepare([crop.pixels_bgr for crop in crops])
        if self._classifier.opened.card is None:
            return self._whole(pixels, predictions)
        return [
            self._from_answers(pixels.take(torch.tensor([row])), prediction)
            for row, prediction in enumerate(predictions)
        ]

    def _whole(self, pixels: Pixels, predictions: Sequence[Prediction]) -> list[str]:
        rubric = self._classifier.rubric
        allowed = [sentences(rubric, one.best, sure=one.label == one.best) for one in predictions]
        return self._say(pixels, f"{rubric.question} {_ASKED_FOR}", allowed)

    def _from_answers(self, pixels: Pixels, prediction: Prediction) -> str:
        """Ask the next likeliest labels one by one, and the gaze, where renders taught it."""
        rubric = self._classifier.rubric
        order = sorted(prediction.probabilities, key=prediction.probabilities.__getitem__, reverse=True)
        denied: list[str] = []
        admitted: list[str] = []
        for name in [name for name in order if name != prediction.best][:_MOST_CONTRASTS]:
            phrase = rubric.label(name).phrase
            heard = self._choose(pixels, prompt.probe_question(phrase), (prompt.YES, prompt.NO))
            (admitted if heard == prompt.YES else denied).append(phrase)
        card = self._classifier.opened.card
        knows_gaze = card is not None and "recipes" in card.data
        return compose(
            rubric,
            prediction.best,
            sure=prediction.label == prediction.best,
            denied=denied if not admitted else denied[:1],
            admitted=admitted[:1],
            gaze=self._choose(pixels, prompt.GAZE_QUESTION, prompt.gaze_phrases()) if knows_gaze else None,
        )

    def _choose(self, pixels: Pixels, question: str, answers: Sequence[str]) -> str:
        """Which of some answers the model gives, in the tokenizer's own spelling of them."""
        spelled = {self._spelled(answer): answer for answer in answers}
        (said,) = self._say(pixels, question, [Choice(tuple(spelled))], lead="")
        return spelled[said]

    def _spelled(self, answer: str) -> str:
        return str(self._tokens.decode_str(self._talk.answer_ids(answer)[:-1]))

    def _say(self, pixels: Pixels, question: str, allowed: Sequence[Text], lead: str | None = None) -> list[str]:
        lead = self._lead if lead is None else lead
        matchers = [self._matcher(as_lark(text, lead)) for text in allowed]
        most = max(map(longest, allowed)) + len(lead.encode()) + 1
        mask = GrammarMask(matchers, self._end_id)
        said = self._classifier.asking.say(pixels, self._talk.prompt_ids(question), most, mask, self._end_id)
        texts = [self._tokens.decode_str(ids[: ids.index(self._end_id)]) for ids in said]
        return [text[len(lead) :] for text in texts]

    def _matcher(self, lark: str) -> Any:
        from llguidance import LLMatcher

        matcher = LLMatcher(self._tokens, LLMatcher.grammar_from_lark(lark))
        if matcher.is_error():
            raise BadInputError(f"no sentences can be made of the rubric's phrases: {matcher.get_error()}")
        return matcher


class GrammarMask:
    """Leaves only tokens by which a sentence can go on, for each row by a grammar of its own."""

    def __init__(self, matchers: Sequence[Any], end_id: int) -> None:
        """Start at the beginning of each grammar.

        Args:
            matchers: llguidance's, one a row, nothing consumed yet.
            end_id: the token that ends a sentence.
        """
        self._matchers = matchers
        self._end_id = end_id
        self._begun = False

    def __call__(self, ids: Tensor, scores: Tensor) -> Tensor:
        """See `Mask`."""
        if not bool(torch.isfinite(scores).any(dim=-1).all()):
            raise BadInputError("the model answers with no numbers (NaN). Is the checkpoint broken?")
        allowed = torch.zeros(scores.shape, dtype=torch.bool)
        for row, matcher in enumerate(self._matchers):
            if self._begun and not matcher.is_stopped():
                matcher.consume_token(int(ids[row, -1]))
                if matcher.is_error():  # rather no sentence than one that claims something else
                    raise BadInputError(f"this model's tokenizer and the grammar disagree: {matcher.get_error()}")
            if matcher.is_stopped():
                allowed[row, self._end_id] = True
                continue
            bits = np.unpackbits(np.frombuffer(matcher.compute_bitmask(), np.uint8), bitorder="little")
            allowed[row, : len(bits)] = torch.from_numpy(bits[: scores.shape[-1]].astype(bool))
        self._begun = True
        return scores.masked_fill(~allowed.to(scores.device), -torch.inf)


def _open_tokens(tokenizer: Any, core: Any, end_id: int, model_id: str) -> Any:
    from llguidance import LLTokenizer

    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise BadInputError(f"{model_id}: its tokenizer has no tokenizer.json; --explain needs one.")
    plain = copy(backend)
    plain.no_padding()
    plain.no_truncation()
    width = core.get_output_embeddings().weight.shape[0]
    told = _letter_by_letter(json.loads(plain.to_str()))
    return LLTokenizer(json.dumps(told), n_vocab=max(width, plain.get_vocab_size()), eos_token=end_id)


def _letter_by_letter(told: dict[str, Any]) -> dict[str, Any]:
    """A tokenizer.json that leaves texts as they are.

    llguidance spells out what must come next by the tokenizer itself: one that writes small letters or puts a space
    before each piece would spell something that the grammar does not allow.
    """
    told["normalizer"] = _only_spaces(told.get("normalizer"))
    for one in _parts(told.get("pre_tokenizer"), "pretokenizers"):
        if one["type"] == "ByteLevel":
            one["add_prefix_space"] = False
    return told


def _only_spaces(normalizer: dict[str, Any] | None) -> dict[str, Any] | None:
    """Of a normalizer what writes spaces as sentencepiece does: llguidance reckons with that."""
    kept = [one for one in _parts(normalizer, "normalizers") if one["type"] in ("Prepend", "Replace")]
    return {"type": "Sequence", "normalizers": kept} if kept else None


def _parts(told: dict[str, Any] | None, inside: str) -> list[dict[str, Any]]:
    if told is None:
        return []
    return list(told[inside]) if told["type"] == "Sequence" else [told]
