"""Explanations: a sentence under a grammar claims the label that was scored, whatever the model would rather say."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from monitor.config import MonitorSettings
from monitor.errors import BadInputError, ClassroomError
from monitor.rubric import load_rubric
from monitor.schema import UNSURE, Prediction
from monitor.still import label_pictures
from monitor.vlm.checkpoint.asking import Asking, Mask
from monitor.vlm.checkpoint.classifier import open_classifier
from monitor.vlm.checkpoint.packing import Ids
from monitor.vlm.checkpoint.sight import Pixels
from monitor.vlm.checkpoint.speaking import GrammarMask, Speaker
from monitor.vlm.sentences import labels_of
from tests.monitor.checkpoints import FAMILIES, as_crops, random_pictures, write_checkpoint

RUBRIC = load_rubric("attention")


@pytest.fixture(scope="module", params=FAMILIES)
def speaker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Speaker:
    folder = write_checkpoint(tmp_path_factory.mktemp("models") / request.param, request.param)
    return Speaker(open_classifier(str(folder), RUBRIC))


def as_if(prediction: Prediction, name: str, *, sure: bool) -> Prediction:
    """A prediction as if another label had been scored highest."""
    others = (1 - 0.6) / (len(RUBRIC.names) - 1)
    shares = {label: 0.6 if label == name else others for label in RUBRIC.names}
    return replace(prediction, best=name, label=name if sure else UNSURE, probabilities=shares)


def test_a_sentence_claims_the_label_that_was_scored(speaker: Speaker) -> None:
    crops = as_crops(random_pictures(4, seed=3))
    predictions = speaker._classifier.predict(crops)
    said = speaker.explain(crops, predictions)
    assert [labels_of(one, RUBRIC) for one in said] == [[one.best] for one in predictions]
    assert speaker.explain(crops, predictions) == said
    assert speaker.explain([], []) == []


def test_whatever_label_was_scored(speaker: Speaker) -> None:
    """Models with random weights would say anything: the grammar alone decides which label is claimed."""
    crops = as_crops(random_pictures(2 * len(RUBRIC.names), seed=5))
    asked = [
        as_if(prediction, name, sure=sure)
        for prediction, (name, sure) in zip(
            speaker._classifier.predict(crops), [(n, s) for n in RUBRIC.names for s in (True, False)], strict=True
        )
    ]
    for sentence, prediction in zip(speaker.explain(crops, asked), asked, strict=True):
        assert labels_of(sentence, RUBRIC) == [prediction.best]
        assert sentence.startswith("Perhaps ") is (prediction.label == UNSURE)


class Recorder(Asking):
    """An asking that remembers what was asked and said."""

    def __init__(self, inner: Asking) -> None:
        self.__dict__.update(inner.__dict__)
        self.heard: list[tuple[Any, ...]] = []

    def say(
        self, pixels: Pixels, prompt_ids: Ids, max_new_tokens: int, mask: Mask | None = None, end_id: int | None = None
    ) -> list[list[int]]:
        said = super().say(pixels, prompt_ids, max_new_tokens, mask, end_id)
        self.heard.append((pixels, prompt_ids, said, end_id))
        return said


def test_each_token_is_the_likeliest_that_the_grammar_allows(speaker: Speaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told again without any cache: the model's own forward, and a fresh matcher for what may follow."""
    classifier = speaker._classifier
    recorder = Recorder(classifier.asking)
    grammars: list[str] = []
    make = speaker._matcher

    def remember(lark: str) -> Any:
        grammars.append(lark)
        return make(lark)

    monkeypatch.setattr(classifier, "asking", recorder)
    monkeypatch.setattr(speaker, "_matcher", remember)
    crops = as_crops(random_pictures(1, seed=7))
    speaker.explain(crops, classifier.predict(crops))
    assert recorder.heard
    core, talk = classifier.opened.core, classifier.opened.talk
    for (pixels, prompt, (said,), end_id), grammar in zip(recorder.heard, grammars, strict=True):
        mask, so_far = GrammarMask([make(grammar)], end_id), list(prompt)
        for token in said[: said.index(end_id) + 1]:
            ids = torch.tensor([so_far])
            more = {} if pixels.grid is None else {"mm_token_type_ids": (ids == talk.image_token_id).int()}
            with torch.no_grad():
                logits = core(input_ids=ids, **pixels.arguments(core), **more).logits[:, -1]
            allowed = mask(ids, logits)
            assert float(allowed[0, token]) == pytest.approx(float(allowed.max()), abs=1e-4)
            so_far.append(token)


def test_a_bundle_says_what_to_give() -> None:
    with pytest.raises(BadInputError, match=r"the bundle .* only scores its labels\. Add --model embedded"):
        list(label_pictures([Path("any.png")], MonitorSettings(), explain=True))


def test_without_llguidance_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = open_classifier("embedded", RUBRIC)
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(ClassroomError, match=r"--explain needs llguidance.*pip install 'classroom-monitor\[train\]'"):
        Speaker(classifier)


def test_the_shipped_weights_name_the_gaze_too() -> None:
    speaker = Speaker(open_classifier("embedded", RUBRIC))
    crops = as_crops(random_pictures(2, seed=1))
    for sentence in speaker.explain(crops, speaker._classifier.predict(crops)):
        assert "; in the picture the gaze goes " in sentence
